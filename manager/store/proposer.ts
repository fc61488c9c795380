import type { Clock } from '#proto/base/clock.ts';
import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Transaction } from './changes.ts';
import { ENTRY_HEADER_BYTES, encodeTransaction, joinEntry, largestOf } from './log-entry.ts';
import type { Settled, StoreMachine } from './machine.ts';
import { type NextPart, PartQueue } from './part-queue.ts';

export interface ProposerOpts {
  /** An entry. A transaction that is larger goes in parts. */
  readonly entryBytesMax: number;
  /** A change: rows are sent to agents and written to snapshots whole. */
  readonly changeBytesMax: number;
  readonly transactionBytesMax: number;
  readonly transactionChangesMax: number;
  /** A part of a transaction that is larger than an entry: what is written before others get their turn. */
  readonly partBytes: number;
  /** Parts proposed and not yet committed. */
  readonly partsInFlightMax: number;
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
  /** The same of transactions that go in parts. */
  readonly largeWaitingBytesMax: number;
  readonly timeoutMs: number;
}

export const PROPOSER_OPTS: ProposerOpts = {
  entryBytesMax: LIMITS.raftEntryBytesMax,
  changeBytesMax: LIMITS.raftEntryBytesMax,
  transactionBytesMax: LIMITS.transactionBytesMax,
  transactionChangesMax: LIMITS.transactionChangesMax,
  partBytes: 256 * 1024,
  partsInFlightMax: 2,
  entryChangesMax: 500,
  inFlightMax: 4,
  waitingMax: LIMITS.proposalsWaitingMax,
  waitingBytesMax: LIMITS.raftInflightBytesMax,
  largeWaitingBytesMax: 2 * LIMITS.transactionBytesMax,
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
  /** It goes in parts. */
  readonly isLarge: boolean;
  /** The whole of it: from here on it may be committed, whatever we hear. */
  proposed: boolean;
  readonly settle: (result: number | ShoalError) => void;
}

/**
 * Gets transactions into the log: those of one moment, and those that wait while entries are under way, as one entry.
 * No timer gathers them; the slower the log, the larger its entries. One that is larger than an entry goes part by part
 * beside them, and takes effect with its last part; until that is proposed, it can still be given up.
 */
export class Proposer {
  readonly #opts: ProposerOpts;
  readonly #modules: ProposerModules;
  /** Names this proposer in the log, also among its own earlier lives. */
  readonly #name: number;
  /** Everybody who waits, by serial. */
  readonly #waiters = new Map<number, Waiter>();
  readonly #unsubscribe: () => void;
  readonly #large: PartQueue<Waiter>;
  #queue: Waiter[] = [];
  #queuedBytes = 0;
  #inFlight = 0;
  #partsInFlight = 0;
  #serial = 0;
  #flushing = false;
  #stopped = false;

  constructor(opts: ProposerOpts, modules: ProposerModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.#name = randomInt(modules.random, 2 ** 32) * 2 ** 20 + randomInt(modules.random, 2 ** 20);
    this.#large = new PartQueue(this.#name, opts.partBytes);
    this.#unsubscribe = modules.machine.onSettled((settled) => this.#onSettled(settled));
  }

  /** Resolves with the version of the applied entry; see Store.update for how it fails. */
  async submit(transaction: Transaction): Promise<number> {
    this.#refuseUnlessLeading();
    this.#refuseTooMany(transaction);
    const serial = ++this.#serial;
    const bytes = encodeTransaction({ ...transaction, proposer: this.#name, serial });
    const isLarge = ENTRY_HEADER_BYTES + bytes.length > this.#opts.entryBytesMax;
    if (isLarge) this.#refuseTooLarge(transaction, bytes.length);
    this.#refuseFull(isLarge, bytes.length);
    return new Promise((resolve, reject) => {
      this.#enqueue({ serial, bytes, changes: transaction.changes.length, isLarge }, (result) =>
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

  #refuseTooMany({ changes }: Transaction): void {
    const { transactionChangesMax } = this.#opts;
    if (changes.length > transactionChangesMax)
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `this transaction has ${changes.length} changes, and one may have ${transactionChangesMax}: make it in several`,
      );
  }

  #refuseTooLarge({ changes }: Transaction, bytes: number): void {
    const { changeBytesMax, transactionBytesMax } = this.#opts;
    const largest = largestOf(changes);
    if (largest > changeBytesMax)
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `this change takes ${largest} bytes, and one change may take ${changeBytesMax}: make it smaller`,
      );
    if (bytes > transactionBytesMax)
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `this transaction takes ${bytes} bytes, and one may take ${transactionBytesMax}: make it in several`,
      );
  }

