import { entriesBytes, entryBytes } from './entry-list.ts';
import { assert, SnapshotTemporarilyUnavailableError } from './errors.ts';
import type { EntryId, Tracer } from './trace.ts';
import type { Entry, Snapshot, Storage } from './types.ts';
import { Unstable } from './unstable.ts';

/** See Config. */
export interface LogOpts {
  /** Committed entries that may be handed out without having been reported as applied. */
  readonly committedBytesMax: number;
  readonly trace: Tracer | undefined;
}

/**
 * The whole log: what storage holds, then what is not durable yet.
 * Always: applied <= applying <= committed <= lastIndex. Entries up to `committed` never change again.
 */
export class RaftLog {
  readonly #opts: LogOpts;
  readonly #storage: Storage;
  readonly unstable: Unstable;

  /** The highest index known to be on a quorum's disks. */
  #committed: number;

  /** The highest index handed out to be applied. */
  #applying: number;

  /** The highest index reported as applied. */
  #applied: number;

  /** Size of the entries between applied and applying; a single entry may exceed the limit. */
  #applyingBytes = 0;

  /** No more is handed out until something is reported as applied. */
  #applyingPaused = false;

  constructor(opts: LogOpts, storage: Storage) {
    this.#opts = opts;
    this.#storage = storage;
    this.unstable = new Unstable(storage.lastIndex() + 1, opts.trace);
    this.#committed = storage.firstIndex() - 1;
    this.#applying = this.#committed;
    this.#applied = this.#committed;
  }

  get committed(): number {
    return this.#committed;
  }

  get applying(): number {
    return this.#applying;
  }

  get applied(): number {
    return this.#applied;
  }

  get firstIndex(): number {
    const snapshot = this.unstable.snapshot;
    return snapshot === undefined ? this.#storage.firstIndex() : snapshot.meta.index + 1;
  }

  get lastIndex(): number {
    return this.unstable.end - 1;
  }

  /** Where the log ends. */
  get last(): EntryId {
    const index = this.lastIndex;
    const term = this.term(index);
    assert(term !== undefined, `the term of the last entry, ${index}, is unknown`);
    return { term, index };
  }

  /** The term at an index; undefined outside of the log, and of the entry before the first one. */
  term(index: number): number | undefined {
    const term = this.unstable.term(index);
    if (term !== undefined) return term;
    return index + 1 < this.firstIndex || index > this.lastIndex ? undefined : this.#storage.term(index);
  }

  matches(id: EntryId): boolean {
    return this.term(id.index) === id.term;
  }

  /** Is a log that ends there at least as good as ours (Raft paper, section 5.4.1)? */
  isUpToDate(last: EntryId): boolean {
    const own = this.last;
    return last.term > own.term || (last.term === own.term && last.index >= own.index);
  }

  /** Entries from `lo` on, at most `bytesMax` but at least one; undefined when they are compacted. */
  entriesFrom(lo: number, bytesMax: number): readonly Entry[] | undefined {
    if (lo > this.lastIndex) return [];
    return lo < this.firstIndex ? undefined : this.slice(lo, this.lastIndex + 1, bytesMax);
  }

  /** Does it take a while to read this one? */
  takesLong(index: number): boolean {
    return index < (this.#storage.firstAtHand?.() ?? 0);
  }

  /** Entries lo <= index < hi, which are there, at most `bytesMax` but at least one. */
  slice(lo: number, hi: number, bytesMax: number): readonly Entry[] {
    const border = this.unstable.offset;
    if (lo >= border) return this.unstable.slice(lo, hi, bytesMax);
    const stable = this.#storage.entries(lo, Math.min(hi, border), bytesMax);
    if (hi <= border || stable.length < border - lo) return stable;
    const room = bytesMax - entriesBytes(stable);
    const rest = this.unstable.slice(border, hi, room);
    // The one entry that a slice always has is there already.
    if (rest.length === 1 && entryBytes(rest[0] as Entry) > room) return stable;
    return [...stable, ...rest];
  }

  /** Our own next entries. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index > this.#committed, `entry ${first.index} is committed and must not be replaced`);
    this.unstable.append(entries);
  }

  /**
   * A leader's entries, which follow `prev`. Ours from the first conflict on give way. The index of the last new entry,
   * or undefined when our log does not hold `prev`.
   */
  maybeAppend(prev: EntryId, entries: readonly Entry[], committed: number): number | undefined {
    if (!this.matches(prev)) return undefined;
    const lastNew = prev.index + entries.length;
    const news = this.#firstNew(entries);
    if (news < entries.length) this.append(news === 0 ? entries : entries.slice(news));
    this.commitTo(Math.min(committed, lastNew));
    return lastNew;
  }

  /** Position of the first entry that we don't have, or have otherwise. */
  #firstNew(entries: readonly Entry[]): number {
    for (let at = 0; at < entries.length; at += 1) {
      const entry = entries[at] as Entry;
      if (entry.index > this.lastIndex) return at;
      if (this.matches(entry)) continue;
      const ownTerm = this.term(entry.index) ?? 0;
      this.#opts.trace?.({ kind: 'log-conflict', index: entry.index, term: entry.term, ownTerm });
      return at;
    }
    return entries.length;
  }

