import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Random } from '#proto/base/random.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type {
  ContentPeers as ContentPeersOfEngine,
  PeerContent,
  PeerReadOpts,
  ResolvedImage,
} from '../engine.ts';
import { Keepers, type Peer } from './keepers.ts';
import {
  type Asked,
  begun,
  type Given,
  type Holder,
  inOrder,
  laneOf,
  nearOf,
  type Offer,
  opened,
  type Want,
} from './offers.ts';
import { striped } from './striped.ts';
import { NO_TURN, type Turns } from './turns.ts';

export interface ContentPeersModules {
  readonly dialer: RpcDialer;
  /** This node's id, as the others know it. */
  readonly nodeId: () => string;
  /** Those that this node keeps for all. */
  readonly turns: Turns;
  /** Every other node that is up, at this moment. */
  readonly peers: () => readonly Peer[];
  readonly clock: Clock;
  readonly random: Random;
}

/** In a large cluster a random part is asked at a time: enough to find what is common, not enough to be a storm. */
const ASKED_AT_ONCE = 32;
const ANSWER_MS_MAX = 2_000;
/** How long a busy cluster is waited for. Each node that has got the blob is one more that gives it. */
const BUSY_ROUNDS_MAX = 300;
const BUSY = { firstMs: 100, maxMs: 2_000 } as const;
/** Blobs of at least this size come from several nodes at once, when several have nothing else to give. */
const STRIPED_BYTES_MIN = 16 * 1024 * 1024;
const LANES_MAX = 3;

/**
 * Other nodes as a source of image content: the nearest of those that have it, and of them the least busy. What nobody has
 * is fetched by one node after the other (turns.ts), while the others read along, or from those that have it by then.
 */
export class ContentPeers implements ContentPeersOfEngine {
  readonly #modules: ContentPeersModules;
  readonly #keepers: Keepers;

  constructor(modules: ContentPeersModules) {
    this.#modules = modules;
    this.#keepers = new Keepers(modules);
  }

  async resolve(reference: string, signal?: AbortSignal): Promise<ResolvedImage | undefined> {
    for (const group of this.#groups(this.#modules.peers())) {
      const found = await firstFound(group, async ({ client }) => {
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

  async read(digest: string, offset: number, opts: PeerReadOpts = {}): Promise<PeerContent> {
    const want: Want = { digest, offset, ...opts };
    for (let round = 0; round < BUSY_ROUNDS_MAX; round++) {
      // Who waits need not ask everybody each time.
      const offer = await this.#offered(want, round === 0 ? Number.POSITIVE_INFINITY : 1);
      if (typeof offer === 'object') return offer;
      const content = offer === 'nowhere' ? await this.#turn(want, round > 0) : undefined;
      if (content) return content;
      await this.#modules.clock.sleep(backoffMs(BUSY, round, this.#modules.random), opts.signal);
    }
    return { turn: NO_TURN };
  }

  async #offered(want: Want, groupsMax: number): Promise<Offer> {
    const holders = await this.#holders(want, groupsMax);
    const lanes = lanesTo(holders, want);
    const several = lanes && (await begun(lanes, want.signal));
    if (typeof several === 'object') return several;
    let offer: Offer = 'nowhere';
    for (const holder of holders) {
      const answer = await opened(holder, want);
      if (typeof answer === 'object') return answer;
      if (answer === 'busy') offer = answer;
    }
    return offer;
  }

  /** This node's turn to fetch what nobody has; what those give whose turn it is; undefined: later. */
  async #turn(want: Want, mayBeSomewhere: boolean): Promise<PeerContent | undefined> {
    const asked = await this.#keepers.ask(want.digest, want.signal);
    if ('turn' in asked) {
      const offer = mayBeSomewhere ? await this.#offered(want, Number.POSITIVE_INFINITY) : 'nowhere';
      if (typeof offer === 'object') return offer;
      return offer === 'nowhere' ? asked : undefined;
    }
    for (const peer of this.#others(want).filter(({ nodeId }) => asked.fetching.includes(nodeId))) {
      const offer = await opened(this.#asked(peer), want);
      if (typeof offer === 'object') return offer;
    }
    return undefined;
  }

  /** Who has a blob, in the order in which to ask for it. */
  async #holders(want: Want, groupsMax: number): Promise<Holder[]> {
    for (const group of this.#groups(this.#others(want)).take(groupsMax)) {
      const answers = await Promise.all(group.map((asked) => this.#holder(asked, want)));
      want.signal?.throwIfAborted();
      const holders = answers.filter((answer) => answer !== undefined);
      if (holders.length > 0) return inOrder(holders);
    }
    return [];
  }

  async #holder(asked: Asked, { digest, signal }: Want): Promise<Holder | undefined> {
    const { clock } = this.#modules;
    const askedAtMs = clock.monotonicMs();
    try {
      const { digests, readsInProgress } = await asked.client.have({ digests: [digest] }, this.#call(signal));
      const answerMs = clock.monotonicMs() - askedAtMs;
      return digests.includes(digest) ? { ...asked, reads: readsInProgress, answerMs } : undefined;
    } catch {
      return undefined;
    }
  }

  #call(signal: AbortSignal | undefined): { signal?: AbortSignal; timeoutMs: number } {
    return { timeoutMs: ANSWER_MS_MAX, ...(signal && { signal }) };
  }

  #others({ except = [] }: Want): Peer[] {
    return this.#modules.peers().filter(({ nodeId }) => !except.includes(nodeId));
  }

  #asked({ nodeId, address }: Peer): Asked {
    return { nodeId, client: this.#modules.dialer.client('Content', address, 'node') };
  }

  /** Peers in random order, so that equals share the work, some at a time. */
  *#groups(peers: readonly Peer[]): Generator<Asked[]> {
    const { random } = this.#modules;
    const shuffled = peers.map((peer) => ({ peer, at: random.next() })).sort((a, b) => a.at - b.at);
    for (let at = 0; at < shuffled.length; at += ASKED_AT_ONCE) {
      yield shuffled.slice(at, at + ASKED_AT_ONCE).map(({ peer }) => this.#asked(peer));
    }
  }
}

/** A large blob from several idle nodes; undefined when it is small, or there are not several. */
function lanesTo(holders: readonly Holder[], { digest, offset, size, signal }: Want): Given | undefined {
  if (size === undefined || size - offset < STRIPED_BYTES_MIN) return undefined;
  const idle = nearOf(holders).filter(({ reads }) => reads === 0);
  if (idle.length < 2) return undefined;
  const givers = idle.slice(0, LANES_MAX);
  const lanes = givers.map((giver) => laneOf(giver, digest));
  const chunks = striped(lanes, { from: offset, to: size }, signal);
  return { chunks, from: givers.map(({ nodeId }) => nodeId) };
}

/** The first answer that is one; undefined when all have none or fail. */
async function firstFound<T>(
  all: readonly Asked[],
  ask: (asked: Asked) => Promise<T | undefined>,
): Promise<T | undefined> {
  const answers = all.map(async (client) => {
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
