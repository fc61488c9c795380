import { type Entry, EntryType } from './types.ts';

/** What an entry costs beside its data, in memory and on the wire; so that empty entries are not free. */
const ENTRY_OVERHEAD_BYTES = 16;

/** Places of dropped entries are kept in the array until they are this many and half of it: dropping stays cheap. */
const DROPPED_MAX = 1024;

/** What is in such a place: what was there may be large. */
const DROPPED: Entry = { type: EntryType.Normal, term: 0, index: 0, data: new Uint8Array() };

/** The size of an entry, as all limits of this package count it. */
export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/** The size of entries, by entryBytes. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}

/** The data alone: what a proposal asks room for. An entry without data asks for none. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.length;
  return bytes;
}

/** Entries with consecutive indices, cheap to extend at the end and to drop at either end. */
export class EntryList {
  #entries: Entry[] = [];
  /** Position in #entries of the first one that still counts. */
  #head = 0;
  /** Its index; where the next entry goes when the list is empty. */
  #offset: number;

  constructor(offset: number) {
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** The index after the last entry. */
  get end(): number {
    return this.#offset + this.length;
  }

  at(index: number): Entry | undefined {
    return index < this.#offset ? undefined : this.#entries[index - this.#offset + this.#head];
  }

  /** Adds entries that start at `end`. */
  extend(entries: readonly Entry[]): void {
    for (const entry of entries) this.#entries.push(entry);
  }

  /** Drops the entries from `index` on. */
  truncate(index: number): void {
    this.#entries.length = Math.max(this.#head, index - this.#offset + this.#head);
  }

  /** Drops the entries before `index`, which lies within the list or right after it. */
  dropBefore(index: number): void {
    const dropped = this.#head;
    this.#head += index - this.#offset;
    this.#offset = index;
    this.#entries.fill(DROPPED, dropped, this.#head);
    if (this.#head === this.#entries.length) this.reset(index);
    else if (this.#head > DROPPED_MAX && this.#head * 2 > this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** Forgets everything; the next entry is `offset`. */
  reset(offset: number): void {
    this.#entries = [];
    this.#head = 0;
    this.#offset = offset;
  }

  /** The entries lo <= index < hi, at most `bytesMax` of them but at least one. The caller may keep the array. */
  slice(lo: number, hi: number, bytesMax: number): Entry[] {
    const shift = this.#head - this.#offset;
    let end = lo + shift;
    let bytes = 0;
    while (end < hi + shift) {
      bytes += entryBytes(this.#entries[end] as Entry);
      if (bytes > bytesMax && end > lo + shift) break;
      end += 1;
    }
    return this.#entries.slice(lo + shift, end);
  }
}
