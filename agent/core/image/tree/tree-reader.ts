import { closeSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { type EntryType, pathOf, type TarEntry } from '../tar/entry.ts';
import { headerOf, PLAIN, paddingOf, TAR_END } from '../tar/writer.ts';
import { isOpaque, isWhiteout, lstatIfThere, xattrsOf } from './attributes.ts';

const READ_BYTES = 256 * 1024;

export interface TreeReaderOpts {
  /** The tree is the upper part of an overlay: what it hides becomes `.wh.` entries. */
  readonly whiteouts: boolean;
  /** Told the size of each file. */
  readonly onFile?: (bytes: number) => void;
}

/**
 * The tar archive of a tree, piece by piece, in the order of names: same tree, same bytes. Sockets are left out, as
 * everybody does. Synchronous: it belongs on a worker thread. Pieces are valid until the next is asked for.
 */
export function* archiveOf(root: string, opts: TreeReaderOpts): Generator<Buffer, void> {
  const links = new Map<string, string>();
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  yield* folder(root, '', opts, links, buffer);
  yield TAR_END;
}

function* folder(
  root: string,
  prefix: string,
  opts: TreeReaderOpts,
  links: Map<string, string>,
  buffer: Buffer,
): Generator<Buffer, void> {
  const names = readdirSync(pathOf(`${root}/${prefix}`), { encoding: 'latin1' }).sort();
  for (const base of names) {
    const name = prefix + base;
    const path = `${root}/${name}`;
    const stats = lstatIfThere(path);
    if (stats === undefined || stats.isSocket()) continue;
    if (opts.whiteouts && isWhiteout(stats)) {
      yield headerOf({ ...PLAIN, name: `${prefix}.wh.${base}`, mode: 0o600 });
      continue;
    }
    if (stats.isDirectory()) {
      yield headerOf(entryOf(name, path, stats, 'directory'));
      if (opts.whiteouts && isOpaque(path))
        yield headerOf({ ...PLAIN, name: `${name}/.wh..wh..opq`, mode: 0o600 });
      yield* folder(root, `${name}/`, opts, links, buffer);
    } else {
      yield* leaf(name, path, stats, opts, links, buffer);
    }
  }
}

function* leaf(
  name: string,
  path: string,
  stats: Stats,
  opts: TreeReaderOpts,
  links: Map<string, string>,
  buffer: Buffer,
): Generator<Buffer, void> {
  const inode = `${stats.dev}:${stats.ino}`;
  const first = stats.nlink > 1 ? links.get(inode) : undefined;
  if (first !== undefined) {
    yield headerOf({ ...entryOf(name, path, stats, 'link'), size: 0, linkName: first, xattrs: new Map() });
    return;
  }
  if (stats.nlink > 1) links.set(inode, name);
  const entry = entryOf(name, path, stats, typeOf(stats));
  yield headerOf(entry);
  opts.onFile?.(entry.size);
  if (entry.type === 'file') yield* contentOf(path, entry.size, buffer);
}

function* contentOf(path: string, size: number, buffer: Buffer): Generator<Buffer, void> {
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
  yield paddingOf(size);
}

function typeOf(stats: Stats): EntryType {
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
