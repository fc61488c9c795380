import type { CommittedEntry, Consensus, StateMachine } from '#manager/consensus/consensus.ts';
import type { StoreMachine } from '#manager/store/machine.ts';
import { codeOf } from '#proto/base/errors.ts';
import type { Truth } from './truth.ts';

/** After every so many entries the whole state is compared; and with each snapshot. */
const HASH_EVERY = 16;

export interface WitnessOpts {
  readonly name: string;
  /** The term this member is in. */
  readonly term: () => number;
  /** Its process has ended: what it had begun comes to nothing. */
  readonly isGone: () => boolean;
}

export interface WitnessModules {
  readonly machine: Pick<StoreMachine, 'version' | 'hash'>;
  readonly truth: Truth;
}

/** A state machine whose every step is held against the truth. `inner` does the work; the machine says what came of it. */
export class WitnessedMachine implements StateMachine {
  readonly #opts: WitnessOpts;
  readonly #inner: StateMachine;
  readonly #modules: WitnessModules;
  restores = 0;

  constructor(opts: WitnessOpts, inner: StateMachine, modules: WitnessModules) {
    this.#opts = opts;
    this.#inner = inner;
    this.#modules = modules;
  }

  apply(entries: readonly CommittedEntry[]): void {
    const { truth, machine } = this.#modules;
    if (this.#opts.isGone()) return;
    for (const entry of entries) {
      if (entry.index !== machine.version + 1)
        truth.violate(`order: ${this.#opts.name} is to apply entry ${entry.index} after ${machine.version}`);
      truth.applied(this.#opts.name, this.#opts.term(), entry);
      this.#inner.apply([entry]);
      if (entry.index % HASH_EVERY === 0) this.hash();
    }
  }

  snapshot(): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
    this.hash();
    return this.#inner.snapshot();
  }

  async restore(chunks: AsyncIterable<Uint8Array>, index: number): Promise<void> {
    await this.#inner.restore(chunks, index);
    this.restores += 1;
    this.hash();
  }

  hash(): void {
    const { truth, machine } = this.#modules;
    if (!this.#opts.isGone()) truth.hash(this.#opts.name, machine.version, machine.hash());
  }
}

/** Consensus for a store, with what proposers are told held against the truth. */
export function witnessedConsensus(
  inner: Consensus,
  truth: Truth,
  isGone: () => boolean,
): Pick<Consensus, 'propose' | 'leadership' | 'readBarrier'> {
  return {
    leadership: () => inner.leadership(),
    readBarrier: (signal) => inner.readBarrier(signal),
    async propose(data) {
      const watch = truth.proposed(data);
      try {
        const place = await inner.propose(data);
        if (!isGone()) watch.made(place.index, place.term);
        return place;
      } catch (error) {
        const isNot = codeOf(error) === 'UNAVAILABLE' || codeOf(error) === 'RESOURCE_EXHAUSTED';
        if (isNot && !isGone()) watch.notMade();
        throw error;
      }
    },
  };
}
