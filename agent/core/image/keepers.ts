import { createHash } from 'node:crypto';
import type { Clock } from '#proto/base/clock.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { FetchTurn } from '../engine.ts';
import type { Digest } from './digest.ts';
import { NO_TURN, TURN_MS, type TurnAnswer, type Turns } from './turns.ts';

/** Another node of the cluster, and where it gives image content. */
export interface Peer {
  readonly nodeId: string;
  /** host:port. */
  readonly address: string;
}

export interface KeepersModules {
  readonly dialer: RpcDialer;
  /** This node's id, as the others know it. */
  readonly nodeId: () => string;
  /** Those that this node keeps. */
  readonly turns: Turns;
  /** Every other node that is up, at this moment. */
  readonly peers: () => readonly Peer[];
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** Nodes that are asked one after the other, when those before them are gone. */
const KEEPERS_MAX = 8;
const ANSWER_MS_MAX = 2_000;
/** How often a node says that its fetch goes on. */
const RENEW_MS = TURN_MS / 4;

/** A node that may fetch a blob from a registry, or the nodes that do. */
export type Granted = { readonly turn: FetchTurn } | { readonly fetching: readonly string[] };

type Keeper = (failed: boolean, signal?: AbortSignal) => Promise<TurnAnswer>;

/**
 * Whom a node asks before it fetches from a registry. Each blob has its keepers, the same ones wherever they are looked for
 * (rendezvous hashing): they say whose turn it is, and neither see credentials nor fetch anything themselves.
 */
export class Keepers {
  readonly #modules: KeepersModules;

  constructor(modules: KeepersModules) {
    this.#modules = modules;
  }

  /** A turn, or who has it. Where no keeper can be asked, everybody may. */
  async ask(digest: Digest, signal?: AbortSignal): Promise<Granted> {
    for (const keeper of this.#of(digest)) {
      try {
        const { granted, fetching } = await keeper(false, signal);
        return granted ? { turn: this.#turn(keeper) } : { fetching };
      } catch {
        signal?.throwIfAborted();
      }
    }
    return { turn: NO_TURN };
  }

  #turn(keeper: Keeper): FetchTurn {
    const { clock } = this.#modules;
    let saidAtMs = clock.monotonicMs();
    const tell = (failed: boolean): void => {
      saidAtMs = clock.monotonicMs();
      // A keeper that is gone keeps nobody waiting.
      keeper(failed).catch(() => undefined);
    };
    return {
      moved: () => {
        if (clock.monotonicMs() - saidAtMs >= RENEW_MS) tell(false);
      },
      failed: () => tell(true),
    };
  }

  #of(digest: Digest): Keeper[] {
    const { nodeId, peers } = this.#modules;
    const nodes = [{ nodeId: nodeId(), address: undefined }, ...peers()];
    return nodes
      .map((node) => ({ ...node, rank: rankOf(digest, node.nodeId) }))
      .sort((a, b) => b.rank.compare(a.rank))
      .slice(0, KEEPERS_MAX)
      .map(({ address }) => (address === undefined ? this.#here(digest) : this.#at(address, digest)));
  }

  #here(digest: Digest): Keeper {
    const { nodeId, turns } = this.#modules;
    return (failed) => Promise.resolve(turns.take({ digest, failed }, nodeId()));
  }

  #at(address: string, digest: Digest): Keeper {
    const client = this.#modules.dialer.client('Content', address, 'node');
    return (failed, signal) =>
      client.turn({ digest, failed }, { timeoutMs: ANSWER_MS_MAX, ...(signal && { signal }) });
  }
}

function rankOf(digest: Digest, nodeId: string): Buffer {
  return createHash('sha256').update(`${digest} ${nodeId}`).digest();
}
