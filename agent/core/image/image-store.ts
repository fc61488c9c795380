import { mkdirSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';
import { codeOf, ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import { unmountUnder } from '../linux/mounts.ts';
import { spreadFolders } from '../linux/spread.ts';
import { BlobStore } from './blobs.ts';
import type { Digest } from './digest.ts';
import { type ImageName, ImageTable, platformsOf, readImage, type StoredImage } from './image-table.ts';
import { WorkPool } from './jobs/pool.ts';
import { LayerStore } from './layers.ts';
import { Holds, type Lease, Leases } from './leases.ts';
import { findImage, namedAs } from './lookup.ts';
import type { Descriptor } from './oci.ts';
import { familiarName, fullName, type Reference, withDefaultTag } from './reference.ts';

export interface ImageStoreOpts {
  /** A folder of the store's own. Short: the option string of an overlay mount holds it once a layer. */
  readonly root: string;
}

/** What happened to an image, for `docker events`. */
export interface ImageEvent {
  readonly action:
    | 'create'
    | 'delete'
    | 'import'
    | 'load'
    | 'prune'
    | 'pull'
    | 'push'
    | 'save'
    | 'tag'
    | 'untag';
  /** Image id, or the name that was asked for. */
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface ImageStoreModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly onEvent?: (event: ImageEvent) => void;
  /** Whether this container runs. Without: every holder of an image counts as running. */
  readonly isRunning?: (containerId: string) => boolean;
}

export interface AddImage {
  readonly manifest: Digest;
  readonly parent?: Digest;
  readonly cacheKey?: string;
}

export interface NamedImage {
  readonly image: StoredImage;
  /** What the name stands for elsewhere, when that is an index with the image's manifest among others. */
  readonly target?: Descriptor;
}

/**
 * The images of this node. `root` is an OCI layout (`oci-layout`, `index.json`, `blobs`) with the unpacked layers in `l`,
 * files on their way in `tmp`, builds in `build` and what is being deleted in `trash`. One process at a time opens it.
 *
 * Killed at any moment it opens again: documents are replaced whole, blobs and layers get their names when they are
 * complete, and what nothing refers to goes with the next `collect`.
 */
export class ImageStore implements AsyncDisposable {
  readonly root: string;
  readonly blobs: BlobStore;
  readonly layerStore: LayerStore;
  readonly table: ImageTable;
  readonly pool: WorkPool;
  readonly leases = new Leases();
  readonly holds = new Holds();
  readonly modules: ImageStoreModules;
  #emptying: Promise<void> = Promise.resolve();

  private constructor(
    root: string,
    modules: ImageStoreModules,
    parts: { blobs: BlobStore; layers: LayerStore; table: ImageTable; pool: WorkPool },
  ) {
    this.root = root;
    this.modules = modules;
    this.blobs = parts.blobs;
    this.layerStore = parts.layers;
    this.table = parts.table;
    this.pool = parts.pool;
  }

  /** Opens or makes the store. Call `collect` once all containers have said which images they hold. */
  static async open(opts: ImageStoreOpts, modules: ImageStoreModules): Promise<ImageStore> {
    const { root } = opts;
    await mkdir(root, { recursive: true, mode: 0o711 });
    const [ingest, trash] = [join(root, 'tmp'), join(root, 'trash')];
    const pool = new WorkPool({}, modules);
    // Builds that a crash left may have file systems mounted, which must go before their files do.
    unmountUnder(join(root, 'build'));
    for (const folder of [ingest, join(root, 'build')]) await rm(folder, { recursive: true, force: true });
    mkdirSync(ingest, { mode: 0o700 });
    mkdirSync(trash, { recursive: true, mode: 0o700 });
    mkdirSync(join(root, 'l'), { recursive: true });
    for (const folder of [join(root, 'l'), ingest]) spreadFolders(folder);
    const blobs = new BlobStore(join(root, 'blobs'), ingest, trash);
    const layers = new LayerStore(join(root, 'l'), trash, { pool });
    const table = await ImageTable.open(root, { blobs, log: modules.log });
    const store = new ImageStore(root, modules, { blobs, layers, table, pool });
    store.emptyTrash();
    return store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#emptying;
    await this.pool[Symbol.asyncDispose]();
  }

  /** Keeps content from being collected until it is disposed. */
  lease(...digests: readonly Digest[]): Lease {
    return this.leases.take(...digests);
  }

  /** The image by that name, id, or beginning of an id. NOT_FOUND `No such image: …`. */
  find(nameOrId: string): StoredImage {
    return findImage(this.table, nameOrId);
  }

  /** The image id that a name stands for. NOT_FOUND `No such image: …`. */
  resolve(nameOrId: string): Digest {
    return this.find(nameOrId).id;
  }

  /** The image config. NOT_FOUND when the image is not here. */
  config(imageId: Digest): StoredImage['config'] {
    return this.#get(imageId).config;
  }

  /** The folders of its layers, top first, as overlayfs wants them. Hold the image as long as they are in use. */
  layers(imageId: Digest): string[] {
    return this.layerStore.pathsTopFirst(this.#get(imageId).config.rootfs.diff_ids);
  }

  /** Says that a container uses an image: it won't be collected before `release`. NOT_FOUND when it is not here. */
  hold(imageId: Digest, containerId: string): void {
    this.#get(imageId);
    this.holds.hold(imageId, containerId);
  }

  isRunning(containerId: string): boolean {
    return this.modules.isRunning?.(containerId) ?? true;
  }

  /** Takes that back; an image removed meanwhile goes now. */
  async release(imageId: Digest, containerId: string): Promise<void> {
    const wasLast = this.holds.release(imageId, containerId);
    if (wasLast && this.table.get(imageId)?.removed) await this.collect();
  }

  #get(imageId: Digest): StoredImage {
    const image = this.table.get(imageId);
    if (!image) throw new ShoalError('NOT_FOUND', `No such image: ${imageId}`);
    return image;
  }

  /** Whether all of it is still here; somebody may have meddled with the disk. */
  isWhole({ content, chain }: StoredImage): boolean {
    const blobs = [content.config, ...content.layers];
    const isUnpacked = chain.every((chainId) => this.layerStore.get(chainId) !== undefined);
    return isUnpacked && blobs.every(({ digest }) => this.blobs.has(digest));
  }

  /** Bytes of file content of all its layers. */
  sizeOf(image: StoredImage): number {
    return image.chain.reduce((sum, chainId) => sum + (this.layerStore.get(chainId)?.size ?? 0), 0);
  }

  /** Makes an image known whose documents, layer blobs and unpacked layers are here. */
  async add({ manifest, parent, cacheKey }: AddImage): Promise<StoredImage> {
    const read = await readImage(this.blobs, manifest, {
      ...(parent !== undefined && { parent }),
      ...(cacheKey !== undefined && { cacheKey }),
    });
    this.layerStore.pathsTopFirst(read.config.rootfs.diff_ids);
    const known = this.table.get(read.id);
    // The same image packed differently: the name it gets now will keep that form too.
    if (known && !known.removed) return { ...known, manifest: read.manifest, content: read.content };
    await this.table.change((edit) => edit.put(read));
    this.event('create', read.id, { name: read.id });
    return read;
  }

  /** True when the name stood for something else before, or for nothing. It is taken from an image that had it. */
  async setName(reference: Reference, { image, target = image.manifest }: NamedImage): Promise<boolean> {
    const name = fullName(withDefaultTag(reference));
    const platforms = await platformsOf(this.blobs, target, image);
    const before = this.table.name(name);
    const entry: ImageName = {
      name,
      target,
      image: image.id,
      manifest: image.manifest.digest,
      content: image.content,
      platforms,
      taggedAtMs: this.modules.clock.wallMs(),
    };
    await this.table.change((edit) => edit.putName(entry));
    return before?.image !== image.id || before.target.digest !== entry.target.digest;
  }

  /** `docker tag`: the new name stands for all that the old one does, such as an index. */
  async tag(nameOrId: string, reference: Reference): Promise<void> {
    const image = this.find(nameOrId);
    const before = namedAs(this.table, nameOrId);
    const taggedAtMs = this.modules.clock.wallMs();
    const name = fullName(withDefaultTag(reference));
    if (before) await this.table.change((edit) => edit.putName({ ...before, name, taggedAtMs }));
    else await this.setName(reference, { image });
    this.event('tag', image.id, { name: familiarName(withDefaultTag(reference)) });
  }

  event(action: ImageEvent['action'], id: string, attributes: ImageEvent['attributes']): void {
    this.modules.onEvent?.({ action, id, attributes });
  }

  /**
   * Removes all content that no image, container or work under way refers to: at once out of sight, its bytes soon
   * after. Gives back what went.
   */
  async collect(): Promise<Collected> {
    const gone = this.table
      .images()
      .filter(({ id, removed }) => removed && this.holds.of(id).length === 0)
      .map(({ id }) => id);
    if (gone.length > 0) await this.table.change((edit) => gone.forEach((id) => void edit.remove(id)));
    const used = this.#used();
    let bytes = 0;
    for (const digest of this.blobs.all()) if (!used.has(digest)) bytes += this.blobs.remove(digest);
    const layers = this.layerStore.all().filter(({ chainId }) => !used.has(chainId));
    for (const { chainId } of layers) bytes += this.layerStore.remove(chainId);
    this.emptyTrash();
    return { bytes, layers: layers.map(({ chainId }) => chainId) };
  }

  /** Gives the room back that failed work has taken, when room is what it failed for; else it may be of use to a next try. */
  async collectIfFull(failure: unknown): Promise<void> {
    if (codeOf(failure) === 'RESOURCE_EXHAUSTED') await this.collect();
  }

  #used(): Set<Digest> {
    const used = new Set<Digest>(this.leases.all());
    for (const { manifest, content, chain } of this.table.images()) {
      for (const { digest } of [manifest, content.config, ...content.layers]) used.add(digest);
      for (const chainId of chain) used.add(chainId);
    }
    for (const { target, manifest, content } of this.table.names()) {
      for (const { digest } of [target, content.config, ...content.layers]) used.add(digest);
      used.add(manifest);
    }
    return used;
  }

  emptyTrash(): void {
    this.#emptying = this.#emptying
      .then(() => this.#empty())
      .catch((err: unknown) => {
        this.modules.log.warn('image trash could not be emptied', { err });
      });
  }

  async #empty(): Promise<void> {
    const trash = join(this.root, 'trash');
    for (const file of await readdir(trash)) await this.pool.run('remove', { path: join(trash, file) });
  }
}

export interface Collected {
  /** On disk, as far as known: blobs and the content of layers. */
  readonly bytes: number;
  readonly layers: readonly Digest[];
}
