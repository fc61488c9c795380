import type { Clock } from '#proto/base/clock.ts';
import type { Consensus, Leadership } from './consensus.ts';

export interface Leaderless {
  /** Wall-clock milliseconds; after a start of the daemon, that start. */
  readonly sinceMs: number;
  readonly forMs: number;
}

/** Remembers since when nobody is known to lead. */
export class LeadWatch implements Disposable {
  readonly #clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  readonly #unfollow: () => void;
  #since: { readonly wallMs: number; readonly monotonicMs: number } | undefined;

  constructor({
    consensus,
    clock,
  }: {
    readonly consensus: Pick<Consensus, 'leadership' | 'onLeadership'>;
    readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  }) {
    this.#clock = clock;
    const follow = ({ leader }: Leadership): void => {
      if (leader !== undefined) this.#since = undefined;
      else this.#since ??= { wallMs: Math.floor(clock.wallMs()), monotonicMs: clock.monotonicMs() };
    };
    this.#unfollow = consensus.onLeadership(follow);
    follow(consensus.leadership());
  }

  /** Undefined while somebody leads. */
  leaderless(): Leaderless | undefined {
    const since = this.#since;
    if (since === undefined) return undefined;
    return { sinceMs: since.wallMs, forMs: this.#clock.monotonicMs() - since.monotonicMs };
  }

  [Symbol.dispose](): void {
    this.#unfollow();
  }
}
