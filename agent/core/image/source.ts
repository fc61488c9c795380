import { codeOf, FAILURES, ShoalError } from '#proto/base/errors.ts';
import type { ContentPeers, FetchTurn } from '../engine.ts';
import type { Digest } from './digest.ts';
import type { Chunks } from './incoming.ts';
import { DOCUMENT_BYTES_MAX } from './oci.ts';

/** Somewhere that image content can be read from. Nothing it gives is trusted: who reads checks the digest. */
export interface ContentSource {
  /** A manifest, index or config as a whole. */
  document(digest: Digest, isManifest: boolean, signal?: AbortSignal): Promise<Uint8Array>;
  /** A blob from an offset on; `size` is that of all of it, where it is known. */
  blob(digest: Digest, offset: number, signal?: AbortSignal, size?: number): Promise<Chunks>;
  /** Whom to ask when this gave something else than was asked for. */
  readonly otherwise?: ContentSource;
}

/** Documents are asked for again by themselves: a node that gives one may leave meanwhile. */
const DOCUMENT_TRIES = 3;

/**
 * The other nodes of the cluster; what none of them has comes from where it was made, once it is this node's turn. A node
 * that gave something else than was asked for is not asked for it again.
 */
export function fromCluster(peers: ContentPeers, origin: ContentSource): ContentSource {
  const gave = new Map<Digest, Set<string>>();
  const noting: ContentPeers['read'] = async (digest, offset, opts) => {
    const found = await peers.read(digest, offset, opts);
    if ('turn' in found) return found;
    gave.set(digest, new Set([...(gave.get(digest) ?? []), ...found.from]));
    return found;
  };
  const others: ContentPeers['read'] = (digest, offset, opts) =>
    peers.read(digest, offset, { ...opts, except: [...(gave.get(digest) ?? [])] });
  return { ...readBy(noting, origin), otherwise: readBy(others, origin.otherwise ?? origin) };
}

function readBy(read: ContentPeers['read'], origin: ContentSource): ContentSource {
  const blob: ContentSource['blob'] = async (digest, offset, signal, size) => {
    const found = await read(digest, offset, { signal, size });
    if ('chunks' in found) return found.chunks;
    return during(found.turn, await inTurn(found.turn, () => origin.blob(digest, offset, signal, size)));
  };
  const document: ContentSource['document'] = async (digest, isManifest, signal) => {
    for (let attempt = 1; ; attempt++) {
      const found = await read(digest, 0, { signal });
      if ('turn' in found) return await inTurn(found.turn, () => origin.document(digest, isManifest, signal));
      try {
        return await collect(found.chunks);
      } catch (error) {
        signal?.throwIfAborted();
        if (attempt === DOCUMENT_TRIES) throw error;
      }
    }
  };
  return { blob, document };
}

/** Gives the turn back when nothing comes of it. */
async function inTurn<T>(turn: FetchTurn, fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (error) {
    turn.failed();
    throw error;
  }
}

/** What comes in a turn: it lasts as long as something comes. Others may read along. */
function during(turn: FetchTurn, chunks: AsyncIterable<Uint8Array>): Chunks {
  const moving = async function* (): AsyncGenerator<Uint8Array> {
    let isWhole = false;
    try {
      for await (const chunk of chunks) {
        turn.moved();
        yield chunk;
      }
      isWhole = true;
    } finally {
      // A turn that ends well is not given back: those who ask meanwhile are sent here.
      if (!isWhole) turn.failed();
    }
  };
  return { isFirstHand: true, [Symbol.asyncIterator]: moving };
}

/** The first of several that has something. When none has: a failure that may pass by itself, else the last one's. */
export function firstOf(sources: readonly ContentSource[]): ContentSource {
  const ask = async <T>(get: (source: ContentSource) => Promise<T>, signal?: AbortSignal): Promise<T> => {
    const failures: unknown[] = [new ShoalError('NOT_FOUND', 'there is nowhere to get image content from')];
    for (const source of sources) {
      try {
        return await get(source);
      } catch (error) {
        signal?.throwIfAborted();
        failures.push(error);
      }
    }
    throw failures.find((error) => FAILURES[codeOf(error)].retry) ?? failures.at(-1);
  };
  const last = sources.length > 1 ? sources.at(-1) : undefined;
  return {
    ...(last && { otherwise: last }),
    document: (digest, isManifest, signal) =>
      ask((source) => source.document(digest, isManifest, signal), signal),
    blob: (digest, offset, signal, size) =>
      ask((source) => source.blob(digest, offset, signal, size), signal),
  };
}

/** All of a stream that must be a document. */
export async function collect(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax = DOCUMENT_BYTES_MAX,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > bytesMax) throw new ShoalError('INVALID_ARGUMENT', `document of more than ${bytesMax} bytes`);
    parts.push(Buffer.from(chunk));
  }
  return Buffer.concat(parts);
}
