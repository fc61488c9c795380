import { NO_MEMBERS, restoreConf } from './conf-change.ts';
import { EntryList } from './entry-list.ts';
import { assert, CompactedError, SnapshotOutOfDateError, UnavailableError } from './errors.ts';
import type { ConfState, Entry, HardState, PeerId, Snapshot, Storage } from './types.ts';

const NO_DATA = new Uint8Array();

/**
 * A log in memory: enough for tests, and the readable half of a log on disk (a driver writes to its disk first, then
 * here). After a restart it is filled again by applySnapshot, append and setHardState, in this order.
 */
export class MemoryStorage implements Storage {
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #snapshot: Snapshot = { meta: { index: 0, term: 0, confState: NO_MEMBERS }, data: NO_DATA };
  /** The entry before the first one: all up to it are compacted. */
  #before = { index: 0, term: 0 };
  readonly #entries = new EntryList(1);

  /**
   * The storage of a new group's first members, all alike: as if entry 1 had named the voters. A member that joins later
   * starts with an empty storage and is told everything by the leader.
   */
  static bootstrap(voters: readonly PeerId[]): MemoryStorage {
    const confState = restoreConf({ ...NO_MEMBERS, voters });
    const storage = new MemoryStorage();
    storage.applySnapshot({ meta: { index: 1, term: 1, confState }, data: NO_DATA });
    storage.setHardState({ term: 1, vote: 0, commit: 1 });
    return storage;
  }

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.meta.confState };
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] {
    if (lo < this.firstIndex()) throw new CompactedError(lo, this.firstIndex());
    if (hi > this.lastIndex() + 1) throw new UnavailableError(hi - 1, this.lastIndex());
    return this.#entries.slice(lo, hi, bytesMax);
  }

  term(index: number): number {
    if (index === this.#before.index) return this.#before.term;
    if (index < this.#before.index) throw new CompactedError(index, this.firstIndex());
    const entry = this.#entries.at(index);
    if (entry === undefined) throw new UnavailableError(index, this.lastIndex());
    return entry.term;
  }

  firstIndex(): number {
    return this.#entries.offset;
  }

  lastIndex(): number {
    return this.#entries.end - 1;
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Adds the entries of a Ready; those that are there from their first index on give way. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index > this.#before.index, `entry ${first.index} is compacted and must not be replaced`);
    assert(first.index <= this.#entries.end, `entries from ${first.index} leave a gap`);
    if (first.index < this.#entries.end) this.#entries.truncate(first.index);
    this.#entries.extend(entries);
  }

  /** The log starts anew after this snapshot. Throws SnapshotOutOfDateError. */
  applySnapshot(snapshot: Snapshot): void {
    const { index, term } = snapshot.meta;
    this.#refuseOld(index);
    this.#snapshot = snapshot;
    this.#before = { index, term };
    this.#entries.reset(index + 1);
  }

  /** Remembers what the entries up to `index` did; they stay until compact. Throws SnapshotOutOfDateError. */
  createSnapshot(index: number, confState: ConfState, data: Uint8Array): Snapshot {
    this.#refuseOld(index);
    this.#snapshot = { meta: { index, term: this.term(index), confState }, data };
    return this.#snapshot;
  }

  /** Drops the entries up to `index`. Throws CompactedError when they are gone already. */
  compact(index: number): void {
    if (index <= this.#before.index) throw new CompactedError(index, this.firstIndex());
    this.#before = { index, term: this.term(index) };
    this.#entries.dropBefore(index + 1);
  }

  #refuseOld(index: number): void {
    if (index <= this.#snapshot.meta.index)
      throw new SnapshotOutOfDateError(index, this.#snapshot.meta.index);
  }
}
