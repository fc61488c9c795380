import type { Entry } from 'raft-ts';
import { entryBytes } from 'raft-ts';
import type { Disk, DiskFile } from './disk.ts';
import { type LogItem, readItems } from './items.ts';
import type { KeyRing } from './keys.ts';
import type { Mark } from './log-index.ts';
import { alignUp, BLOCK_BYTES, damaged, decodeHeader, RECORD_HEADER_BYTES, Sealer } from './sealed.ts';
import { SEGMENT, segmentPath } from './segments.ts';

/*
 * Reading entries again that were written by this process, or read by it when it started: all of it was whole then. The
 * loop of Raft waits meanwhile, so what one call reads is bounded.
 */

/** One call reads on until it has gone over so much of the log. */
const READ_BYTES = 1024 * 1024;
const WINDOW_BYTES = 64 * 1024;

/** Entries lo <= index < hi, of these terms. */
export interface Wanted {
  readonly lo: number;
  readonly hi: number;
  /** Counted by entryBytes; one entry may exceed it. */
  readonly bytesMax: number;
  readonly termAt: (index: number) => number;
}

export interface ReadBackModules {
  readonly disk: Disk;
  readonly keys: KeyRing;
}

/** Where to read: a mark, and where its segment ends. */
export interface Where {
  readonly directory: string;
  readonly mark: Mark;
  readonly tail: number;
}

/** At least the first of the wanted entries, and what follows it closely. Throws FAILED_PRECONDITION on damage. */
export function readBack(where: Where, wanted: Wanted, modules: ReadBackModules): Entry[] {
  const { mark, tail, directory } = where;
  const path = segmentPath(directory, mark.segment);
  const records = new Records(path, tail, modules);
  try {
    const found = new Found(wanted);
    let { at, sequence } = mark;
    while (at < tail && !found.full && (found.entries.length === 0 || at - mark.at < READ_BYTES)) {
      const { items, end } = records.read(at, sequence);
      for (const item of items) found.take(item);
      at = end;
      sequence += 1;
    }
    if (found.entries.length > 0) return found.entries;
    throw damaged(`${SEGMENT.name} ${path} does not hold entry ${wanted.lo} any more`);
  } finally {
    records.close();
  }
}

/** The wanted entries, in their order; what was replaced later has another term, and is passed over. */
class Found {
  readonly #wanted: Wanted;
  readonly entries: Entry[] = [];
  full = false;
  #bytes = 0;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  take(item: LogItem): void {
    const { lo, hi, bytesMax, termAt } = this.#wanted;
    const index = lo + this.entries.length;
    if (this.full || item.kind !== 'entry' || item.entry.index !== index) return;
    if (item.entry.term !== termAt(index)) return;
    this.#bytes += entryBytes(item.entry);
    if (this.#bytes <= bytesMax || this.entries.length === 0) this.entries.push(item.entry);
    this.full = this.#bytes >= bytesMax || index + 1 === hi;
  }
}

/** The records of a segment, read a window at a time. */
class Records {
  readonly #path: string;
  readonly #tail: number;
  readonly #file: DiskFile;
  readonly #sealer: Sealer;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  constructor(path: string, tail: number, { disk, keys }: ReadBackModules) {
    this.#path = path;
    this.#tail = tail;
    this.#file = disk.open(path, 'read');
    try {
      this.#sealer = new Sealer(SEGMENT, decodeHeader(SEGMENT, path, this.#load(0, BLOCK_BYTES)), keys);
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** What the record at `at` says, and where the next one starts. */
  read(at: number, sequence: number): { items: LogItem[]; end: number } {
    const bytes = this.#recordAt(at);
    const record = this.#sealer.find(bytes, 0);
    if (record?.sequence !== sequence)
      throw damaged(
        `${SEGMENT.name} ${this.#path} is damaged at byte ${at}: it was whole when it was written`,
      );
    const items = readItems(this.#sealer.open(bytes, record));
    return { items, end: record.last ? alignUp(at + record.end, BLOCK_BYTES) : at + record.end };
  }

  close(): void {
    this.#file.close();
  }

  /** From `at` on as much as its record takes, if it says so itself. */
  #recordAt(at: number): Buffer {
    const held = this.#from(at);
    const known = held.length >= RECORD_HEADER_BYTES ? held : this.#load(at, WINDOW_BYTES);
    if (known.length < RECORD_HEADER_BYTES) return known;
    const size = Sealer.sizeOf(Sealer.lengthIn(known));
    return size <= known.length ? known : this.#load(at, size);
  }

  #from(at: number): Buffer {
    const offset = at - this.#windowAt;
    return offset < 0 ? this.#window.subarray(0, 0) : this.#window.subarray(offset);
  }

  #load(at: number, bytes: number): Buffer {
    const size = Math.min(Math.max(bytes, WINDOW_BYTES), this.#tail - at);
    const window = Buffer.allocUnsafe(size);
    this.#window = window.subarray(0, this.#file.read(window, at));
    this.#windowAt = at;
    return this.#window;
  }
}
