import type { Clock } from '#proto/base/clock.ts';
import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Transaction } from './changes.ts';
import { ENTRY_HEADER_BYTES, encodeTransaction, joinEntry } from './log-entry.ts';
import type { Settled, StoreMachine } from './machine.ts';

export interface ProposerOpts {
  /** An entry, and so a transaction. */
  readonly entryBytesMax: number;
  /**
   * Changes of the transactions that are gathered in one entry: it is applied in one go, as are several that were under
   * way together, and that must not take long.
   */
  readonly entryChangesMax: number;
  /** Entries proposed and not yet committed; what comes meanwhile waits, and goes together. */
  readonly inFlightMax: number;
  /** Transactions waiting to be proposed. */
  readonly waitingMax: number;
  readonly waitingBytesMax: number;
  readonly timeoutMs: number;
}

export const PROPOSER_OPTS: ProposerOpts = {
  entryBytesMax: LIMITS.raftEntryBytesMax,
  entryChangesMax: 500,
  inFlightMax: 4,
  waitingMax: LIMITS.proposalsWaitingMax,
  waitingBytesMax: LIMITS.raftInflightBytesMax,
  timeoutMs: LIMITS.requestTimeoutMs,
};

export interface ProposerModules {
  readonly consensus: Pick<Consensus, 'propose' | 'leadership'>;
  readonly machine: Pick<StoreMachine, 'onSettled' | 'version'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** A transaction somebody waits for. */
interface Waiter {
  readonly serial: number;
  readonly bytes: Uint8Array;
  readonly changes: number;
  /** From here on it may be committed, whatever we hear. */
  proposed: boolean;
  readonly settle: (result: number | ShoalError) => void;
}

/**
 * Gets transactions into the log: those of one moment, and those that wait while entries are under way, as one entry.
 * No timer gathers them; the slower the log, the larger its entries.
 */
export class Proposer {
  readonly #opts: ProposerOpts;
  readonly #modules: ProposerModules;
  /** Names this proposer in the log, also among its own earlier lives. */
  readonly #name: number;
  /** Everybody who waits, by serial. */
  readonly #waiters = new Map<number, Waiter>();
  readonly #unsubscribe: () => void;
  #queue: Waiter[] = [];
  #queuedBytes = 0;
  #inFlight = 0;
  #serial = 0;
  #flushing = false;
  #stopped = false;

  constructor(opts: ProposerOpts, modules: ProposerModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.#name = randomInt(modules.random, 2 ** 32) * 2 ** 20 + randomInt(modules.random, 2 ** 20);
    this.#unsubscribe = modules.machine.onSettled((settled) => this.#onSettled(settled));
  }

  /** Resolves with the version of the applied entry; see Store.update for how it fails. */
  async submit(transaction: Transaction): Promise<number> {
    this.#refuseUnlessLeading();
    const serial = ++this.#serial;
    const bytes = encodeTransaction({ ...transaction, proposer: this.#name, serial });
    this.#refuseTooMuch(bytes.length);
    return new Promise((resolve, reject) => {
      this.#enqueue({ serial, bytes, changes: transaction.changes.length }, (result) =>
        typeof result === 'number' ? resolve(result) : reject(result),
      );
    });
  }

  /** Nobody waits any longer. */
  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
    for (const waiter of [...this.#waiters.values()])
      waiter.settle(lostSight(waiter, 'this manager is stopping'));
  }

  #refuseUnlessLeading(): void {
    if (this.#stopped) throw new ShoalError('UNAVAILABLE', 'this manager is stopping');
    const { leading, leader } = this.#modules.consensus.leadership();
    if (leading) return;
    if (leader !== undefined)
      throw new ShoalError('UNAVAILABLE', `this manager does not lead the swarm: node ${leader.nodeId} does`);
    throw new ShoalError(
      'UNAVAILABLE',
      "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.",
    );
  }

  #refuseTooMuch(bytes: number): void {
    const { entryBytesMax, waitingMax, waitingBytesMax } = this.#opts;
    if (ENTRY_HEADER_BYTES + bytes > entryBytesMax)
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `this change takes ${bytes} bytes, and one change may take ${entryBytesMax - ENTRY_HEADER_BYTES}: make it smaller`,
      );
    if (this.#queue.length >= waitingMax || this.#queuedBytes + bytes > waitingBytesMax)
      throw new ShoalError(
        'UNAVAILABLE',
        `too many changes are waiting (${this.#queue.length}): try again later`,
      );
  }

  #enqueue(
    given: Pick<Waiter, 'serial' | 'bytes' | 'changes'>,
    done: (result: number | ShoalError) => void,
  ): void {
    const { serial, bytes } = given;
    const cancelTimeout = this.#modules.clock.timer(this.#opts.timeoutMs, () =>
      waiter.settle(lostSight(waiter, `the swarm did not commit it within ${this.#opts.timeoutMs} ms`)),
    );
    const waiter: Waiter = {
      ...given,
      proposed: false,
      settle: (result) => {
        if (!this.#waiters.delete(serial)) return;
        cancelTimeout();
        if (!waiter.proposed) this.#leaveQueue(waiter);
        done(result);
      },
    };
    this.#waiters.set(serial, waiter);
    this.#queue.push(waiter);
    this.#queuedBytes += bytes.length;
    this.#flushSoon();
  }

