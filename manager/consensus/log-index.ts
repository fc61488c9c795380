import type { LogItem } from './items.ts';

/** Of the log on disk, so much lies between two marks at least: they are few, and what is behind one is near. */
const MARK_EVERY_BYTES = 64 * 1024;

/** Where a record of the log is. */
export interface Place {
  /** The number of its segment. */
  readonly segment: number;
  readonly at: number;
  /** Where the next record goes. */
  readonly end: number;
  readonly sequence: number;
}

/** A record that holds entries, and the first of them; how much log was written before it, since this index was begun. */
export interface Mark {
  readonly index: number;
  readonly segment: number;
  readonly at: number;
  readonly sequence: number;
  readonly bytesBefore: number;
}

/**
 * Where in the log on disk its entries are. Whatever was replaced: from the mark of an entry on its segment holds the
 * entry as it counts, behind others perhaps that do not count any more.
 */
export class LogIndex {
  #marks: Mark[] = [];
  #bytes = 0;
  /** The highest entry so far. */
  #lastIndex = 0;

  /** A record that was written, in the order of writing. */
  record({ segment, at, end, sequence }: Place, items: readonly LogItem[]): void {
    let lowest = Number.POSITIVE_INFINITY;
    let highest = 0;
    for (const item of items) {
      if (item.kind === 'restart') this.#restart(item.index);
      if (item.kind !== 'entry') continue;
      lowest = Math.min(lowest, item.entry.index);
      highest = item.entry.index;
    }
    if (highest > 0) {
      this.#note({ index: lowest, segment, at, sequence, bytesBefore: this.#bytes });
      this.#lastIndex = highest;
    }
    this.#bytes += end - at;
  }

  /** Where to begin to look for an entry; undefined when it is older than all that is on disk. */
  find(index: number): Mark | undefined {
    return this.#marks[this.#position(index)];
  }

  /** The first entry of which on, before `index`, at most so many bytes of log were written; `index` when there is none. */
  firstWithin(index: number, bytes: number): number {
    const border = this.find(index);
    if (border === undefined) return index;
    const first = this.#marks.find(({ bytesBefore }) => bytesBefore >= border.bytesBefore - bytes);
    return Math.min(index, first?.index ?? index);
  }

  /** The segments before this one are gone. */
  forgetBefore(segment: number): void {
    const first = this.#marks.findIndex((mark) => mark.segment >= segment);
    this.#marks = first === -1 ? [] : this.#marks.slice(first);
  }

  #restart(index: number): void {
    this.#marks = [];
    this.#lastIndex = index;
  }

  #note(mark: Mark): void {
    if (mark.index <= this.#lastIndex) this.#marks.length = this.#position(mark.index - 1) + 1;
    const last = this.#marks.at(-1);
    const isNear = last?.segment === mark.segment && mark.bytesBefore - last.bytesBefore < MARK_EVERY_BYTES;
    if (!isNear) this.#marks.push(mark);
  }

  /** Of the last mark at or before an entry; -1 when there is none. */
  #position(index: number): number {
    let [low, high] = [0, this.#marks.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#marks[middle] as Mark).index <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