  /**
   * Where two logs may still be equal: the last entry of ours at or before `index` with a term of at most `term`. The
   * other log's entries after it have higher terms. Term 0 when ours are unknown there.
   */
  findConflictByTerm(index: number, term: number): EntryId {
    for (let at = index; at > 0; at -= 1) {
      const own = this.term(at);
      if (own === undefined) return { index: at, term: 0 };
      if (own <= term) return { index: at, term: own };
    }
    return { index: 0, term: 0 };
  }

  /** Commits up to an index, if the entry there is of this term (Raft paper, section 5.4.2). */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.#committed || this.term(index) !== term) return false;
    this.commitTo(index);
    return true;
  }

  /** The commit index never goes back. */
  commitTo(index: number): void {
    if (index <= this.#committed) return;
    assert(index <= this.lastIndex, `commit ${index} is beyond the log, which ends at ${this.lastIndex}`);
    this.#committed = index;
  }

  /** Is there something to apply? `allowUnstable`: also what is being made durable in the same Ready. */
  hasNextCommitted(allowUnstable: boolean): boolean {
    // While a snapshot waits, what comes before it is not to be applied, and what comes after it not yet.
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.#applying < this.#appliableIndex(allowUnstable);
  }

  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return [];
    const room = this.#opts.committedBytesMax - this.#applyingBytes;
    assert(room > 0, 'entries are handed out beyond the limit of what is being applied');
    return this.slice(this.#applying + 1, this.#appliableIndex(allowUnstable) + 1, room);
  }

  #appliableIndex(allowUnstable: boolean): number {
    return allowUnstable ? this.#committed : Math.min(this.#committed, this.unstable.offset - 1);
  }

  /** Committed entries up to `index`, of `bytes`, were handed out. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    assert(index <= this.#committed, `entry ${index} is handed out before it is committed`);
    this.#applying = index;
    this.#applyingBytes += bytes;
    // When the limit cut the batch short, the rest waits as well: many small batches would be worse.
    this.#applyingPaused =
      this.#applyingBytes >= this.#opts.committedBytesMax || index < this.#appliableIndex(allowUnstable);
  }

  /** Entries up to `index` are applied, `bytes` of those that were handed out. */
  appliedTo(index: number, bytes: number): void {
    const expected = index >= this.#applied && index <= this.#committed;
    assert(expected, `applied ${index}, but ${this.#applied} is applied and ${this.#committed} committed`);
    this.#applied = index;
    this.#applying = Math.max(this.#applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.#opts.committedBytesMax;
  }

  /** The log starts anew after a snapshot. */
  restore(snapshot: Snapshot): void {
    this.#opts.trace?.({
      kind: 'snapshot-restoring',
      snapshot: { term: snapshot.meta.term, index: snapshot.meta.index },
      commit: this.#committed,
      applied: this.#applied,
      applying: this.#applying,
      unstableOffset: this.unstable.offset,
      unstableOffsetInProgress: this.unstable.offsetInProgress,
      unstableLength: this.unstable.length,
    });
    this.#committed = snapshot.meta.index;
    this.unstable.restore(snapshot);
  }

  /** The latest snapshot, for a peer that needs it; undefined while one is being made. */
  snapshot(): Snapshot | undefined {
    if (this.unstable.snapshot !== undefined) return this.unstable.snapshot;
    try {
      return this.#storage.snapshot();
    } catch (error) {
      if (error instanceof SnapshotTemporarilyUnavailableError) return undefined;
      throw error;
    }
  }

  /** Is there an entry lo <= index < hi that `wanted` accepts? Reads a page at a time. */
  some(lo: number, hi: number, wanted: (entry: Entry) => boolean): boolean {
    let at = lo;
    while (at < hi) {
      const page = this.slice(at, hi, this.#opts.committedBytesMax);
      if (page.some(wanted)) return true;
      at += page.length;
    }
    return false;
  }
}
