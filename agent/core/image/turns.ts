import type { Clock } from '#proto/base/clock.ts';
import type { FetchTurn } from '../engine.ts';
import type { Digest } from './digest.ts';

/** Of a fetch for which nobody waits: nobody is told. */
export const NO_TURN: FetchTurn = { moved: () => undefined, failed: () => undefined };

/** A turn that nobody has asked for again ends by itself: its node is gone, or its registry gives nothing. */
export const TURN_MS = 10_000;
/** A fetch that takes so long may be slow because of its node: one more may try. */
const SLOW_MS = 60_000;
const SLOW_MORE_MAX = 2;
/** However often it failed. */
const AT_ONCE_MAX = 64;
/** Failures are no more held against a blob that nobody has asked for in so long. */
const FORGIVEN_MS = 60_000;
/** Blobs that are remembered; what was asked for longest ago is forgotten. */
const BLOBS_MAX = 10_000;

export interface TurnAnswer {
  readonly granted: boolean;
  /** The nodes whose turn it is. */
  readonly fetching: readonly string[];
}

interface Fetched {
  /** Until when, by node. */
  readonly turns: Map<string, number>;
  /** When the first of these turns began. */
  sinceMs: number;
  askedAtMs: number;
  failures: number;
}

/**
 * Who may fetch a blob from a registry at the moment, as one node keeps it for all others. One at a time; after each failure
 * twice as many, so that a broken node, or one that the registry does not let in, does not keep the others for long.
 */
export class Turns {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #blobs = new Map<Digest, Fetched>();

  constructor(modules: { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#clock = modules.clock;
  }

  /** A node asks for its turn, or gives it back because its fetch failed. */
  take(
    { digest, failed }: { readonly digest: Digest; readonly failed: boolean },
    nodeId: string,
  ): TurnAnswer {
    if (!failed) return this.ask(digest, nodeId);
    this.failed(digest, nodeId);
    return { granted: false, fetching: [] };
  }

  /** Whether it is this node's turn. Whose turn it is asks again in time, as long as bytes come. */
  ask(digest: Digest, nodeId: string): TurnAnswer {
    const nowMs = this.#clock.monotonicMs();
    const blob = this.#touched(digest, nowMs);
    const { turns } = blob;
    const slowMore = Math.min(SLOW_MORE_MAX, Math.floor((nowMs - blob.sinceMs) / SLOW_MS));
    const atOnceMax = Math.min(AT_ONCE_MAX, 2 ** blob.failures) + slowMore;
    const granted = turns.has(nodeId) || turns.size < atOnceMax;
    if (granted) turns.set(nodeId, nowMs + TURN_MS);
    return { granted, fetching: [...turns.keys()] };
  }

  /** A node gives its turn back: it could not fetch the blob. */
  failed(digest: Digest, nodeId: string): void {
    const blob = this.#blobs.get(digest);
    if (blob?.turns.delete(nodeId)) blob.failures += 1;
  }

  /** What is known of a blob, without the turns that have ended. */
  #touched(digest: Digest, nowMs: number): Fetched {
    const blob = this.#blobs.get(digest) ?? {
      turns: new Map(),
      sinceMs: nowMs,
      askedAtMs: nowMs,
      failures: 0,
    };
    for (const [nodeId, untilMs] of blob.turns) if (untilMs <= nowMs) blob.turns.delete(nodeId);
    if (nowMs - blob.askedAtMs >= FORGIVEN_MS) blob.failures = 0;
    if (blob.turns.size === 0) blob.sinceMs = nowMs;
    blob.askedAtMs = nowMs;
    // Last in line to be forgotten.
    this.#blobs.delete(digest);
    this.#blobs.set(digest, blob);
    if (this.#blobs.size > BLOBS_MAX) this.#blobs.delete([...this.#blobs.keys()][0] as Digest);
    return blob;
  }
}
