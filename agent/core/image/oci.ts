import { ShoalError } from '#proto/base/errors.ts';
import type { ContainerConfig } from '../container-types.ts';
import { type Digest, isDigest } from './digest.ts';
import { parseRunConfig } from './run-config.ts';

/*
 * Image documents: OCI image-spec 1.1 and Docker's "image manifest version 2, schema 2", which differ in their
 * media types alone. What comes from outside is checked here once; the rest of the house may trust the types.
 */

export const MEDIA = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const;

/** A manifest, index or config is read whole into memory: no honest one comes near this. */
export const DOCUMENT_BYTES_MAX = 8 * 1024 * 1024;

/** Layers of an image, or images of an index: overlayfs joins no more, and no honest index has them. */
const DESCRIPTORS_MAX = 500;
const EPOCH = '1970-01-01T00:00:00Z';

export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageManifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageIndex {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** How a container of the image runs unless it says otherwise. */
export type RunConfig = Partial<ContainerConfig>;

/** The image config: its digest is the image id. */
export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly config?: RunConfig;
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly HistoryEntry[];
}

/** Docker's names of layers, and what OCI calls the same bytes. */
const OCI_LAYERS: Readonly<Record<string, string>> = {
  [MEDIA.dockerLayer]: MEDIA.ociLayer,
  [MEDIA.dockerLayerGzip]: MEDIA.ociLayerGzip,
  [MEDIA.dockerLayerZstd]: MEDIA.ociLayerZstd,
};

/** A layer as an OCI manifest names it: other tools refuse manifests that mix both. */
export function ociLayerOf(layer: Descriptor): Descriptor {
  return { ...layer, mediaType: OCI_LAYERS[layer.mediaType] ?? layer.mediaType };
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA.ociIndex || mediaType === MEDIA.dockerList;
}

/** The media type of a manifest or index: what its carrier says, else what it says itself, else by its shape. */
export function manifestTypeOf(bytes: Uint8Array, contentType: string | undefined): string {
  const named = contentType?.split(';')[0]?.trim();
  if (named !== undefined && named !== '' && named.startsWith('application/vnd.')) return named;
  const document = parseJson(bytes, 'manifest');
  if (typeof document['mediaType'] === 'string') return document['mediaType'];
  return Array.isArray(document['manifests']) ? MEDIA.ociIndex : MEDIA.ociManifest;
}

export function parseManifest(bytes: Uint8Array): ImageManifest {
  const document = parseJson(bytes, 'manifest');
  if (document['schemaVersion'] !== 2) {
    throw new ShoalError(
      'NOT_IMPLEMENTED',
      `image manifests of schema version ${String(document['schemaVersion'])} are not supported: ask its author for an OCI or schema 2 image`,
    );
  }
  checkDescriptor(document['config'], 'manifest: config');
  checkDescriptors(document['layers'], 'manifest: layers');
  return document as unknown as ImageManifest;
}

export function parseIndex(bytes: Uint8Array): ImageIndex {
  const document = parseJson(bytes, 'index');
  checkDescriptors(document['manifests'], 'index: manifests');
  return document as unknown as ImageIndex;
}

export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const document = parseJson(bytes, 'image config');
  const rootfs = document['rootfs'] as { diff_ids?: unknown } | undefined;
  const diffIds = rootfs?.diff_ids ?? [];
  if (!Array.isArray(diffIds) || !diffIds.every((id) => typeof id === 'string' && isDigest(id))) {
    throw invalid('image config: rootfs.diff_ids must be a list of digests');
  }
  if (typeof document['architecture'] !== 'string' || typeof document['os'] !== 'string') {
    throw invalid('image config: architecture and os are missing');
  }
  const history = document['history'];
  if (history !== undefined && history !== null && !(Array.isArray(history) && history.every(isObject))) {
    throw invalid('image config: history must be a list of objects');
  }
  const created = document['created'] ?? EPOCH;
  if (typeof created !== 'string' || Number.isNaN(Date.parse(created)))
    throw invalid('image config: created must be a time');
  return {
    ...(document as unknown as ImageConfig),
    config: parseRunConfig(document['config']),
    history: (history ?? []) as readonly HistoryEntry[],
    rootfs: { type: 'layers', diff_ids: diffIds as Digest[] },
  };
}

function checkDescriptors(list: unknown, where: string): void {
  if (!Array.isArray(list)) throw invalid(`${where} must be a list`);
  if (list.length > DESCRIPTORS_MAX)
    throw invalid(`${where} has ${list.length} items, more than the ${DESCRIPTORS_MAX} allowed`);
  for (const [index, item] of list.entries()) checkDescriptor(item, `${where}[${index}]`);
}

function checkDescriptor(value: unknown, where: string): void {
  const item = value as Partial<Descriptor> | null | undefined;
  if (typeof item !== 'object' || item === null) throw invalid(`${where} is missing`);
  if (typeof item.digest !== 'string' || !isDigest(item.digest))
    throw invalid(`${where} has no valid digest`);
  if (!Number.isSafeInteger(item.size) || (item.size ?? -1) < 0) throw invalid(`${where} has no valid size`);
  if (typeof item.mediaType !== 'string') throw invalid(`${where} has no media type`);
  if (item.platform !== undefined && !isPlatform(item.platform))
    throw invalid(`${where} has no valid platform`);
}

function isPlatform(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { os, architecture, variant } = value as unknown as Partial<Platform>;
  return [os, architecture, variant ?? ''].every((text) => typeof text === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(bytes: Uint8Array, what: string): Record<string, unknown> {
  if (bytes.length > DOCUMENT_BYTES_MAX) {
    throw invalid(`${what} has ${bytes.length} bytes, more than the ${DOCUMENT_BYTES_MAX} allowed`);
  }
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw invalid(`${what} is not valid JSON`, error);
  }
  if (!isObject(document)) throw invalid(`${what} is not a JSON object`);
  return document;
}

function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message, cause === undefined ? {} : { cause });
}