  #leaveQueue(waiter: Waiter): void {
    this.#queue.splice(this.#queue.indexOf(waiter), 1);
    this.#queuedBytes -= waiter.bytes.length;
  }

  /** Once what runs now has run, so that all it submits goes together. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#inFlight < this.#opts.inFlightMax && this.#queue.length > 0) {
      void this.#propose(this.#takeBatch());
    }
  }

  /** As much as fits one entry, in order; a transaction of any number of changes fits alone. */
  #takeBatch(): Waiter[] {
    const { entryBytesMax, entryChangesMax } = this.#opts;
    let entryBytes = ENTRY_HEADER_BYTES;
    let entryChanges = 0;
    let count = 0;
    for (const { bytes, changes } of this.#queue) {
      const isFull = entryBytes + bytes.length > entryBytesMax || entryChanges + changes > entryChangesMax;
      if (isFull && count > 0) break;
      entryBytes += bytes.length;
      entryChanges += changes;
      count++;
    }
    this.#queuedBytes -= entryBytes - ENTRY_HEADER_BYTES;
    return this.#queue.splice(0, count);
  }

  async #propose(batch: readonly Waiter[]): Promise<void> {
    this.#inFlight++;
    for (const waiter of batch) waiter.proposed = true;
    try {
      const { index } = await this.#modules.consensus.propose(joinEntry(batch.map(({ bytes }) => bytes)));
      // Usually they have heard from apply by now. If not, and the entry is behind us, it came in a snapshot.
      if (this.#modules.machine.version < index) return;
      for (const waiter of batch)
        waiter.settle(lostSight(waiter, 'it was committed while a snapshot was taken over'));
    } catch (error) {
      for (const waiter of batch) waiter.settle(failureOf(error));
    } finally {
      this.#inFlight--;
      this.#flush();
    }
  }

  #onSettled({ proposer, serial, version, outcome }: Settled): void {
    if (proposer !== this.#name) return;
    this.#waiters.get(serial)?.settle('refused' in outcome ? outcome.refused : version);
  }
}

/** Why somebody waits no longer, though no outcome is known. */
function lostSight({ proposed }: Waiter, why: string): ShoalError {
  if (!proposed) return new ShoalError('UNAVAILABLE', `${why}: nothing was changed`);
  return new ShoalError('DEADLINE_EXCEEDED', `${why}: it is not known whether the change was made`);
}

/** What a proposal's failure means to those who wait for it. */
function failureOf(error: unknown): ShoalError {
  const code = codeOf(error);
  if (code === 'UNAVAILABLE' || code === 'RESOURCE_EXHAUSTED')
    return new ShoalError('UNAVAILABLE', messageOf(error), { cause: error });
  if (code === 'DEADLINE_EXCEEDED') return error as ShoalError;
  const message = `${messageOf(error)}: it is not known whether the change was made`;
  return new ShoalError('DEADLINE_EXCEEDED', message, { cause: error });
}
