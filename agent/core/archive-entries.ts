import { lstatSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import { nameOf, pathOf, type TarEntry, type TarSink } from './image/tar/entry.ts';
import { headerOf, paddingOf, TAR_END } from './image/tar/writer.ts';
import { contentOf, entryOf, itemsOf, typeOf } from './image/tree/tree-reader.ts';
import { type IdMaps, type IdRange, insideId, outsideId } from './linux/id-map.ts';
import { pathInRoot } from './linux/root-path.ts';

const PIECE_BYTES = 64 * 1024;
/** What the kernel shows of itself in every running container is none of its files. */
const KERNEL_FOLDERS: ReadonlySet<string> = new Set(['dev', 'proc', 'sys']);

/** What clients are told of a file in a container (X-Docker-Container-Path-Stat); `mode` as Go's os.FileMode. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

/** The root file system of a container, as a folder of the machine, and what its user calls the container. */
export interface ContainerRoot {
  readonly folder: string;
  readonly container: string;
  /** Of the user namespace that it is in: owners in archives are those that it sees. */
  readonly idMaps?: IdMaps | undefined;
}

/**
 * A path of a container: where it is on the machine, and what to call it. The last part is followed only where a slash
 * or a dot comes after it, and must then be a folder.
 */
export function locate(root: ContainerRoot, path: string): { host: string; name: string; stats: Stats } {
  const name = basename(path) || '/';
  const inside = path.endsWith('/') || name === '.';
  const host = inside
    ? pathInRoot(root.folder, path)
    : join(pathInRoot(root.folder, dirname(path)), basename(path));
  const stats = statsOf(root, host);
  if (stats === undefined || (inside && !stats.isDirectory())) throw notFound(root, path);
  return { host, name, stats };
}

/** Where a path is to lead to a folder; the root may be a link to it, as /proc shows the roots of processes. */
export function folderAt(root: ContainerRoot, path: string): string {
  const folder = pathInRoot(root.folder, path);
  const stats = statsOf(root, folder);
  if (stats === undefined) throw notFound(root, path);
  if (!stats.isDirectory()) throw new ShoalError('INVALID_ARGUMENT', 'extraction point is not a directory');
  return folder;
}

function statsOf(root: ContainerRoot, host: string): Stats | undefined {
  const look = host === root.folder ? statSync : lstatSync;
  return look(host, { throwIfNoEntry: false });
}

function notFound({ container }: ContainerRoot, path: string): ShoalError {
  return new ShoalError('NOT_FOUND', `Could not find the file ${path} in container ${container}`);
}

const GO_BITS: readonly (readonly [test: (stats: Stats) => boolean, bit: number])[] = [
  [(stats) => stats.isDirectory(), 31],
  [(stats) => stats.isSymbolicLink(), 27],
  [(stats) => stats.isBlockDevice() || stats.isCharacterDevice(), 26],
  [(stats) => stats.isFIFO(), 25],
  [(stats) => stats.isSocket(), 24],
  [(stats) => (stats.mode & 0o4000) !== 0, 23],
  [(stats) => (stats.mode & 0o2000) !== 0, 22],
  [(stats) => stats.isCharacterDevice(), 21],
  [(stats) => (stats.mode & 0o1000) !== 0, 20],
];

export function pathStat(root: ContainerRoot, path: string): PathStat {
  const { stats, name } = locate(root, path);
  const flags = GO_BITS.filter(([test]) => test(stats)).reduce((sum, [, bit]) => sum + 2 ** bit, 0);
  return {
    name,
    size: stats.size,
    mode: flags + (stats.mode & 0o777),
    mtime: stats.mtime.toISOString(),
    linkTarget: stats.isSymbolicLink() ? linkTarget(root, path) : '',
  };
}

/** Where a link leads to, as a path of the container. */
function linkTarget(root: ContainerRoot, path: string): string {
  const target = pathInRoot(root.folder, path);
  return target.slice(root.folder.length) || '/';
}

/** The tar archive of a file or folder and all below it, its names beginning with its own. */
export function* archiveAt(root: ContainerRoot, path: string): Generator<Buffer> {
  const { host, name, stats } = locate(root, path);
  const closed = host === root.folder ? KERNEL_FOLDERS : new Set<string>();
  yield* pieces(asInside(entriesOf(host, name, stats, closed), root.idMaps));
}

function* asInside(entries: Iterable<Located>, maps: IdMaps | undefined): Generator<Located> {
  for (const { entry, path } of entries) {
    const uid = maps ? insideId(maps.users, entry.uid) : entry.uid;
    const gid = maps ? insideId(maps.groups, entry.gid) : entry.gid;
    yield { entry: { ...entry, uid, gid }, path };
  }
}

/** The tar archive of all of a root file system. */
export function* archiveOfRoot(root: string): Generator<Buffer> {
  yield* pieces(below(root, ''));
}

function* entriesOf(
  host: string,
  name: string,
  stats: Stats,
  closed: ReadonlySet<string>,
): Generator<Located> {
  const path = nameOf(host);
  const type = stats.isDirectory() ? 'directory' : typeOf(stats);
  yield { entry: entryOf(nameOf(name), path, stats, type), path };
  if (stats.isDirectory()) yield* below(host, name === '/' ? name : `${name}/`, closed);
}

interface Located {
  readonly entry: TarEntry;
  readonly path: string;
}

function* below(host: string, prefix: string, closed?: ReadonlySet<string>): Generator<Located> {
  const lead = nameOf(prefix);
  for (const { entry, path } of itemsOf(nameOf(host), { whiteouts: false, ...(closed ? { closed } : {}) })) {
    const linkName = entry.type === 'link' ? lead + entry.linkName : entry.linkName;
    yield { entry: { ...entry, name: lead + entry.name, linkName }, path };
  }
}

/** Small parts are joined: an archive is mostly headers. Pieces are the receiver's to keep. */
function* pieces(entries: Iterable<Located>): Generator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  for (const part of archiveParts(entries)) {
    parts.push(Buffer.from(part));
    length += part.length;
    if (length < PIECE_BYTES) continue;
    yield Buffer.concat(parts);
    parts = [];
    length = 0;
  }
  yield Buffer.concat(parts);
}

