import { codeOf, ShoalError } from '#proto/base/errors.ts';
import type { Implementation } from '#proto/rpc/types.ts';
import type { Images } from '../engine.ts';
import { isDigest } from './digest.ts';

/**
 * Reads at a time that one node gives its peers; more are told to ask another, or later. Few: when many nodes want the same
 * at once, whoever has got it soon gives it on, which is faster than all of them sharing one line.
 */
const READS_MAX = 3;
/** Manifests and configs, which are over before anybody else would have been asked. */
const SMALL_BYTES_MAX = 256 * 1024;
/** Digests in one question. */
const DIGESTS_MAX = 1000;
/** Bytes of one message: large enough to cost little, small enough that many streams share a line fairly. */
const CHUNK_BYTES = 256 * 1024;

export interface ContentServiceOpts {
  readonly readsMax?: number;
}

export interface ContentServiceModules {
  readonly images: Pick<Images, 'has' | 'open' | 'resolveLocal'> & {
    /** Undefined when it is not here. Without: nothing is small. */
    readonly size?: (digest: string) => number | undefined;
  };
}

/** What this node gives its peers: image content by digest (proto/content.proto). */
export function contentService(
  opts: ContentServiceOpts,
  { images }: ContentServiceModules,
): Implementation<'Content'> {
  const readsMax = opts.readsMax ?? READS_MAX;
  let reads = 0;
  return {
    resolve({ reference }) {
      const found = resolved(images, reference);
      if (!found) return Promise.resolve({ found: false });
      return Promise.resolve({ found: true, ...found });
    },

    have({ digests }) {
      const known = digests.slice(0, DIGESTS_MAX).filter((digest) => isDigest(digest) && images.has(digest));
      return Promise.resolve({ digests: known, readsInProgress: reads });
    },

    async *read({ digest, offset }, call) {
      if (!isDigest(digest)) throw new ShoalError('INVALID_ARGUMENT', `${digest} is no digest`);
      if ((images.size?.(digest) ?? Number.POSITIVE_INFINITY) <= SMALL_BYTES_MAX) {
        return yield* pieces(images.open(digest, offset), call.signal);
      }
      if (reads >= readsMax) {
        throw new ShoalError(
          'RESOURCE_EXHAUSTED',
          `this node gives ${reads} blobs already: ask another, or later`,
        );
      }
      reads += 1;
      try {
        yield* pieces(images.open(digest, offset), call.signal);
      } finally {
        reads -= 1;
      }
    },
  };
}

async function* pieces(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<{ data: Uint8Array }> {
  for await (const data of chunks) {
    signal.throwIfAborted();
    for (let at = 0; at < data.length; at += CHUNK_BYTES) yield { data: data.subarray(at, at + CHUNK_BYTES) };
  }
}

/** A reference that is none is simply not found. */
function resolved(
  images: Pick<Images, 'resolveLocal'>,
  reference: string,
): ReturnType<Images['resolveLocal']> {
  try {
    return images.resolveLocal(reference);
  } catch (error) {
    if (codeOf(error) === 'INVALID_ARGUMENT') return undefined;
    throw error;
  }
}
