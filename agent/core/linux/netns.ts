/**
 * Network namespaces that live on without a process: each is bound to a file. Everything here is synchronous,
 * because entering a namespace is a thing of the thread.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { inNetworkNamespace, inNewNetworkNamespace, MS, mount, SyscallError, unmountDetach } from './sys.ts';

const NSFS_MAGIC = 0x6e736673;
/**
 * Hash tables of a new namespace's sockets: with tables of its own, /proc/PID/net/tcp is read in a third of a
 * millisecond; sharing the machine's, in sixty.
 */
export const OWN_TABLES = {
  'net/ipv4/tcp_child_ehash_entries': 4_096,
  'net/ipv4/udp_child_hash_entries': 256,
};

/** Switches under /proc/sys, by path. */
export type Settings = Readonly<Record<string, number>>;

/**
 * Makes a namespace and binds it to a new file; `made` is one that somebody else has made, as a path. Throws EEXIST when
 * the file is there.
 */
export function createNamespace(path: string, made?: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'wx', 0o600));
  try {
    if (made !== undefined) return mount(made, path, '', MS.BIND);
    withSettings(OWN_TABLES, () =>
      inNewNetworkNamespace(() => mount('/proc/thread-self/ns/net', path, '', MS.BIND)),
    );
  } catch (error) {
    unlinkSync(path);
    throw error;
  }
}

/** Lets the namespace go: it ends with its last process. Nothing happens when it is not there. */
export function removeNamespace(path: string): void {
  try {
    unmountDetach(path);
  } catch (error) {
    if (!(error instanceof SyscallError) || !['ENOENT', 'EINVAL'].includes(error.code)) throw error;
  }
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Whether a namespace is bound to this file; a plain file is left of one after a crash or a reboot. */
export function isNamespace(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

/** Names of all files in a directory of namespaces. */
export function namespaceFiles(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Sets switches in a namespace; in our own when `path` is undefined. Throws on the first that is refused. */
export function setSettings(path: string | undefined, settings: Settings): void {
  const write = (): void => {
    for (const [name, value] of Object.entries(settings)) writeSetting(name, value);
  };
  if (path === undefined) write();
  else inNetworkNamespace(path, write);
}

/** A switch or counter of a namespace; undefined when there is none of this name. */
export function readSetting(path: string | undefined, name: string): number | undefined {
  const read = (): number => Number(readFileSync(join('/proc/sys', name), 'utf8'));
  try {
    return path === undefined ? read() : inNetworkNamespace(path, read);
  } catch {
    return undefined;
  }
}

/** Only what differs is written: some switches reset others, whatever is written to them. */
function writeSetting(name: string, value: number): void {
  const file = join('/proc/sys', name);
  // A kernel without IPv6 needs no switch to keep it off.
  if (name.startsWith('net/ipv6/') && !existsSync(file)) return;
  if (readFileSync(file, 'utf8').trim() !== String(value)) writeFileSync(file, String(value));
}

/** Runs `work` with these switches set in our own namespace, and sets them back; those that are not there are left. */
function withSettings(settings: Settings, work: () => void): void {
  const before: [string, string][] = [];
  for (const [name, value] of Object.entries(settings)) {
    try {
      const file = join('/proc/sys', name);
      const old = readFileSync(file, 'utf8').trim();
      writeFileSync(file, String(value));
      before.push([file, old]);
    } catch {
      // A kernel without it is slower to read, and no less right.
    }
  }
  try {
    work();
  } finally {
    for (const [file, old] of before) writeFileSync(file, old);
  }
}
