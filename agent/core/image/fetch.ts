import { backoffMs } from '#proto/base/backoff.ts';
import { codeOf, FAILURES, ShoalError } from '#proto/base/errors.ts';
import { systemRandom } from '#proto/base/random.ts';
import { chainIds, type Digest, isDigest, sha256Of, shortId } from './digest.ts';
import { Flights, Limiter } from './flights.ts';
import type { ImageStore } from './image-store.ts';
import type { StoredImage } from './image-table.ts';
import type { Lease } from './leases.ts';
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  isIndexType,
  manifestTypeOf,
  type Platform,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from './oci.ts';
import { choosePlatform, formatPlatform, HOST_PLATFORM } from './platform.ts';
import type { ProgressSink } from './progress.ts';
import type { ContentSource } from './source.ts';

/** As Docker has it: `max-concurrent-downloads`. */
const DOWNLOADS_MAX = 3;
const ATTEMPTS_MAX = 5;
const RETRY = { firstMs: 500, maxMs: 10_000 } as const;

export interface FetchOpts {
  readonly source: ContentSource;
  readonly platform?: Platform | undefined;
  readonly progress: ProgressSink;
  readonly signal?: AbortSignal | undefined;
}

/** Brings images here: their documents, layers in parallel, each unpacked as soon as those below it are. */
export class Fetcher {
  readonly #store: ImageStore;
  readonly #blobs = new Flights<true>();
  readonly #downloads = new Limiter(DOWNLOADS_MAX);

  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** The image of a manifest, or of this platform's among those of an index. Nothing is registered before all is here. */
  async fetch(target: Descriptor, opts: FetchOpts): Promise<StoredImage> {
    try {
      return await this.#fetch(target, opts);
    } catch (error) {
      await this.#store.collectIfFull(error);
      throw error;
    }
  }

  async #fetch(target: Descriptor, opts: FetchOpts): Promise<StoredImage> {
    if (!isDigest(target.digest)) throw new ShoalError('INVALID_ARGUMENT', `${target.digest} is no digest`);
    using lease = this.#store.lease(target.digest);
    const manifest = isIndexType(target.mediaType) ? await this.#choose(target, lease, opts) : target;
    lease.add(manifest.digest);
    const content = parseManifest(await this.#document(manifest, true, opts));
    lease.add(content.config.digest, ...content.layers.map(({ digest }) => digest));
    const config = parseImageConfig(await this.#document(content.config, false, opts));
    checkShape(manifest.digest, content, config);
    const chain = chainIds(config.rootfs.diff_ids);
    lease.add(...chain);
    await this.#layers(content.layers, config.rootfs.diff_ids, chain, opts);
    return await this.#store.add({ manifest: manifest.digest });
  }

  /** What a digest stands for, once its document is here. Take a lease on it. A failure is told at once. */
  async describe(digest: Digest, opts: FetchOpts): Promise<Descriptor> {
    const bytes = await this.#document({ digest }, true, { ...opts, retries: false });
    return { mediaType: manifestTypeOf(bytes, undefined), digest, size: bytes.length };
  }

  async #choose(target: Descriptor, lease: Lease, opts: FetchOpts): Promise<Descriptor> {
    const index = parseIndex(await this.#document(target, true, opts));
    const wanted = opts.platform ?? HOST_PLATFORM;
    const chosen = choosePlatform(index.manifests, wanted);
    if (!chosen) {
      throw new ShoalError(
        'NOT_FOUND',
        `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`,
      );
    }
    lease.add(chosen.digest);
    if (!isIndexType(chosen.mediaType)) return chosen;
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `index ${target.digest} has an index within, which is not supported`,
    );
  }

