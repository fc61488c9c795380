import { join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { BlobStore } from './blobs.ts';
import { chainIds, type Digest } from './digest.ts';
import { readIfThere, writeWhole } from './disk.ts';
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  isIndexType,
  MEDIA,
  type Platform,
  parseImageConfig,
  parseManifest,
} from './oci.ts';
import { configPlatform, indexPlatforms } from './platform.ts';

/** An image that is here, whole and unpacked. */
export interface StoredImage {
  /** Digest of its config: the image id of the Engine API. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** The manifest it came or was made with. */
  readonly manifest: Descriptor;
  readonly content: ImageManifest;
  /** Its unpacked layers, base first. */
  readonly chain: readonly Digest[];
  /** The image it was built on top of, one build step ago. */
  readonly parent?: Digest;
  /** What the builder would have to do again to get the same. */
  readonly cacheKey?: string;
  /** Removed by a user while a container still needs it: no list shows it, and it goes with the last container. */
  readonly removed?: true;
}

/** A name, and what it stood for when it was given. */
export interface ImageName {
  /** In full: `docker.io/library/busybox:latest`, or with `@digest`. */
  readonly name: string;
  /** Manifest or index. */
  readonly target: Descriptor;
  readonly image: Digest;
  /** The manifest of this image that the target leads to; the same image may have several, packed differently. */
  readonly manifest: Digest;
  readonly content: ImageManifest;
  /** What the target runs on. */
  readonly platforms: readonly Platform[];
  readonly taggedAtMs: number;
}

export interface ImageTableModules {
  readonly blobs: BlobStore;
  readonly log: Log;
}

/** Notes in index.json. The first is what other tools of this trade call the full name; the rest are our own. */
const NOTE = {
  name: 'io.containerd.image.name',
  refName: 'org.opencontainers.image.ref.name',
  image: 'shoal.image',
  manifest: 'shoal.manifest',
  parent: 'shoal.parent',
  cacheKey: 'shoal.cache-key',
  taggedAt: 'shoal.tagged-at-ms',
  removed: 'shoal.removed',
} as const;

interface Row {
  readonly target: Descriptor;
  readonly notes: Readonly<Record<string, string>>;
}

/**
 * Which images there are, and their names. Kept as the `index.json` of an OCI layout, one entry a name and one for each
 * image without: replaced as a whole at each change, so that a crash leaves the old table or the new one.
 */
export class ImageTable {
  readonly #file: string;
  readonly #modules: ImageTableModules;
  readonly #images = new Map<Digest, StoredImage>();
  readonly #names = new Map<string, ImageName>();
  #changes = 0;
  #written = 0;
  #writing: Promise<void> | undefined;

  private constructor(root: string, modules: ImageTableModules) {
    this.#file = join(root, 'index.json');
    this.#modules = modules;
  }

  /** Reads the table; entries whose content is gone are left out, and said so in the log. */
  static async open(root: string, modules: ImageTableModules): Promise<ImageTable> {
    await writeWhole(join(root, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    const table = new ImageTable(root, modules);
    const text = await readIfThere(table.#file);
    if (text === undefined) return table;
    for (const descriptor of (JSON.parse(text) as { manifests: Descriptor[] }).manifests) {
      const { annotations = {}, ...target } = descriptor;
      await table.#load({ target, notes: annotations });
    }
    return table;
  }

  async #load({ target, notes }: Row): Promise<void> {
    try {
      const manifest = notes[NOTE.manifest] ?? target.digest;
      const image = await this.#read(
        manifest,
        target.digest === manifest ? target.mediaType : undefined,
        notes,
      );
      this.#images.set(image.id, image);
      const name = notes[NOTE.name];
      const taggedAtMs = Number(notes[NOTE.taggedAt] ?? 0);
      if (name === undefined) return;
      const { id, content } = image;
      const platforms = await platformsOf(this.#modules.blobs, target, image);
      this.#names.set(name, { name, target, image: id, manifest, content, platforms, taggedAtMs });
    } catch (err) {
      this.#modules.log.warn('image dropped: its content is not whole', { digest: target.digest, err });
    }
  }

  async #read(digest: Digest, mediaType: string | undefined, notes: Row['notes']): Promise<StoredImage> {
    const [parent, cacheKey] = [notes[NOTE.parent], notes[NOTE.cacheKey]];
    return await readImage(this.#modules.blobs, digest, {
      ...(mediaType !== undefined && { mediaType }),
      ...(parent !== undefined && { parent }),
      ...(cacheKey !== undefined && { cacheKey }),
      ...(notes[NOTE.removed] !== undefined && { removed: true as const }),
    });
  }

