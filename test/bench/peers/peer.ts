import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '#deploy/local/run.ts';

/** A program that Shoal is compared with, and the Debian packages it is in. */
export interface Peer {
  readonly name: string;
  /** Programs that must be there. */
  readonly programs: readonly string[];
  /** Debian packages that --install unpacks; they are not registered, and no service of theirs is started. */
  readonly packages: readonly string[];
  /** Debian packages that must be installed: libraries and programs the peer can't do without. */
  readonly needs: readonly string[];
}

/** Where a peer's programs were found. */
export interface Programs {
  /** The absolute path of one of them. */
  path(program: string): string;
  /** PATH for processes of the peer, which start each other by name. */
  readonly searchPath: string;
}

const REPO = join(import.meta.dirname, '..', '..', '..');
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The peer's programs: those that are installed, else those that were unpacked; undefined when there are none. */
export function findPeer(peer: Peer): Programs | undefined {
  const own = ['usr/sbin', 'usr/bin'].map((folder) => join(unpackedIn(peer), folder));
  return [SYSTEM_FOLDERS, [...own, ...SYSTEM_FOLDERS]]
    .map((folders) => ({
      path: (program: string) => inFolders(folders, program) ?? program,
      searchPath: folders.join(':'),
      complete: peer.programs.every((program) => inFolders(folders, program) !== undefined),
    }))
    .find(({ complete }) => complete);
}

function inFolders(folders: readonly string[], program: string): string | undefined {
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** Beside the modules, where it is in nobody's way. */
function unpackedIn({ name }: Peer): string {
  return join(REPO, 'node_modules', '.peers', name);
}

/** What to tell somebody who has not got the peer. */
export function howToGet(peer: Peer): string {
  return (
    `${peer.name} is not on this machine: run this again with --install, which unpacks Debian's ` +
    `${peer.packages.join(', ')} into ${unpackedIn(peer)}, or install them with ` +
    `apt-get install --no-install-recommends ${[...peer.packages, ...peer.needs].join(' ')}`
  );
}

/** Fetches the peer's packages and unpacks them: no service is registered or started. */
export async function installPeer(peer: Peer): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-peer-'));
  try {
    await run(['sh', '-c', 'cd "$1" && shift && apt-get download -q "$@"', 'sh', folder, ...peer.packages]);
    const unpacked = join(folder, 'unpacked');
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.deb'))) {
      await run(['dpkg-deb', '-x', join(folder, file), unpacked]);
    }
    await rm(unpackedIn(peer), { recursive: true, force: true });
    await mkdir(join(unpackedIn(peer), '..'), { recursive: true });
    await run(['cp', '-a', unpacked, unpackedIn(peer)]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
