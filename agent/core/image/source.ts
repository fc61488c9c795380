import { codeOf, FAILURES, ShoalError } from '#proto/base/errors.ts';
import type { ContentPeers } from '../engine.ts';
import type { Digest } from './digest.ts';
import { DOCUMENT_BYTES_MAX } from './oci.ts';

/** Somewhere that image content can be read from. Nothing it gives is trusted: who reads checks the digest. */
export interface ContentSource {
  /** A manifest, index or config as a whole. */
  document(digest: Digest, isManifest: boolean, signal?: AbortSignal): Promise<Uint8Array>;
  /** A blob from an offset on. */
  blob(digest: Digest, offset: number, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Whom to ask when this gave something else than was asked for. */
  readonly otherwise?: ContentSource;
}

/** The other nodes of the cluster. NOT_FOUND for what none of them has. */
export function fromPeers(peers: ContentPeers): ContentSource {
  const blob: ContentSource['blob'] = async (digest, offset, signal) => {
    const found = await peers.read(digest, offset, signal);
    if (!found) throw new ShoalError('NOT_FOUND', `no node has ${digest}`);
    return found;
  };
  return {
    blob,
    document: async (digest, _isManifest, signal) => await collect(await blob(digest, 0, signal)),
  };
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
    blob: (digest, offset, signal) => ask((source) => source.blob(digest, offset, signal), signal),
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
