import { codeOf, ShoalError } from '#proto/base/errors.ts';
import type { Implementation } from '#proto/rpc/types.ts';
import type { Images } from '../engine.ts';
import { isDigest } from './digest.ts';
import type { Turns } from './turns.ts';

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
  /** Whose turn it is to fetch what this node keeps the turns of. */
  readonly turns: Turns;
}

/** What this node gives its peers: image content by digest (proto/content.proto). */
export function contentService(
  opts: ContentServiceOpts,
  { images, turns }: ContentServiceModules,
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

    turn({ digest, failed }, call) {
      if (!isDigest(digest)) throw new ShoalError('INVALID_ARGUMENT', `${digest} is no digest`);
      return Promise.resolve(turns.take({ digest, failed }, call.peer?.nodeId ?? call.peerAddr));
    },

    async *read({ digest, offset, length }, call) {
      if (!isDigest(digest)) throw new ShoalError('INVALID_ARGUMENT', `${digest} is no digest`);
      if ((images.size?.(digest) ?? Number.POSITIVE_INFINITY) <= SMALL_BYTES_MAX) {
        return yield* pieces(images.open(digest, offset, call.signal), call.signal, length);
      }
      if (reads >= readsMax) {
        throw new ShoalError(
          'RESOURCE_EXHAUSTED',
          `this node gives ${reads} blobs already: ask another, or later`,
        );
      }
      reads += 1;
      try {
        yield* pieces(images.open(digest, offset, call.signal), call.signal, length);
      } finally {
        reads -= 1;
      }
    },
  };
}

/** Content in messages; `length` bytes of it, or all when that is 0. */
async function* pieces(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  length: number,
): AsyncGenerator<{ data: Uint8Array }> {
  let left = length > 0 ? length : Number.POSITIVE_INFINITY;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    const data = chunk.length > left ? chunk.subarray(0, left) : chunk;
    for (let at = 0; at < data.length; at += CHUNK_BYTES) yield { data: data.subarray(at, at + CHUNK_BYTES) };
    left -= data.length;
    if (left <= 0) return;
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
