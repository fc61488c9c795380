import { closeSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { type EntryType, nameOf, pathOf, type TarEntry } from '../tar/entry.ts';
import { headerOf, PLAIN, paddingOf, TAR_END } from '../tar/writer.ts';
import { isOpaque, isWhiteout, lstatIfThere, xattrsOf } from './attributes.ts';

const READ_BYTES = 256 * 1024;

export interface TreeReaderOpts {
  /** The tree is the upper part of an overlay: what it hides becomes `.wh.` entries. */
  readonly whiteouts: boolean;
  /** Told the size of each file. */
  readonly onFile?: (bytes: number) => void;
  /** Folders of which nothing but themselves is wanted, by their names in the tree. */
  readonly closed?: ReadonlySet<string>;
}

/** A file of a tree, as an archive has it. */
export interface TreeItem {
  readonly entry: TarEntry;
  readonly path: string;
}

/**
 * The tar archive of a tree, piece by piece, in the order of names: same tree, same bytes. Sockets are left out, as
 * everybody does. Synchronous: it belongs on a worker thread. Pieces are valid until the next is asked for.
 */
export function* archiveOf(root: string, opts: TreeReaderOpts): Generator<Buffer, void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (const { entry, path } of itemsOf(nameOf(root), opts)) {
    yield headerOf(entry);
    if (entry.type !== 'file' || entry.size === 0) continue;
    opts.onFile?.(entry.size);
    yield* contentOf(path, entry.size, buffer);
    yield paddingOf(entry.size);
  }
  yield TAR_END;
}

/** The files of a tree without its root, a folder before what is in it; of a file with several names links but once. */
export function* itemsOf(root: string, { whiteouts, closed }: TreeReaderOpts): Generator<TreeItem, void> {
  const links = new Map<string, string>();
  const waiting = namesIn(root, '');
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const path = `${root}/${name}`;
    const stats = lstatIfThere(path);
    if (stats === undefined || stats.isSocket()) continue;
    if (whiteouts && isWhiteout(stats)) yield { entry: whiteoutOf(name), path };
    else yield { entry: itemEntry(name, path, stats, links), path };
    if (!stats.isDirectory() || closed?.has(name)) continue;
    if (whiteouts && isOpaque(path))
      yield { entry: { ...PLAIN, name: `${name}/.wh..wh..opq`, mode: 0o600 }, path };
    waiting.push(...namesIn(root, `${name}/`));
  }
}

/** The last first. */
function namesIn(root: string, prefix: string): string[] {
  const names = readdirSync(pathOf(`${root}/${prefix}`), { encoding: 'latin1' })
    .sort()
    .reverse();
  return names.map((base) => prefix + base);
}

function whiteoutOf(name: string): TarEntry {
  const slash = name.lastIndexOf('/') + 1;
  return { ...PLAIN, name: `${name.slice(0, slash)}.wh.${name.slice(slash)}`, mode: 0o600 };
}

function itemEntry(name: string, path: string, stats: Stats, links: Map<string, string>): TarEntry {
  if (stats.isDirectory()) return entryOf(name, path, stats, 'directory');
  const inode = `${stats.dev}:${stats.ino}`;
  const first = stats.nlink > 1 ? links.get(inode) : undefined;
  if (first !== undefined) {
    return { ...entryOf(name, path, stats, 'link'), size: 0, linkName: first, xattrs: new Map() };
  }
  if (stats.nlink > 1) links.set(inode, name);
  return entryOf(name, path, stats, typeOf(stats));
}

/** The first `size` bytes of a file, in pieces that are valid until the next is asked for. */
export function* contentOf(
  path: string,
  size: number,
  buffer = Buffer.allocUnsafe(READ_BYTES),
): Generator<Buffer, void> {
  const fd = openSync(pathOf(path), 'r');
  try {
    for (let left = size; left > 0; ) {
      const length = readSync(fd, buffer, 0, Math.min(buffer.length, left), null);
      if (length === 0) throw new Error(`${path} became shorter while it was read`);
      yield buffer.subarray(0, length);
      left -= length;
    }
  } finally {
    closeSync(fd);
  }
}

export function typeOf(stats: Stats): EntryType {
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isCharacterDevice()) return 'char';
  return stats.isBlockDevice() ? 'block' : 'file';
}

/** The entry of a file as the disk has it. */
export function entryOf(name: string, path: string, stats: Stats, type: EntryType): TarEntry {
  return {
    name,
    type,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    size: type === 'file' ? stats.size : 0,
    mtime: Math.floor(stats.mtimeMs / 1000),
    linkName: type === 'symlink' ? readlinkSync(pathOf(path), 'latin1') : '',
    ...deviceOf(stats),
    xattrs: xattrsOf(path),
  };
}

/** Major and minor of a device number, as Linux packs them. */
function deviceOf(stats: Stats): { major: number; minor: number } {
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) return { major: 0, minor: 0 };
  const device = BigInt(stats.rdev);
  return {
    major: Number((device >> 8n) & 0xfffn),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xfff00n)),
  };
}
