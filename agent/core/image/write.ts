import { rm } from 'node:fs/promises';
import { chainIds, type Digest, EMPTY_DIFF_ID, sha256Of } from './digest.ts';
import type { ImageStore } from './image-store.ts';
import type { StoredImage } from './image-table.ts';
import type { Lease } from './leases.ts';
import {
  type Descriptor,
  type HistoryEntry,
  type ImageConfig,
  MEDIA,
  ociLayerOf,
  type RunConfig,
} from './oci.ts';
import { HOST_PLATFORM } from './platform.ts';

export interface NewImage {
  /** What it adds to; nothing for a new beginning. */
  readonly base: StoredImage | undefined;
  /** The file system changes it brings, if any. */
  readonly layer?: NewLayer | undefined;
  readonly run: RunConfig;
  readonly history: Omit<HistoryEntry, 'created' | 'empty_layer'>;
  /** It is a step of a build: found again by this. */
  readonly cacheKey?: string;
  /** When it was made, unless now. */
  readonly created?: string | undefined;
}

/** A layer whose blob is here. */
export interface NewLayer {
  readonly diffId: Digest;
  readonly descriptor: Descriptor;
}

export interface LayerTree {
  /** The upper part of an overlay whose lower parts are the base's layers. */
  readonly tree: string;
  /** The tree becomes the unpacked layer: nobody else needs it, and it is on the store's disk. */
  readonly adopt: boolean;
}

/** Makes a layer of a tree, unpacked and packed, which the lease keeps. Undefined when nothing in it has changed. */
export async function writeLayer(
  store: ImageStore,
  base: StoredImage | undefined,
  { tree, adopt }: LayerTree,
  lease: Lease,
  signal?: AbortSignal,
): Promise<NewLayer | undefined> {
  const file = store.blobs.temporary();
  try {
    const packed = await store.pool.run('pack', { tree, target: file, whiteouts: true }, { signal });
    if (packed.diffId === EMPTY_DIFF_ID) return undefined;
    const diffIds = [...(base?.config.rootfs.diff_ids ?? []), packed.diffId];
    lease.add(packed.digest, ...chainIds(diffIds));
    if (!store.blobs.has(packed.digest)) await store.blobs.adopt(file, packed.digest, packed.size);
    if (adopt) await store.layerStore.adopt(diffIds, tree, packed.contentBytes);
    else await store.layerStore.unpack(diffIds, store.blobs.path(packed.digest), { signal });
    return layerOf(packed);
  } finally {
    await rm(file, { force: true });
  }
}

/** Makes a layer blob of an archive, compressed in any way or not, which the lease keeps. It is not unpacked yet. */
export async function writeArchiveLayer(
  store: ImageStore,
  archive: string,
  lease: Lease,
  signal?: AbortSignal,
): Promise<NewLayer> {
  const file = store.blobs.temporary();
  try {
    const packed = await store.pool.run('compress', { archive, target: file }, { signal });
    lease.add(packed.digest);
    if (!store.blobs.has(packed.digest)) await store.blobs.adopt(file, packed.digest, packed.size);
    return layerOf(packed);
  } finally {
    await rm(file, { force: true });
  }
}

function layerOf(packed: { diffId: Digest; digest: Digest; size: number }): NewLayer {
  const { diffId, digest, size } = packed;
  return { diffId, descriptor: { mediaType: MEDIA.ociLayerGzip, digest, size } };
}

/** Writes the documents of an image and makes it known. Hold a lease for its layer, and dispose it afterwards. */
export async function writeImage(store: ImageStore, image: NewImage): Promise<StoredImage> {
  const { base, layer, cacheKey } = image;
  const created = image.created ?? new Date(store.modules.clock.wallMs()).toISOString();
  const config = configOf(image, created);
  using lease = store.lease();
  const configBytes = Buffer.from(JSON.stringify(config));
  const configDigest = await putLeased(store, configBytes, lease);
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    config: { mediaType: MEDIA.ociConfig, digest: configDigest, size: configBytes.length },
    layers: [...(base?.content.layers ?? []).map(ociLayerOf), ...(layer ? [layer.descriptor] : [])],
  };
  const digest = await putLeased(store, Buffer.from(JSON.stringify(manifest)), lease);
  return await store.add({
    manifest: digest,
    ...(base !== undefined && cacheKey !== undefined && { parent: base.id }),
    ...(cacheKey !== undefined && { cacheKey }),
  });
}

/** Keeps a document, leased before it is there. */
export async function putLeased(store: ImageStore, bytes: Buffer, lease: Lease): Promise<Digest> {
  lease.add(sha256Of(bytes));
  return await store.blobs.put(bytes);
}

function configOf({ base, layer, run, history }: NewImage, created: string): ImageConfig {
  const from = base?.config;
  const author = history.author;
  return {
    created,
    ...(author !== undefined && author !== '' && { author }),
    architecture: from?.architecture ?? HOST_PLATFORM.architecture,
    os: from?.os ?? HOST_PLATFORM.os,
    ...(from?.variant !== undefined && { variant: from.variant }),
    config: withoutEmpty(run),
    rootfs: {
      type: 'layers',
      diff_ids: [...(from?.rootfs.diff_ids ?? []), ...(layer ? [layer.diffId] : [])],
    },
    history: [
      ...(from?.history ?? []),
      { created, ...history, ...(layer === undefined && { empty_layer: true }) },
    ],
  };
}

/** What an image says about running it (OCI image-spec, "config", and Docker's additions). */
const RUN_KEYS = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'StopTimeout',
  'Healthcheck',
  'OnBuild',
  'Shell',
  'ArgsEscaped',
] as const satisfies readonly (keyof RunConfig)[];

/** Only what belongs to an image, and of it only what says something. */
export function withoutEmpty(run: RunConfig): RunConfig {
  const kept = RUN_KEYS.filter((key) => !isEmpty(run[key])).map((key) => [key, run[key]]);
  return Object.fromEntries(kept) as RunConfig;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

export interface CommitOpts {
  readonly base: StoredImage;
  readonly upper: string;
  readonly run: RunConfig;
  readonly author?: string;
  readonly comment?: string;
  /** The command that the container ran. */
  readonly createdBy?: string;
}

/** `docker commit`: an image of what a container has changed. The tree stays as it is. */
export async function commit(
  store: ImageStore,
  opts: CommitOpts,
  signal?: AbortSignal,
): Promise<StoredImage> {
  const { base, upper, run, author, comment, createdBy } = opts;
  using lease = store.lease(base.id, ...base.chain, ...base.content.layers.map(({ digest }) => digest));
  const layer = await writeLayer(store, base, { tree: upper, adopt: false }, lease, signal);
  const history = {
    ...(author !== undefined && { author }),
    ...(comment !== undefined && { comment }),
    ...(createdBy !== undefined && { created_by: createdBy }),
  };
  return await writeImage(store, { base, layer, run, history });
}