  images(): StoredImage[] {
    return [...this.#images.values()];
  }

  get(id: Digest): StoredImage | undefined {
    return this.#images.get(id);
  }

  names(): ImageName[] {
    return [...this.#names.values()];
  }

  name(full: string): ImageName | undefined {
    return this.#names.get(full);
  }

  /** In order of their names. */
  namesOf(id: Digest): ImageName[] {
    return this.names()
      .filter(({ image }) => image === id)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  children(id: Digest): StoredImage[] {
    return this.images().filter(({ parent, removed }) => parent === id && removed === undefined);
  }

  /** Changes the table at once; the returned promise is kept when the disk has it, and the change undone when it can't. */
  async change(apply: (edit: TableEdit) => void): Promise<void> {
    const undo: (() => void)[] = [];
    apply({
      put: (image) => undo.push(replaced(this.#images, image.id, image)),
      putName: (name) => undo.push(replaced(this.#names, name.name, name)),
      removeName: (name) => undo.push(replaced(this.#names, name, undefined)),
      remove: (id) => undo.push(replaced(this.#images, id, undefined)),
    });
    this.#changes += 1;
    try {
      await this.#save(this.#changes);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  /** Writes until the disk has change number `upTo`; changes that wait for one write share the next. */
  async #save(upTo: number): Promise<void> {
    while (this.#written < upTo) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  async #write(): Promise<void> {
    const changes = this.#changes;
    const manifests = this.#rows().map(({ target, notes }) => ({ ...target, annotations: notes }));
    await writeWhole(
      this.#file,
      JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }, undefined, 1),
    );
    this.#written = changes;
  }

  #rows(): Row[] {
    return this.images().flatMap((image) => {
      const notes = notesOf(image);
      const names = this.namesOf(image.id);
      if (names.length === 0) return [{ target: image.manifest, notes }];
      return names.map(({ name, target, manifest, taggedAtMs }) => ({
        target,
        notes: {
          ...notes,
          [NOTE.name]: name,
          [NOTE.refName]: name.slice(Math.max(name.lastIndexOf(':'), name.indexOf('@')) + 1),
          [NOTE.manifest]: manifest,
          [NOTE.taggedAt]: String(taggedAtMs),
        },
      }));
    });
  }
}

/** Sets an entry, or takes it out, and gives what takes that back, unless somebody else has changed it since. */
function replaced<T>(map: Map<string, T>, key: string, value: T | undefined): () => void {
  const before = map.get(key);
  setOrDelete(map, key, value);
  return () => {
    if (map.get(key) === value) setOrDelete(map, key, before);
  };
}

function setOrDelete<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

export interface TableEdit {
  put(image: StoredImage): void;
  putName(name: ImageName): void;
  removeName(name: string): void;
  remove(id: Digest): void;
}

function notesOf(image: StoredImage): Record<string, string> {
  return {
    [NOTE.image]: image.id,
    [NOTE.manifest]: image.manifest.digest,
    ...(image.parent !== undefined && { [NOTE.parent]: image.parent }),
    ...(image.cacheKey !== undefined && { [NOTE.cacheKey]: image.cacheKey }),
    ...(image.removed && { [NOTE.removed]: 'true' }),
  };
}

/** What a target runs on: all that an index has, or the one of an image. */
export async function platformsOf(
  blobs: BlobStore,
  target: Descriptor,
  image: StoredImage,
): Promise<readonly Platform[]> {
  if (!isIndexType(target.mediaType)) return [configPlatform(image.config)];
  return indexPlatforms(await blobs.read(target.digest));
}

/** Reads an image by its manifest. NOT_FOUND when a document of it is missing. */
export async function readImage(
  blobs: BlobStore,
  digest: Digest,
  more: { mediaType?: string } & Pick<Partial<StoredImage>, 'parent' | 'cacheKey' | 'removed'>,
): Promise<StoredImage> {
  const { mediaType, ...rest } = more;
  const bytes = await blobs.read(digest);
  const content = parseManifest(bytes);
  const config = parseImageConfig(await blobs.read(content.config.digest));
  if (config.rootfs.diff_ids.length !== content.layers.length) {
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `manifest ${digest} has ${content.layers.length} layers, its config ${config.rootfs.diff_ids.length}`,
    );
  }
  return {
    id: content.config.digest,
    config,
    content,
    manifest: { mediaType: mediaType ?? content.mediaType ?? MEDIA.ociManifest, digest, size: bytes.length },
    chain: chainIds(config.rootfs.diff_ids),
    ...rest,
  };
}
