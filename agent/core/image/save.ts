import { ShoalError } from '#proto/base/errors.ts';
import { algorithmOf, type Digest, hexOf } from './digest.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageName, StoredImage } from './image-table.ts';
import { isIdOf, namedAs } from './lookup.ts';
import { MEDIA } from './oci.ts';
import { familiarName, parseReference, repositoryOf } from './reference.ts';
import { isDigestName, repositoryOfName } from './remove.ts';
import { headerOf, PLAIN, paddingOf, TAR_END } from './tar/writer.ts';

interface Saved {
  readonly image: StoredImage;
  /** Tags, in full. */
  readonly names: string[];
}

/**
 * `docker save`: an archive with the images as an OCI layout and, for older programs, with `manifest.json`. An image that
 * is named by its id goes in without names, one named by its repository with all its tags. NOT_FOUND before anything
 * is given.
 */
export function saveImages(store: ImageStore, wanted: readonly string[]): AsyncGenerator<Uint8Array> {
  const images = imagesOf(store, wanted);
  return archiveOfImages(store, images);
}

function imagesOf(store: ImageStore, wanted: readonly string[]): Saved[] {
  if (wanted.length === 0) throw new ShoalError('INVALID_ARGUMENT', 'no images were named');
  const saved = new Map<Digest, Saved>();
  for (const name of wanted) {
    const repository = tagsOfRepository(store, name);
    if (repository.length > 0) for (const tag of repository) put(saved, store.find(tag.image), [tag]);
    else {
      const image = store.find(name);
      const named = isIdOf(image, name) ? undefined : namedAs(store.table, name);
      put(saved, image, named && !isDigestName(named) ? [named] : []);
    }
    store.event('save', name, { name });
  }
  return [...saved.values()];
}

/** All tags, when a repository is named without one. */
function tagsOfRepository(store: ImageStore, name: string): ImageName[] {
  if (/^(sha256:)?[0-9a-f]{64}$/.test(name)) return [];
  const reference = parseReference(name);
  if (reference.tag !== undefined || reference.digest !== undefined) return [];
  return store.table
    .names()
    .filter((named) => !isDigestName(named) && repositoryOfName(named) === repositoryOf(reference));
}

function put(saved: Map<Digest, Saved>, image: StoredImage, names: readonly ImageName[]): void {
  const entry = saved.get(image.id) ?? { image, names: [] };
  for (const { name } of names) if (!entry.names.includes(name)) entry.names.push(name);
  saved.set(image.id, entry);
}

async function* archiveOfImages(store: ImageStore, images: readonly Saved[]): AsyncGenerator<Uint8Array> {
  using lease = store.lease();
  const digests = new Set(images.flatMap(({ image }) => contentOf(image)));
  lease.add(...digests);
  yield headerOf({ ...PLAIN, name: 'blobs', type: 'directory', mode: 0o755 });
  for (const algorithm of new Set([...digests].map(algorithmOf))) {
    yield headerOf({ ...PLAIN, name: `blobs/${algorithm}`, type: 'directory', mode: 0o755 });
  }
  for (const digest of digests) {
    const size = store.blobs.size(digest) ?? 0;
    yield headerOf({ ...PLAIN, name: pathOf(digest), size });
    yield* store.blobs.stream(digest);
    yield paddingOf(size);
  }
  yield documentEntry('index.json', indexOf(images));
  yield documentEntry('manifest.json', images.map(legacyEntry));
  yield documentEntry('oci-layout', { imageLayoutVersion: '1.0.0' });
  yield TAR_END;
}

function contentOf({ manifest, content }: StoredImage): Digest[] {
  return [manifest.digest, content.config.digest, ...content.layers.map(({ digest }) => digest)];
}

function indexOf(images: readonly Saved[]): object {
  const manifests = images.flatMap(({ image, names }) => {
    if (names.length === 0) return [image.manifest];
    return names.map((name) => ({
      ...image.manifest,
      annotations: {
        'io.containerd.image.name': name,
        'org.opencontainers.image.ref.name': parseReference(name).tag ?? '',
      },
    }));
  });
  return { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests };
}

function legacyEntry({ image, names }: Saved): object {
  return {
    Config: pathOf(image.id),
    RepoTags: names.length === 0 ? null : names.map((name) => familiarName(parseReference(name))),
    Layers: image.content.layers.map(({ digest }) => pathOf(digest)),
  };
}

function pathOf(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

function documentEntry(name: string, document: object): Buffer {
  const bytes = Buffer.from(JSON.stringify(document));
  return Buffer.concat([headerOf({ ...PLAIN, name, size: bytes.length }), bytes, paddingOf(bytes.length)]);
}