  #refuseFull(isLarge: boolean, bytes: number): void {
    const { waitingMax, waitingBytesMax, largeWaitingBytesMax } = this.#opts;
    const waiting = this.#queue.length + this.#large.length;
    const isFull = isLarge
      ? this.#large.bytes + bytes > largeWaitingBytesMax
      : this.#queuedBytes + bytes > waitingBytesMax;
    if (isFull || waiting >= waitingMax)
      throw new ShoalError('UNAVAILABLE', `too many changes are waiting (${waiting}): try again later`);
  }

  #enqueue(
    given: Pick<Waiter, 'serial' | 'bytes' | 'changes' | 'isLarge'>,
    done: (result: number | ShoalError) => void,
  ): void {
    const { serial } = given;
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
    this.#joinQueue(waiter);
    this.#flushSoon();
  }

  #joinQueue(waiter: Waiter): void {
    if (waiter.isLarge) return this.#large.add(waiter);
    this.#queue.push(waiter);
    this.#queuedBytes += waiter.bytes.length;
  }

  #leaveQueue(waiter: Waiter): void {
    if (waiter.isLarge) return this.#giveUp(waiter);
    this.#queue.splice(this.#queue.indexOf(waiter), 1);
    this.#queuedBytes -= waiter.bytes.length;
  }

  /** Its parts that are in the log are let go of; nobody waits for that, and without it the next leader's term does it. */
  #giveUp(waiter: Waiter): void {
    const entry = this.#large.remove(waiter);
    if (entry !== undefined && !this.#stopped) this.#modules.consensus.propose(entry).catch(() => undefined);
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
      void this.#proposeBatch(this.#takeBatch());
    }
    while (this.#partsInFlight < this.#opts.partsInFlightMax) {
      const part = this.#large.next();
      if (part === undefined) return;
      void this.#proposePart(part);
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

  async #proposeBatch(batch: readonly Waiter[]): Promise<void> {
    this.#inFlight++;
    for (const waiter of batch) waiter.proposed = true;
    const entry = joinEntry(batch.map(({ bytes }) => bytes));
    await this.#propose(entry, { whole: batch, ofPart: [] });
    this.#inFlight--;
    this.#flush();
  }

  async #proposePart({ from, entry, isLast }: NextPart<Waiter>): Promise<void> {
    this.#partsInFlight++;
    from.proposed = isLast;
    await this.#propose(entry, isLast ? { whole: [from], ofPart: [] } : { whole: [], ofPart: [from] });
    this.#partsInFlight--;
    this.#flush();
  }

  /** Takes those who wait for what this entry makes whole, and those for whom it is a part. */
  async #propose(
    entry: Uint8Array,
    { whole, ofPart }: { readonly whole: readonly Waiter[]; readonly ofPart: readonly Waiter[] },
  ): Promise<void> {
    try {
      const { index } = await this.#modules.consensus.propose(entry);
      // Usually they have heard from apply by now. If not, and the entry is behind us, it came in a snapshot.
      if (this.#modules.machine.version < index) return;
      for (const waiter of whole)
        waiter.settle(lostSight(waiter, 'it was committed while a snapshot was taken over'));
    } catch (error) {
      for (const waiter of [...whole, ...ofPart]) waiter.settle(failureOf(waiter, error));
    }
  }

  #onSettled({ proposer, serial, version, outcome }: Settled): void {
    if (proposer !== this.#name) return;
    this.#waiters.get(serial)?.settle('refused' in outcome ? outcome.refused : version);
  }
}

/** Why somebody waits no longer, though no outcome is known. */
function lostSight({ proposed }: Waiter, why: string, cause?: unknown): ShoalError {
  if (!proposed) return new ShoalError('UNAVAILABLE', `${why}: nothing was changed`, { cause });
  return new ShoalError('DEADLINE_EXCEEDED', `${why}: it is not known whether the change was made`, {
    cause,
  });
}

/** What a proposal's failure means to somebody who waits for it. Without one of its parts a transaction does nothing. */
function failureOf(waiter: Waiter, error: unknown): ShoalError {
  const code = codeOf(error);
  if (code === 'UNAVAILABLE' || code === 'RESOURCE_EXHAUSTED')
    return new ShoalError('UNAVAILABLE', messageOf(error), { cause: error });
  if (code === 'DEADLINE_EXCEEDED' && waiter.proposed) return error as ShoalError;
  return lostSight(waiter, messageOf(error), error);
}
