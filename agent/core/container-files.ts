import {
  createReadStream,
  createWriteStream,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
  writeSync,
} from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ShoalError } from '#proto/base/errors.ts';
import {
  archiveAt,
  archiveOfRoot,
  asOutside,
  folderAt,
  keepingKinds,
  type PathStat,
  pathStat,
} from './archive-entries.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import { TarReader } from './image/tar/reader.ts';
import { isWhiteout } from './image/tree/attributes.ts';
import { TreeWriter } from './image/tree/tree-writer.ts';
import { unmountUnder } from './linux/mounts.ts';
import { rootOf } from './linux/process.ts';
import { pathInRoot } from './linux/root-path.ts';
import { MS, mount } from './linux/sys.ts';
import type { UserNamespace } from './linux/user-namespace.ts';
import { randomId } from './names.ts';
import { sourceFor, userNamespaceOf } from './namespaces.ts';
import type { EngineParts } from './parts.ts';
import type { ContainerSpec } from './record.ts';
import { cgroupOf } from './usage.ts';

/** A file that a container has changed, as `docker diff` shows it. */
export interface FileChange {
  readonly Path: string;
  /** 0 modified, 1 added, 2 deleted. */
  readonly Kind: 0 | 1 | 2;
}

type Parts = Pick<
  EngineParts,
  'opts' | 'cgroups' | 'clock' | 'containers' | 'events' | 'random' | 'rootfs' | 'userNamespace' | 'volumes'
>;

/** Files of containers, in and out. */
export class ContainerFiles {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  changes(idOrName: string): FileChange[] {
    const { spec } = this.#parts.containers.find(idOrName);
    const { rootfs } = this.#parts;
    return [...changesIn(rootfs.upper(spec.id), rootfs.layers(spec.imageId), '')];
  }

  stat(idOrName: string, path: string): Promise<PathStat> {
    const container = this.#parts.containers.find(idOrName);
    return this.#withRoot(container, async (folder) => pathStat({ folder, container: idOrName }, path));
  }

  /** The tar archive of a path, and what it is. */
  async read(idOrName: string, path: string): Promise<{ stat: PathStat; archive: AsyncIterable<Buffer> }> {
    const container = this.#parts.containers.find(idOrName);
    const file = this.#temporary();
    const stat = await this.#withRoot(container, async (folder) => {
      const idMaps = userNamespaceOf(container.spec, this.#parts)?.maps;
      const root = { folder, container: idOrName, idMaps };
      await writeAll(file, archiveAt(root, path));
      return pathStat(root, path);
    });
    emitContainer(this.#parts.events, container, 'archive-path');
    return { stat, archive: readOnce(file) };
  }

