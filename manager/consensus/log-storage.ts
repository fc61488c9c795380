import {
  CompactedError,
  type ConfState,
  type Entry,
  EntryList,
  type HardState,
  type Snapshot,
  SnapshotOutOfDateError,
  type Storage,
  UnavailableError,
} from 'raft-ts';
import { assert } from '#proto/base/assert.ts';
import { LogTerms } from './log-terms.ts';
import { NO_MEMBERSHIP } from './membership.ts';
import type { Wal } from './wal.ts';

/** What an entry takes in memory beside its data: two objects. */
const ENTRY_OBJECT_BYTES = 200;
const NO_SNAPSHOT: Snapshot = {
  meta: { index: 0, term: 0, confState: NO_MEMBERSHIP.confState },
  data: new Uint8Array(),
};

export interface LogStorageOpts {
  /** What the entries in memory may take. */
  readonly memoryBytes: number;
}

/**
 * The log as Raft reads it: the newest entries from memory, older ones from disk, where all of them are. Who writes it
 * writes to the log on disk first, then here.
 */
export class LogStorage implements Storage {
  readonly #opts: LogStorageOpts;
  readonly #wal: Pick<Wal, 'entries' | 'collect'>;
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #snapshot = NO_SNAPSHOT;
  #terms = new LogTerms(0, 0);
  /** What is in memory. */
  readonly #newest = new EntryList(1);
  #newestBytes = 0;
  /** The entries from here on are on disk. */
  #firstOnDisk = 1;

  constructor(opts: LogStorageOpts, wal: Pick<Wal, 'entries' | 'collect'>) {
    this.#opts = opts;
    this.#wal = wal;
  }

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.meta.confState };
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /** Throws FAILED_PRECONDITION when an entry that is not in memory can't be read from disk. */
  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] {
    if (lo < this.firstIndex()) throw new CompactedError(lo, this.firstIndex());
    if (hi > this.lastIndex() + 1) throw new UnavailableError(hi - 1, this.lastIndex());
    if (lo >= this.#newest.offset || lo >= hi) return this.#newest.slice(lo, hi, bytesMax);
    const end = Math.min(hi, this.#newest.offset);
    return this.#wal.entries({ lo, hi: end, bytesMax, termAt: (index) => this.#terms.at(index) });
  }

  term(index: number): number {
    if (index < this.firstIndex() - 1) throw new CompactedError(index, this.firstIndex());
    if (index > this.lastIndex()) throw new UnavailableError(index, this.lastIndex());
    return this.#newest.at(index)?.term ?? this.#terms.at(index);
  }

  firstIndex(): number {
    return Math.min(this.#firstOnDisk, this.#newest.offset);
  }

  firstAtHand(): number {
    return this.#newest.offset;
  }

  lastIndex(): number {
    return this.#newest.end - 1;
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Adds entries that are on disk; those that are there from their first index on give way. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index >= this.firstIndex(), `entry ${first.index} is gone, and can't be replaced`);
    assert(first.index <= this.#newest.end, `entries from ${first.index} leave a gap`);
    this.#truncate(first.index);
    for (const entry of entries) {
      this.#terms.set(entry.index, entry.term);
      this.#newestBytes += bytesOf(entry);
    }
    this.#newest.extend(entries);
    this.#letGo();
  }

  /** The log starts anew behind this snapshot. Throws SnapshotOutOfDateError. */
  applySnapshot(snapshot: Snapshot): void {
    const { index, term } = snapshot.meta;
    this.#refuseOld(index);
    this.#snapshot = snapshot;
    this.#terms = new LogTerms(index, term);
    this.#newest.reset(index + 1);
    this.#newestBytes = 0;
    this.#firstOnDisk = index + 1;
  }

  /** Remembers what the entries up to `index` did; they stay. Throws SnapshotOutOfDateError. */
  createSnapshot(index: number, confState: ConfState, data: Uint8Array): void {
    this.#refuseOld(index);
    this.#snapshot = { meta: { index, term: this.term(index), confState }, data };
  }

  /** Lets go of the entries before `index`, in memory and on disk. */
  forgetBefore(index: number): void {
    while (this.#newest.offset < index) this.#dropOldest();
    this.forgetOnDiskBefore(index);
  }

  /** Lets go of the entries before `index` but for those that are in memory, as long as they are. */
  forgetOnDiskBefore(index: number): void {
    this.#firstOnDisk = Math.max(this.#firstOnDisk, index);
    this.#wal.collect(this.#firstOnDisk);
    this.#terms.forgetBefore(this.firstIndex() - 1);
  }

  #truncate(index: number): void {
    for (let at = Math.max(index, this.#newest.offset); at < this.#newest.end; at += 1)
      this.#newestBytes -= bytesOf(this.#newest.at(at) as Entry);
    if (index <= this.#newest.offset) this.#newest.reset(index);
    else this.#newest.truncate(index);
  }

  /** The last one stays, whatever it takes. */
  #letGo(): void {
    while (this.#newestBytes > this.#opts.memoryBytes && this.#newest.length > 1) this.#dropOldest();
  }

  #dropOldest(): void {
    const { offset } = this.#newest;
    this.#newestBytes -= bytesOf(this.#newest.at(offset) as Entry);
    this.#newest.dropBefore(offset + 1);
  }

  #refuseOld(index: number): void {
    if (index <= this.#snapshot.meta.index)
      throw new SnapshotOutOfDateError(index, this.#snapshot.meta.index);
  }
}

function bytesOf(entry: Entry): number {
  return entry.data.length + ENTRY_OBJECT_BYTES;
}
