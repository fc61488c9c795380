import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { codeOf } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import type { Client, RpcDialer } from '#proto/rpc/types.ts';
import type { ContentPeers as ContentPeersOfEngine, ResolvedImage } from '../engine.ts';

export interface ContentPeersModules {
  readonly dialer: RpcDialer;
  /** host:port of every other node that is up, at this moment. */
  readonly peers: () => readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

/** In a large cluster a random part is asked at a time: enough to find what is common, not enough to be a storm. */
const ASKED_AT_ONCE = 32;
const ANSWER_MS_MAX = 2_000;
/** How long a busy cluster is waited for. Each node that has got the blob is one more that gives it. */
const BUSY_ROUNDS_MAX = 300;
const BUSY = { firstMs: 100, maxMs: 2_000 } as const;

type ContentClient = Client<'Content'>;

/** A node that takes so much longer to answer than the first is somewhere else. */
const FAR = { times: 4, ms: 5 } as const;

interface Holder {
  readonly client: ContentClient;
  readonly reads: number;
  readonly answerMs: number;
}

/** Other nodes as a source of image content: the nearest of those that have it, and of them the least busy. */
export class ContentPeers implements ContentPeersOfEngine {
  readonly #modules: ContentPeersModules;

  constructor(modules: ContentPeersModules) {
    this.#modules = modules;
  }

  async resolve(reference: string, signal?: AbortSignal): Promise<ResolvedImage | undefined> {
    for (const group of this.#groups()) {
      const found = await firstFound(group, async (client) => {
        const reply = await client.resolve({ reference }, this.#call(signal));
        return reply.found ? reply : undefined;
      });
      signal?.throwIfAborted();
      if (!found) continue;
      const { digest, mediaType, size, mayHaveMoved } = found;
      const platforms = found.platforms.map(({ architecture, os, variant }) => ({
        architecture,
        os,
        ...(variant !== '' && { variant }),
      }));
      return { digest, mediaType, size, platforms, mayHaveMoved };
    }
    return undefined;
  }

  async read(
    digest: string,
    offset: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    for (let round = 0; round < BUSY_ROUNDS_MAX; round++) {
      const holders = await this.#holders(digest, signal);
      if (holders.length === 0) return undefined;
      for (const { client } of holders) {
        const chunks = await opened(client, digest, offset, signal);
        if (chunks) return chunks;
      }
      await this.#modules.clock.sleep(backoffMs(BUSY, round, this.#modules.random), signal);
    }
    return undefined;
  }

  /** Who has a blob, in the order in which to ask for it. */
  async #holders(digest: string, signal?: AbortSignal): Promise<Holder[]> {
    for (const group of this.#groups()) {
      const answers = await Promise.all(group.map((client) => this.#holder(client, digest, signal)));
      signal?.throwIfAborted();
      const holders = answers.filter((answer) => answer !== undefined);
      if (holders.length > 0) return inOrder(holders);
    }
    return [];
  }

  async #holder(client: ContentClient, digest: string, signal?: AbortSignal): Promise<Holder | undefined> {
    const { clock } = this.#modules;
    const askedAtMs = clock.monotonicMs();
    try {
      const { digests, readsInProgress } = await client.have({ digests: [digest] }, this.#call(signal));
      const answerMs = clock.monotonicMs() - askedAtMs;
      return digests.includes(digest) ? { client, reads: readsInProgress, answerMs } : undefined;
    } catch {
      return undefined;
    }
  }

  #call(signal: AbortSignal | undefined): { signal?: AbortSignal; timeoutMs: number } {
    return { timeoutMs: ANSWER_MS_MAX, ...(signal && { signal }) };
  }

  /** All peers in random order, so that equals share the work, some at a time. */
  *#groups(): Generator<ContentClient[]> {
    const { dialer, peers, random } = this.#modules;
    const addresses = peers()
      .map((address) => ({ address, at: random.next() }))
      .sort((a, b) => a.at - b.at);
    for (let at = 0; at < addresses.length; at += ASKED_AT_ONCE) {
      const group = addresses.slice(at, at + ASKED_AT_ONCE);
      yield group.map(({ address }) => dialer.client('Content', address, 'node'));
    }
  }
}

/** Near ones first, of them the least busy; equals stay in their order, which is random. */
function inOrder(holders: readonly Holder[]): Holder[] {
  const nearestMs = Math.min(...holders.map(({ answerMs }) => answerMs));
  const farFromMs = nearestMs * FAR.times + FAR.ms;
  const isFar = ({ answerMs }: Holder): number => (answerMs > farFromMs ? 1 : 0);
  return holders.toSorted((a, b) => isFar(a) - isFar(b) || a.reads - b.reads);
}

/** The first answer that is one; undefined when all have none or fail. */
async function firstFound<T>(
  clients: readonly ContentClient[],
  ask: (client: ContentClient) => Promise<T | undefined>,
): Promise<T | undefined> {
  const answers = clients.map(async (client) => {
    const answer = await ask(client);
    if (answer === undefined) throw new Error('not found');
    return answer;
  });
  try {
    return await Promise.any(answers);
  } catch {
    return undefined;
  }
}

/** Begins to read; undefined when the node is busy, has it no longer, or is gone. Later failures are the reader's. */
async function opened(
  client: ContentClient,
  digest: string,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const stream = client.read({ digest, offset }, signal ? { signal } : {})[Symbol.asyncIterator]();
  try {
    const first = await stream.next();
    return rest(first, stream);
  } catch (error) {
    signal?.throwIfAborted();
    const mayBeElsewhere = ['RESOURCE_EXHAUSTED', 'NOT_FOUND', 'UNAVAILABLE', 'DEADLINE_EXCEEDED'];
    if (mayBeElsewhere.includes(codeOf(error))) return undefined;
    throw error;
  }
}

async function* rest(
  first: IteratorResult<{ data: Uint8Array }>,
  stream: AsyncIterator<{ data: Uint8Array }>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let item = first; !item.done; item = await stream.next()) yield item.value.data;
  } finally {
    await stream.return?.();
  }
}
