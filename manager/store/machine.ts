import { setImmediate } from 'node:timers/promises';
import { assert } from '#proto/base/assert.ts';
import type { CommittedEntry, StateMachine } from '../consensus/consensus.ts';
import { applyTransaction, type Outcome } from './apply/transaction.ts';
import { eventOf } from './apply/writer.ts';
import { hashOf } from './hash.ts';
import { History } from './history.ts';
import { decodeEntry, decodeParts, type EntryContent, type LoggedTransaction } from './log-entry.ts';
import { lostPart, NO_PARTS, type TransactionName, takeEntry } from './parts.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import { keyOf, TABLES, Tables } from './tables.ts';
import { TablesDraft, TablesView } from './tables-view.ts';
import type { Draft, EventBatch, StoreEvent, StoreView } from './view.ts';

/** Events remembered for watchers that resume: some seconds of a busy cluster. They hold on to rows. */
const HISTORY_EVENTS_MAX = 10_000;

/** Rows compared before others get their turn: some milliseconds of work. */
const SLICE_ROWS = 1_000;

/** A leader's first entry of its term, and one that changes who is a member. */
const EMPTY: EntryContent = { transactions: [] };

/** What came of a transaction, for the proposer that waits for it. */
export interface Settled extends TransactionName {
  readonly version: number;
  readonly outcome: Outcome;
}

export interface StoreMachineOpts {
  readonly historyEventsMax: number;
}

/**
 * The replicated state of the cluster: what the log's entries are applied to. It is made first, given to consensus to
 * drive, and then to the Store, which proposes.
 */
export class StoreMachine implements StateMachine {
  readonly #history: History;
  readonly #subscribers = new Set<(batch: EventBatch) => void>();
  readonly #waiters = new Set<(settled: Settled) => void>();
  #tables = new Tables();
  /** Of a transaction that is larger than an entry and not whole yet. */
  #parts = NO_PARTS;
  #version = 0;
  #view: TablesView | undefined;

  constructor(opts: StoreMachineOpts = { historyEventsMax: HISTORY_EVENTS_MAX }) {
    this.#history = new History(opts.historyEventsMax);
  }

  /** Index of the last entry applied. */
  get version(): number {
    return this.#version;
  }

  view(): StoreView {
    this.#view ??= new TablesView(this.#tables.copy(), this.#version);
    return this.#view;
  }

  /** `atMs` is the time that the draft's changes are made at. */
  draft(atMs: number): Draft {
    return new TablesDraft(this.#tables.copy(), this.#version, atMs);
  }

  /** See hashOf. */
  hash(): string {
    return hashOf(this.#tables, this.#parts);
  }

  /** See Store.subscribe. */
  subscribe(applied: (batch: EventBatch) => void): () => void {
    return addTo(this.#subscribers, applied);
  }

  /** See Store.watchFrom. */
  watchFrom(version: number, applied: (batch: EventBatch) => void): (() => void) | undefined {
    const missed = this.#history.after(version);
    if (missed === undefined) return undefined;
    for (const batch of missed) applied(batch);
    return this.subscribe((batch) => {
      if (batch.version > version) applied(batch);
    });
  }

  /** Calls back with what came of each transaction, after its entry was applied. */
  onSettled(settled: (settled: Settled) => void): () => void {
    return addTo(this.#waiters, settled);
  }

  apply(entries: readonly CommittedEntry[]): void {
    for (const entry of entries) this.#applyEntry(entry);
  }

  /** Of the state as it is when the first chunk is asked for. */
  async *snapshot(): AsyncGenerator<Uint8Array> {
    yield* writeSnapshot(this.#tables.copy(), this.#version, this.#parts);
  }

  async restore(chunks: AsyncIterable<Uint8Array>, index: number): Promise<void> {
    const { tables, version, parts } = await readSnapshot(chunks);
    assert(version === index, `a snapshot at index ${index} holds the state of index ${version}`);
    const events = this.#subscribers.size === 0 ? undefined : await allOf(differences(this.#tables, tables));
    this.#tables = tables;
    this.#parts = parts;
    this.#moveTo(version);
    if (events === undefined) this.#history.restart(version);
    else this.#tell({ version, events });
  }

  #applyEntry({ index, term, data }: CommittedEntry): void {
    assert(index > this.#version, `entry ${index} comes after ${this.#version} was applied`);
    const { transactions, part } = data.length === 0 ? EMPTY : decodeEntry(data);
    const { kept, whole, lost } = takeEntry(this.#parts, term, part);
    this.#parts = kept;
    this.#applyTransactions(index, whole === undefined ? transactions : decodeParts(whole));
    for (const { proposer, serial } of lost)
      this.#settle({ proposer, serial, version: index, outcome: { refused: lostPart() } });
  }

  #applyTransactions(index: number, transactions: readonly LoggedTransaction[]): void {
    const outcomes = transactions.map((transaction) => applyTransaction(this.#tables, transaction, index));
    this.#moveTo(index);
    this.#tell({
      version: index,
      events: outcomes.flatMap((outcome) => ('events' in outcome ? outcome.events : [])),
    });
    transactions.forEach(({ proposer, serial }, i) => {
      this.#settle({ proposer, serial, version: index, outcome: outcomes[i] as Outcome });
    });
  }

  #settle(settled: Settled): void {
    for (const waiter of this.#waiters) waiter(settled);
  }

  #moveTo(version: number): void {
    this.#version = version;
    this.#view = undefined;
  }

  #tell(batch: EventBatch): void {
    this.#history.add(batch);
    for (const applied of [...this.#subscribers]) {
      try {
        applied(batch);
      } catch (error) {
        // A subscriber's mistake stops the process, but not in the middle of an entry.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

function addTo<T>(set: Set<(value: T) => void>, callback: (value: T) => void): () => void {
  // Of its own, so that one function can be added twice.
  const added = (value: T): void => callback(value);
  set.add(added);
  return () => void set.delete(added);
}

/**
 * What leads from one state to another one of the same cluster: rows of one version are the same row. Yields once for
 * each row it looks at, without an event where nothing is different.
 */
function* differences(before: Tables, after: Tables): Generator<StoreEvent | undefined> {
  for (const table of TABLES) {
    for (const row of after.all(table)) {
      const previous = before.get(table, keyOf(table, row));
      yield previous?.version === row.version ? undefined : eventOf(table, keyOf(table, row), row, previous);
    }
    for (const previous of before.all(table)) {
      const key = keyOf(table, previous);
      yield after.get(table, key) === undefined ? eventOf(table, key, undefined, previous) : undefined;
    }
  }
}

/** Everything that is yielded; others get their turn in between. */
async function allOf<T>(items: Iterable<T | undefined>): Promise<T[]> {
  const found: T[] = [];
  let looked = 0;
  for (const item of items) {
    if (item !== undefined) found.push(item);
    looked += 1;
    if (looked % SLICE_ROWS === 0) await setImmediate();
  }
  return found;
}
