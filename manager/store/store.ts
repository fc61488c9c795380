import type { Clock } from '#proto/base/clock.ts';
import type { Histogram, Metrics } from '#proto/base/metrics.ts';
import type { Random } from '#proto/base/random.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Change, Expectation } from './changes.ts';
import type { StoreMachine } from './machine.ts';
import { Proposer, type ProposerOpts } from './proposer.ts';
import type { Draft, EventBatch, Store, StoreView } from './view.ts';

export interface ReplicatedStoreModules {
  readonly machine: StoreMachine;
  readonly consensus: Pick<Consensus, 'propose' | 'leadership' | 'readBarrier'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
}

const LATENCY_BUCKETS_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** The Store of a manager: reads its own replica, writes through the log. */
export class ReplicatedStore implements Store, AsyncDisposable {
  readonly #modules: ReplicatedStoreModules;
  readonly #proposer: Proposer;
  readonly #readSeconds: Histogram;
  readonly #writeSeconds: Histogram;

  constructor(opts: ProposerOpts, modules: ReplicatedStoreModules) {
    this.#modules = modules;
    this.#proposer = new Proposer(opts, modules);
    const latency = (name: string, help: string): Histogram =>
      modules.metrics.histogram(name, help, LATENCY_BUCKETS_SECONDS);
    // Swarm's names. Its reads wait for a lock; ours for the proof that the view is fresh.
    this.#readSeconds = latency('swarm_store_read_tx_latency_seconds', 'Wait for a view that is up to date');
    this.#writeSeconds = latency('swarm_store_write_tx_latency_seconds', 'Time until a write is applied');
  }

  view(): StoreView {
    return this.#modules.machine.view();
  }

  draft(): Draft {
    return this.#modules.machine.draft(this.#modules.clock.wallMs());
  }

  update(transaction: {
    readonly expects?: readonly Expectation[];
    readonly changes: readonly Change[];
  }): Promise<number> {
    const { expects = [], changes } = transaction;
    const atMs = Math.floor(this.#modules.clock.wallMs());
    return this.#timed(this.#writeSeconds, () => this.#proposer.submit({ atMs, expects, changes }));
  }

  subscribe(applied: (batch: EventBatch) => void): () => void {
    return this.#modules.machine.subscribe(applied);
  }

  watchFrom(version: number, applied: (batch: EventBatch) => void): (() => void) | undefined {
    return this.#modules.machine.watchFrom(version, applied);
  }

  readBarrier(signal?: AbortSignal): Promise<void> {
    return this.#timed(this.#readSeconds, () => this.#modules.consensus.readBarrier(signal));
  }

  /** Writes still waiting fail; the replica stays readable. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#proposer.stop();
  }

  async #timed<T>(histogram: Histogram, run: () => Promise<T>): Promise<T> {
    const startedMs = this.#modules.clock.monotonicMs();
    try {
      return await run();
    } finally {
      histogram.observe((this.#modules.clock.monotonicMs() - startedMs) / 1000);
    }
  }
}
