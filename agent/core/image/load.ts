import { createReadStream, lstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { ShoalError } from '#proto/base/errors.ts';
import { pathInRoot } from '../linux/root-path.ts';
import { Arrivals } from './arrivals.ts';
import { algorithmOf, chainIds, type Digest, hexOf, isDigest, shortId } from './digest.ts';
import { Fetcher } from './fetch.ts';
import type { ImageStore } from './image-store.ts';
import type { StoredImage } from './image-table.ts';
import type { Lease } from './leases.ts';
import { type LegacyEntry, legacyEntries } from './legacy.ts';
import {
  type Descriptor,
  DOCUMENT_BYTES_MAX,
  isIndexType,
  MEDIA,
  type Platform,
  parseImageConfig,
  parseIndex,
} from './oci.ts';
import { choosePlatform, HOST_PLATFORM } from './platform.ts';
import type { ProgressSink } from './progress.ts';
import { familiarName, type Reference, tryParseReference, withDefaultTag } from './reference.ts';
import type { ContentSource } from './source.ts';
import { extracted, spool } from './spool.ts';
import { type NewLayer, putLeased, writeArchiveLayer } from './write.ts';

export interface LoadOpts {
  readonly platform?: Platform | undefined;
  readonly progress: ProgressSink;
  readonly signal?: AbortSignal | undefined;
}

/** An image that an archive had, and what it was called in there. */
export interface Loaded {
  readonly image: StoredImage;
  readonly names: readonly Reference[];
}

interface Archive {
  readonly store: ImageStore;
  readonly arrivals: Arrivals;
  readonly root: string;
  readonly opts: LoadOpts;
}

/**
 * `docker load`: an archive as `docker save` writes it, old or new, or an OCI layout. All of an image is checked before
 * it is known here. INVALID_ARGUMENT for anything else.
 */
export async function loadImages(
  store: ImageStore,
  body: AsyncIterable<Uint8Array>,
  opts: LoadOpts,
): Promise<Loaded[]> {
  await using file = await spool(store, body, opts.signal);
  await using tree = await extracted(store, file.path, opts.signal);
  using arrivals = new Arrivals(store);
  const archive = { store, arrivals, root: tree.path, opts };
  const loaded = await arrivals.allOrNone(() => loadAll(archive));
  for (const { image, names } of loaded) {
    for (const name of names) await store.setName(name, { image });
    store.event('load', image.id, { name: image.id });
  }
  return loaded;
}

async function loadAll(archive: Archive): Promise<Loaded[]> {
  const legacy = legacyEntries(await readJson(archive, 'manifest.json'));
  const index = await indexOf(archive);
  return index ? await loadLayout(archive, index, legacy) : await loadLegacy(archive, legacy);
}

/** The lines that `docker load` prints. */
export function loadedLines(loaded: readonly Loaded[]): string[] {
  return loaded.flatMap(({ image, names }) =>
    names.length === 0
      ? [`Loaded image ID: ${image.id}`]
      : names.map((name) => `Loaded image: ${familiarName(withDefaultTag(name))}`),
  );
}

/** The index of an OCI layout, if the archive is one whose manifests are in it. */
async function indexOf(archive: Archive): Promise<Descriptor[] | undefined> {
  const bytes = await readDocument(archive, 'index.json');
  if (!bytes || !(await readDocument(archive, 'oci-layout'))) return undefined;
  const { manifests } = parseIndex(bytes);
  const isHere = ({ digest }: Descriptor): boolean => sizeOf(archive, blobPath(digest)) !== undefined;
  return manifests.length > 0 && manifests.every(isHere) ? [...manifests] : undefined;
}

async function loadLayout(
  archive: Archive,
  manifests: readonly Descriptor[],
  legacy: readonly LegacyEntry[],
): Promise<Loaded[]> {
  const { store, opts } = archive;
  const fetcher = new Fetcher(store);
  const source = sourceIn(archive);
  const found = new Map<Digest, { image: StoredImage; names: Reference[] }>();
  for (const descriptor of await chosen(archive, manifests)) {
    const image = await fetcher.fetch(descriptor, {
      source,
      signal: opts.signal,
      progress: loadingProgress(opts),
    });
    archive.arrivals.add(image);
    const entry = found.get(image.id) ?? { image, names: legacyNames(legacy, image.id) };
    const name = tryParseReference(descriptor.annotations?.['io.containerd.image.name'] ?? '');
    if (name && !entry.names.some((known) => familiarName(known) === familiarName(name)))
      entry.names.push(name);
    found.set(image.id, entry);
  }
  return [...found.values()];
}

/** An index among them stands for its image of this platform, with the index's name. */
async function chosen(archive: Archive, manifests: readonly Descriptor[]): Promise<Descriptor[]> {
  const plain: Descriptor[] = [];
  for (const descriptor of manifests) {
    if (!isIndexType(descriptor.mediaType)) plain.push(descriptor);
    else {
      const bytes = await readDocument(archive, blobPath(descriptor.digest));
      const wanted = archive.opts.platform ?? HOST_PLATFORM;
      const choice = bytes && choosePlatform(parseIndex(bytes).manifests, wanted);
      if (!choice) throw invalid(`no image for this platform in ${descriptor.digest}`);
      plain.push({ ...choice, ...(descriptor.annotations && { annotations: descriptor.annotations }) });
    }
  }
  return plain;
}

function legacyNames(legacy: readonly LegacyEntry[], id: Digest): Reference[] {
  const entry = legacy.find(({ config }) => config.replace(/\.json$/, '').endsWith(hexOf(id)));
  return (entry?.tags ?? []).map(tryParseReference).filter((name) => name !== undefined);
}

async function loadLegacy(archive: Archive, entries: readonly LegacyEntry[]): Promise<Loaded[]> {
  if (entries.length === 0) throw invalid('archive does not contain a manifest.json, nor an OCI layout');
  const loaded: Loaded[] = [];
  for (const entry of entries) {
    const image = await loadLegacyImage(archive, entry);
    archive.arrivals.add(image);
    const names = entry.tags.map(tryParseReference).filter((name) => name !== undefined);
    loaded.push({ image, names });
  }
  return loaded;
}

async function loadLegacyImage(archive: Archive, entry: LegacyEntry): Promise<StoredImage> {
  const { store } = archive;
  using lease = store.lease();
  const bytes = await readDocument(archive, entry.config);
  if (!bytes) throw invalid(`archive does not contain ${entry.config}`);
  const diffIds = parseImageConfig(bytes).rootfs.diff_ids;
  const files = entry.layers;
  if (files.length !== diffIds.length) {
    throw invalid(
      `invalid manifest, layers length mismatch: expected ${diffIds.length}, got ${files.length}`,
    );
  }
  lease.add(...chainIds(diffIds));
  const layers: Descriptor[] = [];
  for (const [index, file] of files.entries()) {
    const layer = await loadLayer(archive, file, diffIds.slice(0, index + 1), lease);
    layers.push(layer.descriptor);
  }
  const config = {
    mediaType: MEDIA.ociConfig,
    digest: await putLeased(store, bytes, lease),
    size: bytes.length,
  };
  const manifest = { schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers };
  return await store.add({ manifest: await putLeased(store, Buffer.from(JSON.stringify(manifest)), lease) });
}

async function loadLayer(
  archive: Archive,
  file: string,
  diffIds: readonly Digest[],
  lease: Lease,
): Promise<NewLayer> {
  const { store, root, opts } = archive;
  const size = sizeOf(archive, file);
  if (size === undefined) throw invalid(`archive does not contain ${file}`);
  const layer = await writeArchiveLayer(store, pathInRoot(root, file), lease, opts.signal);
  const wanted = diffIds.at(-1) as Digest;
  if (layer.diffId !== wanted)
    throw invalid(`invalid diffID for layer: expected "${wanted}", got "${layer.diffId}"`);
  await store.layerStore.unpack(diffIds, store.blobs.path(layer.descriptor.digest), { signal: opts.signal });
  opts.progress({ id: shortId(wanted), status: 'Loading layer', current: size, total: size });
  return layer;
}

/** As `docker load` shows it: one bar a layer. */
function loadingProgress({ progress }: LoadOpts): ProgressSink {
  return (line) => {
    if (line.status === 'Extracting') progress({ ...line, status: 'Loading layer' });
  };
}

function sourceIn(archive: Archive): ContentSource {
  return {
    async document(digest) {
      const bytes = await readDocument(archive, blobPath(digest));
      if (!bytes) throw invalid(`archive does not contain ${digest}`);
      return bytes;
    },
    blob(digest, start) {
      const path = blobPath(digest);
      if (sizeOf(archive, path) === undefined) throw invalid(`archive does not contain ${digest}`);
      return Promise.resolve(
        createReadStream(pathInRoot(archive.root, path), { start }) as AsyncIterable<Buffer>,
      );
    },
  };
}

function blobPath(digest: Digest): string {
  return isDigest(digest) ? `blobs/${algorithmOf(digest)}/${hexOf(digest)}` : '';
}

async function readJson(archive: Archive, path: string): Promise<unknown> {
  const bytes = await readDocument(archive, path);
  if (!bytes) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `${path} in the archive is not valid JSON`, { cause: error });
  }
}

/** Undefined when the archive has no such file. */
async function readDocument(archive: Archive, path: string): Promise<Buffer | undefined> {
  const size = sizeOf(archive, path);
  if (size === undefined) return undefined;
  if (size > DOCUMENT_BYTES_MAX) throw invalid(`${path} is too large for a document`);
  return await readFile(pathInRoot(archive.root, path));
}

/** Of a plain file; links in the archive lead no further than its own root. */
function sizeOf({ root }: Archive, path: string): number | undefined {
  try {
    const stats = lstatSync(pathInRoot(root, path));
    return stats.isFile() ? stats.size : undefined;
  } catch {
    return undefined;
  }
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}