  /** A document, from here or the source. */
  async #document(
    { digest, size }: Pick<Descriptor, 'digest'> & Partial<Descriptor>,
    isManifest: boolean,
    opts: FetchOpts & { readonly retries?: boolean },
  ): Promise<Buffer> {
    const { blobs } = this.#store;
    await this.#blobs.run(
      digest,
      opts.signal,
      () => blobs.has(digest) || undefined,
      async () => {
        const ingest = async (from: ContentSource): Promise<void> => {
          const get = async (): Promise<AsyncIterable<Uint8Array>> =>
            one(await from.document(digest, isManifest, opts.signal));
          await blobs.ingest(digest, get, {
            ...(size !== undefined && { size }),
            ...(opts.retries !== false && { retry: this.#retry(opts) }),
            signal: opts.signal,
          });
        };
        await fromAny(opts.source, ingest, opts.signal);
        return true;
      },
    );
    return await blobs.read(digest);
  }

  async #layers(
    layers: readonly Descriptor[],
    diffIds: readonly Digest[],
    chain: readonly Digest[],
    opts: FetchOpts,
  ): Promise<void> {
    const stop = new AbortController();
    const signal = opts.signal ? AbortSignal.any([opts.signal, stop.signal]) : stop.signal;
    const within = { ...opts, signal };
    const isHere = (index: number): boolean => this.#isUnpacked(layers, chain, index);
    for (const [index, { digest }] of layers.entries()) {
      opts.progress({ id: shortId(digest), status: isHere(index) ? 'Already exists' : 'Pulling fs layer' });
    }
    const downloads = layers.map((layer, index) =>
      isHere(index) ? Promise.resolve() : this.#download(layer, within),
    );
    // One failure stops the rest, and none is left running when this ends.
    for (const download of downloads) download.catch((error: unknown) => stop.abort(error));
    try {
      for (const [index, layer] of layers.entries()) {
        if (isHere(index)) continue;
        await downloads[index];
        await this.#unpackWhole(layer, diffIds.slice(0, index + 1), within);
      }
    } catch (error) {
      stop.abort(error);
      throw error;
    } finally {
      await Promise.allSettled(downloads);
    }
  }

  #isUnpacked(layers: readonly Descriptor[], chain: readonly Digest[], index: number): boolean {
    const isUnpacked = this.#store.layerStore.get(chain[index] as Digest) !== undefined;
    return isUnpacked && this.#store.blobs.has((layers[index] as Descriptor).digest);
  }

  async #download({ digest, size }: Descriptor, opts: FetchOpts): Promise<void> {
    const { blobs } = this.#store;
    const id = shortId(digest);
    if (this.#downloads.inside >= DOWNLOADS_MAX) opts.progress({ id, status: 'Waiting' });
    const make = async (): Promise<true> => {
      const ingest = (from: ContentSource): Promise<void> =>
        blobs.ingest(digest, (offset) => from.blob(digest, offset, opts.signal, size), {
          size,
          signal: opts.signal,
          retry: this.#retry(opts),
          onProgress: (current) => opts.progress({ id, status: 'Downloading', current, total: size }),
        });
      await fromAny(opts.source, ingest, opts.signal);
      return true;
    };
    const there = (): true | undefined => blobs.has(digest) || undefined;
    await this.#downloads.run(() => this.#blobs.run(digest, opts.signal, there, make), opts.signal);
    opts.progress({ id, status: 'Verifying Checksum' });
    opts.progress({ id, status: 'Download complete' });
  }

  /** What was here before may have been damaged since: then it is fetched again. */
  async #unpackWhole(layer: Descriptor, diffIds: readonly Digest[], opts: FetchOpts): Promise<void> {
    try {
      await this.#unpack(layer, diffIds, opts);
    } catch (error) {
      opts.signal?.throwIfAborted();
      if (!isWrong(error) || (await this.#store.blobs.isUndamaged(layer.digest))) throw error;
      await this.#download(layer, opts);
      await this.#unpack(layer, diffIds, opts);
    }
  }

  async #unpack({ digest, size }: Descriptor, diffIds: readonly Digest[], opts: FetchOpts): Promise<void> {
    const id = shortId(digest);
    const extracting = (current: number): void =>
      opts.progress({ id, status: 'Extracting', current, total: size });
    await this.#store.layerStore.unpack(diffIds, this.#store.blobs.path(digest), {
      signal: opts.signal,
      onProgress: extracting,
    });
    extracting(size);
    opts.progress({ id, status: 'Pull complete' });
  }

  /** What may pass by itself is tried again, after a while. */
  #retry(opts: FetchOpts): (error: unknown, attempt: number) => Promise<boolean> {
    return async (error, attempt) => {
      const code = codeOf(error);
      const mayPass = code === 'INTERNAL' || FAILURES[code].retry;
      if (!mayPass || attempt + 1 >= ATTEMPTS_MAX) return false;
      await this.#store.modules.clock.sleep(backoffMs(RETRY, attempt, systemRandom), opts.signal);
      return true;
    };
  }
}

/** The content is not what it should be. */
function isWrong(error: unknown): boolean {
  return ['FAILED_PRECONDITION', 'INVALID_ARGUMENT'].includes(codeOf(error));
}

/** Asks a source, and whoever else there is when that gave something else than was asked for. */
async function fromAny(
  source: ContentSource,
  ingest: (from: ContentSource) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await ingest(source);
  } catch (error) {
    signal?.throwIfAborted();
    if (!isWrong(error) || !source.otherwise) throw error;
    // What the other says is no better to know than what was wrong with the first.
    await ingest(source.otherwise).catch(() => Promise.reject(error));
  }
}

function checkShape(digest: Digest, content: ImageManifest, config: ImageConfig): void {
  if (content.layers.length !== config.rootfs.diff_ids.length || !isDigest(content.config.digest)) {
    throw new ShoalError('INVALID_ARGUMENT', `manifest ${digest} and its config do not have the same layers`);
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** What a document is called when only its bytes are known. */
export function describe(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: sha256Of(bytes), size: bytes.length };
}
