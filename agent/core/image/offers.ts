import { codeOf } from '#proto/base/errors.ts';
import type { Client } from '#proto/rpc/types.ts';
import type { PeerReadOpts } from '../engine.ts';
import type { Lane } from './striped.ts';

export type ContentClient = Client<'Content'>;

/** A node that may be asked. */
export interface Asked {
  readonly nodeId: string;
  readonly client: ContentClient;
}

/** A node that has a blob. */
export interface Holder extends Asked {
  /** Blobs that it gives at the moment. */
  readonly reads: number;
  readonly answerMs: number;
}

export interface Want extends PeerReadOpts {
  readonly digest: string;
  readonly offset: number;
}

/** A stream that has begun; or those who have the blob give others all they can; or there is none to be had. */
export type Offer = Given | 'busy' | 'nowhere';

export interface Given {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Ids of the nodes that give it. */
  readonly from: readonly string[];
}

/** A node that takes so much longer to answer than the first is somewhere else. */
const FAR = { times: 4, ms: 5 } as const;

/** Those that are no further away than the nearest. */
export function nearOf(holders: readonly Holder[]): Holder[] {
  const nearestMs = Math.min(...holders.map(({ answerMs }) => answerMs));
  return holders.filter(({ answerMs }) => answerMs <= nearestMs * FAR.times + FAR.ms);
}

/** Near ones first, of them the least busy; equals stay in their order, which is random. */
export function inOrder(holders: readonly Holder[]): Holder[] {
  const near = new Set(nearOf(holders));
  const farness = (holder: Holder): number => (near.has(holder) ? 0 : 1);
  return holders.toSorted((a, b) => farness(a) - farness(b) || a.reads - b.reads);
}

/** Begins to read from one node. Later failures are the reader's. */
export async function opened({ nodeId, client }: Asked, { digest, offset, signal }: Want): Promise<Offer> {
  const chunks = dataOf(client.read({ digest, offset }, signal ? { signal } : {}));
  return await begun({ chunks, from: [nodeId] }, signal);
}

/** What one node gives, for those who take it in parts. */
export function laneOf({ client }: Asked, digest: string): Lane {
  return (offset, length, signal) => dataOf(client.read({ digest, offset, length }, { signal }));
}

/** Waits for the first of a stream: only then it is known whether there is any. */
export async function begun({ chunks, from }: Given, signal?: AbortSignal): Promise<Offer> {
  const stream = chunks[Symbol.asyncIterator]();
  try {
    return { chunks: rest(await stream.next(), stream), from };
  } catch (error) {
    signal?.throwIfAborted();
    return codeOf(error) === 'RESOURCE_EXHAUSTED' ? 'busy' : 'nowhere';
  }
}

async function* dataOf(messages: AsyncIterable<{ readonly data: Uint8Array }>): AsyncGenerator<Uint8Array> {
  for await (const { data } of messages) yield data;
}

async function* rest(
  first: IteratorResult<Uint8Array>,
  stream: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let item = first; !item.done; item = await stream.next()) yield item.value;
  } finally {
    await stream.return?.();
  }
}
