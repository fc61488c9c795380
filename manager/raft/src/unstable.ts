import { EntryList } from './entry-list.ts';
import { assert } from './errors.ts';
import type { Tracer } from './trace.ts';
import type { Entry, Snapshot } from './types.ts';

/**
 * The end of the log that is not known to be durable: entries, and before them perhaps a snapshot. What was handed out
 * to be written is in progress; it stays here until the write is reported, since it may yet be overwritten.
 */
export class Unstable {
  readonly #trace: Tracer | undefined;
  readonly #list: EntryList;
  #snapshot: Snapshot | undefined;
  #snapshotInProgress = false;
  /** Entries before it are being written. offset <= offsetInProgress <= end. */
  #offsetInProgress: number;

  /** `offset`: the index after the last durable entry. */
  constructor(offset: number, trace: Tracer | undefined) {
    this.#list = new EntryList(offset);
    this.#offsetInProgress = offset;
    this.#trace = trace;
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Index of the first entry that is not durable, or would be if there were one. */
  get offset(): number {
    return this.#list.offset;
  }

  get offsetInProgress(): number {
    return this.#offsetInProgress;
  }

  get length(): number {
    return this.#list.length;
  }

  /** The index after the last entry of the whole log: what is durable ends where this begins. */
  get end(): number {
    return this.#list.end;
  }

  /** The term at an index, where it is known here. */
  term(index: number): number | undefined {
    if (index >= this.#list.offset) return this.#list.at(index)?.term;
    return this.#snapshot?.meta.index === index ? this.#snapshot.meta.term : undefined;
  }

  slice(lo: number, hi: number, bytesMax: number): Entry[] {
    return this.#list.slice(lo, hi, bytesMax);
  }

  get hasNextEntries(): boolean {
    return this.#offsetInProgress < this.#list.end;
  }

  /** Entries that wait to be written. */
  nextEntries(): Entry[] {
    return this.#list.slice(this.#offsetInProgress, this.#list.end, Number.POSITIVE_INFINITY);
  }

  /** The snapshot that waits to be written. */
  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.#snapshot;
  }

  /** All that waits was handed out. */
  acceptInProgress(): void {
    this.#offsetInProgress = this.#list.end;
    this.#snapshotInProgress = this.#snapshot !== undefined;
  }

  /** Everything up to this entry is durable; unless it was overwritten since, by a leader of another term. */
  stableTo(index: number, term: number): void {
    const own = this.#list.at(index)?.term;
    if (own === undefined) this.#trace?.({ kind: 'stable-missing', index });
    else if (own !== term) this.#trace?.({ kind: 'stable-overwritten', index, term, ownTerm: own });
    else {
      this.#list.dropBefore(index + 1);
      this.#offsetInProgress = Math.max(this.#offsetInProgress, this.#list.offset);
    }
  }

  stableSnapshotTo(index: number): void {
    if (this.#snapshot?.meta.index !== index) return;
    this.#snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** The log starts anew, after the snapshot. */
  restore(snapshot: Snapshot): void {
    this.#list.reset(snapshot.meta.index + 1);
    this.#offsetInProgress = this.#list.offset;
    this.#snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Adds entries; those of ours from their first index on give way. */
  append(entries: readonly Entry[]): void {
    const from = (entries[0] as Entry).index;
    assert(from <= this.#list.end, `entries from ${from} leave a gap after ${this.#list.end - 1}`);
    if (from < this.#list.end) {
      if (from <= this.#list.offset) this.#list.reset(from);
      else this.#list.truncate(from);
      this.#trace?.({ kind: 'log-overwritten', from, whole: from === this.#list.offset });
    }
    this.#offsetInProgress = Math.min(this.#offsetInProgress, from);
    this.#list.extend(entries);
  }
}
