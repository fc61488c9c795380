import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import { type IdMaps, type IdRange, mapFile, outsideId } from './id-map.ts';
import { unmountIfMounted } from './mounts.ts';
import { OWN_TABLES, setSettings } from './netns.ts';
import { signalPid } from './process.ts';
import { quoted, type Spawner } from './spawner.ts';
import { bindMapped, MS, mount, SyscallError } from './sys.ts';

/**
 * Where files of the machine's root are seen as this user's, on disk. The kernel makes some for itself where it joins
 * layers (markers of what was deleted), and can make none for an owner that is nobody on disk.
 */
const ROOT_ON_DISK = 4_294_967_294;
/** A new network namespace is kept by a process until it is bound to a file; this is more than enough. */
const KEPT_SECONDS = 60;
const SIGKILL = 9;

export interface UserNamespaceOpts {
  /** Where to put its files: of the engine's own, gone after a boot. */
  readonly folder: string;
  /** All that is on disk of containers, layers and volumes. */
  readonly dataRoot: string;
  readonly maps: IdMaps;
}

/**
 * The user namespace in which containers are root without being it on the machine. Files stay on disk as an image has
 * them: a second view of the data root shows them with the ids that containers have outside.
 */
export class UserNamespace implements Disposable {
  readonly maps: IdMaps;
  /** The machine's ids of the containers' root. */
  readonly root: { readonly uid: number; readonly gid: number };
  /** A file that stands for the namespace, for the OCI runtime. */
  readonly path: string;
  /** One for a network namespace of it, which others are made in the image of. */
  readonly #network: string;
  readonly #view: string;
  readonly #dataRoot: string;

  private constructor({ folder, dataRoot, maps }: UserNamespaceOpts) {
    this.maps = maps;
    this.root = { uid: rootOf(maps.users), gid: rootOf(maps.groups) };
    this.path = join(folder, 'user');
    this.#network = join(folder, 'network');
    this.#view = join(folder, 'd');
    this.#dataRoot = dataRoot;
  }

  /** FAILED_PRECONDITION where containers' users could not reach their files, or the kernel can't show them mapped. */
  static async open(opts: UserNamespaceOpts): Promise<UserNamespace> {
    // Nobody is to find the data root with other owners than it has.
    mkdirSync(opts.folder, { recursive: true, mode: 0o700 });
    mustBeReachable(dirname(opts.folder));
    const namespace = new UserNamespace(opts);
    try {
      await namespace.#make();
      await namespace.#showMapped();
      return namespace;
    } catch (error) {
      namespace[Symbol.dispose]();
      throw error;
    }
  }

  async #make(): Promise<void> {
    const holder = await hold(['--user', '--net'], this.maps);
    try {
      for (const [kind, path] of [
        ['user', this.path],
        ['net', this.#network],
      ] as const) {
        writeFileSync(path, '', { mode: 0o600 });
        mount(`/proc/${holder.pid}/ns/${kind}`, path, '', MS.BIND);
      }
    } finally {
      holder.kill('SIGKILL');
    }
    preferOwnTables(this.#network);
  }

  async #showMapped(): Promise<void> {
    const root = (map: readonly IdRange[]): IdRange[] => [
      ...map,
      { inside: ROOT_ON_DISK, outside: 0, length: 1 },
    ];
    const holder = await hold(['--user'], { users: root(this.maps.users), groups: root(this.maps.groups) });
    const handle = openSync(`/proc/${holder.pid}/ns/user`, 'r');
    try {
      mkdirSync(this.#view, { recursive: true });
      bindMapped(this.#dataRoot, this.#view, handle);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      throw new ShoalError(
        'FAILED_PRECONDITION',
        `userns-remap: the file system of ${this.#dataRoot} can't be shown to other users (${error.message}): it takes Linux 5.19, and a file system such as ext4, xfs or btrfs`,
        { cause: error },
      );
    } finally {
      closeSync(handle);
      holder.kill('SIGKILL');
    }
  }

  /** A path of the data root as containers are to see it. */
  mapped(path: string): string {
    return join(this.#view, relative(this.#dataRoot, path));
  }

  /** The same; the path itself where something else is mounted on it, which keeps its owners. */
  mappedUnlessMounted(path: string): string {
    const view = this.mapped(path);
    return isSameFile(path, view) ? view : path;
  }

  /** Makes a network namespace that containers of this one may change; it goes unless it is bound before disposal. */
  async newNetwork(spawner: Pick<Spawner, 'line'>): Promise<{ readonly path: string } & Disposable> {
    const enter = `nsenter --user=${quoted(this.path)} --net=${quoted(this.#network)}`;
    const wait = `dash -c 'echo "{\\"data\\":$$}"; exec sleep ${KEPT_SECONDS}'`;
    // Killed, it has done what it was for, and says no more.
    const line = `{ ${enter} unshare --net ${wait} </dev/null || [ $? -gt 128 ] || echo '{"data":-1}'; } &`;
    const { data: pid } = JSON.parse(await spawner.line(line)) as { data: number };
    if (pid < 0)
      throw new ShoalError('INTERNAL', 'a network namespace could not be made in the user namespace');
    return { path: `/proc/${pid}/ns/net`, [Symbol.dispose]: () => void signalPid(pid, SIGKILL) };
  }

  [Symbol.dispose](): void {
    for (const path of [this.path, this.#network, this.#view]) unmountIfMounted(path);
    for (const path of [this.path, this.#network]) rmSync(path, { force: true });
    removeEmptyFolder(this.#view);
  }
}

/** A network namespace takes the sizes of its tables from the one that it is made in. */
function preferOwnTables(network: string): void {
  try {
    setSettings(network, OWN_TABLES);
  } catch {
    // A kernel without them is slower to read, and no less right.
  }
}

function rootOf(map: readonly IdRange[]): number {
  const id = outsideId(map, 0);
  if (id === undefined) throw new ShoalError('FAILED_PRECONDITION', 'no id of the machine is mapped to 0');
  return id;
}

/** Never with what is in it: while it is a view, that is the data root. */
function removeEmptyFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Docker's words; what it says of its data root is true of this folder here. */
function mustBeReachable(folder: string): void {
  for (let path = folder; path !== '/'; path = dirname(path)) {
    if ((statSync(path).mode & 0o001) !== 0) continue;
    throw new ShoalError(
      'FAILED_PRECONDITION',
      `a subdirectory in your exec-root path (${path}) restricts access to the remapped root uid/gid; please fix by allowing 'o+x' permissions on existing directories`,
    );
  }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** A process in new namespaces with these ids; it waits to be killed, and ends with us at the latest. */
async function hold(kinds: readonly string[], maps: IdMaps): Promise<ChildProcess & { pid: number }> {
  const args = [...kinds, '--', 'dash', '-c', 'echo; read line'];
  const holder = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' });
  const said: Buffer[] = [];
  holder.stderr.on('data', (data: Buffer) => said.push(data));
  await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')]);
  if (holder.pid === undefined || holder.exitCode !== null)
    throw new ShoalError(
      'FAILED_PRECONDITION',
      `userns-remap: no user namespace could be made: ${Buffer.concat(said).toString().trim()}`,
    );
  writeFileSync(`/proc/${holder.pid}/uid_map`, mapFile(maps.users));
  writeFileSync(`/proc/${holder.pid}/gid_map`, mapFile(maps.groups));
  return holder as ChildProcess & { pid: number };
}