  /** The tar archive of all files of a container, without what is mounted into it. */
  async export(idOrName: string): Promise<AsyncIterable<Buffer>> {
    const container = this.#parts.containers.find(idOrName);
    const { rootfs } = this.#parts;
    const { id, imageId } = container.spec;
    const file = this.#temporary();
    await rootfs.withView(id, imageId, this.#view(), (root) => writeAll(file, archiveOfRoot(root)));
    emitContainer(this.#parts.events, container, 'export');
    return readOnce(file);
  }

  /** Unpacks a tar archive, compressed or not, into a folder of a container. */
  async write(
    idOrName: string,
    path: string,
    archive: AsyncIterable<Uint8Array>,
    opts: { keepKinds: boolean },
  ): Promise<void> {
    const container = this.#parts.containers.find(idOrName);
    const file = this.#temporary();
    try {
      await pipeline(archive, createWriteStream(file, { mode: 0o600 }));
      await this.#withRoot(container, (folder) => {
        const target = folderAt({ folder, container: idOrName }, path);
        mustBeWritable(container.spec, target.slice(folder.length));
        return unpack(file, target, { ...opts, users: userNamespaceOf(container.spec, this.#parts) });
      });
    } finally {
      await rm(file, { force: true });
    }
    emitContainer(this.#parts.events, container, 'extract-to-dir');
  }

  #temporary(): string {
    const folder = join(this.#parts.opts.dataRoot, 'tmp');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return join(folder, randomId(this.#parts.random));
  }

  #view(): string {
    return join(this.#parts.opts.execRoot, 'v', randomId(this.#parts.random).slice(0, 16));
  }

  /**
   * Shows the files of a container as its processes see them. These stand still meanwhile: one that swaps a folder for a
   * link at the right moment would make us follow it out of the container.
   */
  async #withRoot<T>(container: Container, work: (root: string) => Promise<T>): Promise<T> {
    const { init, status } = container.run;
    if (!container.hasProcess || init === undefined) return this.#withMounted(container, work);
    const group = cgroupOf(this.#parts, container);
    if (status === 'running') await group.freeze();
    try {
      return await work(rootOf(init.pid));
    } finally {
      if (status === 'running') group.thaw();
    }
  }

  async #withMounted<T>(container: Container, work: (root: string) => Promise<T>): Promise<T> {
    const { spec } = container;
    const { rootfs, volumes } = this.#parts;
    const users = userNamespaceOf(spec, this.#parts);
    const target = this.#view();
    mkdirSync(target, { recursive: true });
    const names = spec.mounts.flatMap(({ name }) => name ?? []);
    for (const name of names) volumes.use(name, spec.id);
    try {
      await rootfs.mount(spec.id, spec.imageId, target, users);
      for (const point of spec.mounts) {
        const place = pathInRoot(target, point.destination);
        if (point.type === 'tmpfs' || !isFolder(point.source)) continue;
        mkdirSync(place, { recursive: true });
        mount(sourceFor(users, point), place, '', MS.BIND | MS.REC);
      }
      return await work(target);
    } finally {
      unmountUnder(target);
      for (const name of names) volumes.release(name, spec.id);
      await rm(target, { recursive: true, force: true });
    }
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** A volume decides for what is in it, whatever the rest of the file system may be. `path`: with every link followed. */
function mustBeWritable({ mounts, hostConfig }: ContainerSpec, path: string): void {
  const volume = mounts
    .filter(({ type, destination }) => type !== 'tmpfs' && `${path}/`.startsWith(`${destination}/`))
    .sort((a, b) => b.destination.length - a.destination.length)[0];
  if (volume?.rw === false) throw new ShoalError('FORBIDDEN', 'mounted volume is marked read-only');
  if (!volume && hostConfig.ReadonlyRootfs)
    throw new ShoalError('FORBIDDEN', 'container rootfs is marked read-only');
}

const GZIP_MAGIC = 0x1f8b;

interface UnpackOpts {
  readonly keepKinds: boolean;
  readonly users: UserNamespace | undefined;
}

async function unpack(file: string, folder: string, { keepKinds, users }: UnpackOpts): Promise<void> {
  const writer = new TreeWriter({
    root: folder,
    whiteouts: false,
    ...(users && { folderOwner: users.root }),
  });
  const sink = users ? asOutside(writer, users.maps) : writer;
  const reader = new TarReader(keepKinds ? keepingKinds(folder, sink) : sink);
  const source = createReadStream(file);
  const content = (await isGzip(file)) ? source.pipe(createGunzip()) : source;
  for await (const chunk of content as AsyncIterable<Buffer>) reader.write(chunk);
  reader.end();
}

async function isGzip(file: string): Promise<boolean> {
  await using handle = await open(file, 'r');
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
  return bytesRead === 2 && buffer.readUInt16BE() === GZIP_MAGIC;
}

/** Lets other work go on between the pieces. */
async function writeAll(file: string, archive: Iterable<Buffer>): Promise<void> {
  await using handle = await open(file, 'wx', 0o600);
  for (const piece of archive) {
    for (let at = 0; at < piece.length; ) at += writeSync(handle.fd, piece, at);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The file is removed when it was read, or nobody wants the rest. */
async function* readOnce(file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(file) as AsyncIterable<Buffer>;
  } finally {
    await rm(file, { force: true });
  }
}

/** Below a folder of the container's own layer, in order of paths. */
function* changesIn(upper: string, lowers: readonly string[], folder: string): Generator<FileChange> {
  const entries = readdirSync(join(upper, folder), { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  for (const entry of entries) {
    const path = `${folder}/${entry.name}`;
    const stats = lstatSync(join(upper, path));
    if (isWhiteout(stats)) yield { Path: path, Kind: 2 };
    else yield { Path: path, Kind: isBelow(lowers, path) ? 0 : 1 };
    if (entry.isDirectory()) yield* changesIn(upper, lowers, path);
  }
}

function isBelow(lowers: readonly string[], path: string): boolean {
  for (const lower of lowers) {
    const stats = lstatSync(join(lower, path), { throwIfNoEntry: false });
    if (stats) return !isWhiteout(stats);
  }
  return false;
}