function* archiveParts(entries: Iterable<Located>): Generator<Buffer> {
  for (const { entry, path } of entries) {
    yield headerOf(entry);
    if (entry.type !== 'file' || entry.size === 0) continue;
    yield* contentOf(path, entry.size);
    yield paddingOf(entry.size);
  }
  yield TAR_END;
}

/** Gives what an archive holds to those on the machine whom a user namespace means by its owners. */
export function asOutside(sink: TarSink, { users, groups }: IdMaps): TarSink {
  return {
    entry: (entry) =>
      sink.entry({ ...entry, uid: mustBeOutside(users, entry.uid), gid: mustBeOutside(groups, entry.gid) }),
    data: (bytes) => sink.data(bytes),
    hole: (bytes) => sink.hole(bytes),
    endEntry: () => sink.endEntry(),
  };
}

function mustBeOutside(map: readonly IdRange[], id: number): number {
  const outside = outsideId(map, id);
  if (outside !== undefined) return outside;
  throw new ShoalError('INVALID_ARGUMENT', `Container ID ${id} cannot be mapped to a host ID`);
}

/** Refuses to put a file where a folder is, or the other way round, before anything is written there. */
export function keepingKinds(root: string, sink: TarSink): TarSink {
  return {
    entry: (entry) => {
      const existing = lstatSync(pathOf(`${nameOf(root)}/${entry.name}`), { throwIfNoEntry: false });
      const folder = existing?.isDirectory() ?? false;
      if (existing && folder !== (entry.type === 'directory') && !existing.isSymbolicLink())
        throw new ShoalError(
          'INVALID_ARGUMENT',
          folder
            ? `cannot overwrite directory "${entry.name}" with non-directory`
            : `cannot overwrite non-directory "${entry.name}" with directory`,
        );
      sink.entry(entry);
    },
    data: (bytes) => sink.data(bytes),
    hole: (bytes) => sink.hole(bytes),
    endEntry: () => sink.endEntry(),
  };
}
