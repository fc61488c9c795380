import type { Entry, HardState } from 'raft-ts';
import { assert } from '#proto/base/assert.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { DiskFile } from './disk.ts';
import { type Identity, itemBytesMax, type LogItem, writeItem } from './items.ts';
import type { LogIndex } from './log-index.ts';
import { readBack, type Wanted } from './log-read-back.ts';
import { alignUp, BLOCK_BYTES, damaged, Sealer } from './sealed.ts';
import { type OpenSegment, SEGMENT, SEGMENT_START, Segments, type SegmentsModules } from './segments.ts';
import { type LogContent, readWal, type WalFound } from './wal-read.ts';

/** Content is sealed in records of about this much, and written and synced in groups of about that much. */
const RECORD_BYTES = 1024 * 1024;
const GROUP_BYTES = 4 * 1024 * 1024;

export interface WalOpts {
  readonly directory: string;
  readonly identity: Identity;
  readonly segmentBytes: number;
}

export interface WalModules extends SegmentsModules {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
  /** Told how long each write and sync took. */
  readonly observeSync: (seconds: number) => void;
}

/** What one call makes durable. */
export interface WalBatch {
  readonly hardState?: HardState | undefined;
  readonly entries: readonly Entry[];
  /** The log is emptied first, to go on behind a snapshot of this index. */
  readonly restart?: { readonly index: number; readonly term: number } | undefined;
}

interface OlderSegment {
  readonly number: number;
  /** Where the log goes on in the next one. */
  readonly tail: number;
  /** The highest entry index in it. */
  readonly lastIndex: number;
  readonly keyId: number;
}

/**
 * The write-ahead log: one writer, one write and one sync for everything a call brings. After a failed write nothing of
 * the call is durable as far as anybody may know; the same batch may be appended again once there is room.
 */
export class Wal {
  readonly #opts: WalOpts;
  readonly #modules: WalModules;
  readonly #segments: Segments;
  readonly #index: LogIndex;
  /** Older segments that are still needed. */
  #older: OlderSegment[];
  #current: (OpenSegment & { tail: number; lastIndex: number; readonly sealer: Sealer }) | undefined;
  #number: number;
  #sequence: number;
  #hardState: HardState;
  #scratch = Buffer.alloc(64 * 1024);
  #content = Buffer.alloc(64 * 1024);

  /** Opens the log in a directory, repairing a torn end; what it says is in `content`. */
  static open(opts: WalOpts, modules: WalModules): { wal: Wal; content: LogContent } {
    modules.disk.makeDirectory(opts.directory);
    const found = readWal(opts.directory, modules);
    repair(opts.directory, found, modules);
    return { wal: new Wal(opts, modules, found), content: found.content };
  }

  private constructor(opts: WalOpts, modules: WalModules, found: WalFound) {
    this.#opts = opts;
    this.#modules = modules;
    this.#index = found.index;
    this.#older = found.segments.map(({ number, tail, lastIndex, keyId }) => ({
      number,
      tail,
      lastIndex,
      keyId,
    }));
    this.#number = found.segments.at(-1)?.number ?? 0;
    this.#sequence = found.nextSequence;
    this.#hardState = found.content.hardState;
    this.#segments = new Segments(opts, modules);
    for (const number of found.stale) this.#segments.retire(number);
  }

  /** Returns once the batch is durable. */
  append(batch: WalBatch): void {
    const items: LogItem[] = [];
    if (batch.restart !== undefined) items.push({ kind: 'restart', ...batch.restart });
    if (batch.hardState !== undefined) items.push({ kind: 'hard-state', hardState: batch.hardState });
    for (const entry of batch.entries) items.push({ kind: 'entry', entry });
    for (const group of splitBySize(items, GROUP_BYTES)) this.#appendGroup(group);
  }

  /**
   * Entries from `lo` on, read again: at least one, and as many more as don't take long. Throws FAILED_PRECONDITION when
   * what was whole is damaged now.
   */
  entries(wanted: Wanted): Entry[] {
    const mark = this.#index.find(wanted.lo);
    const segment = [...this.#older, this.#current].find((one) => one?.number === mark?.segment);
    if (mark === undefined || segment === undefined)
      throw damaged(`the log in ${this.#opts.directory} does not hold entry ${wanted.lo} any more`);
    return readBack({ directory: this.#opts.directory, mark, tail: segment.tail }, wanted, this.#modules);
  }

  /** The first entry of which on, before `index`, at most so many bytes of log were written. */
  firstWithin(index: number, bytes: number): number {
    return this.#index.firstWithin(index, bytes);
  }

  /** Lets go of segments in which every entry is older than `firstIndex`. */
  collect(firstIndex: number): void {
    const keep = this.#current === undefined ? this.#older.length - 1 : this.#older.length;
    let free = 0;
    while (free < keep && (this.#older[free] as { lastIndex: number }).lastIndex < firstIndex) free += 1;
    if (free === 0) return;
    for (const { number } of this.#older.splice(0, free)) {
      this.#segments.retire(number);
      this.#index.forgetBefore(number + 1);
    }
    this.#modules.disk.syncDirectory(this.#opts.directory);
  }

  /** Says again what was said last, so that the log goes on in a segment of the newest key. */
  goOn(): void {
    this.#appendGroup([{ kind: 'hard-state', hardState: this.#hardState }]);
  }

  /** The keys that its segments are encrypted with. */
  get keyIds(): readonly number[] {
    const current = this.#current === undefined ? [] : [this.#current.header.keyId];
    return [...this.#older.map(({ keyId }) => keyId), ...current];
  }

  /** Does a little of what the next segment will need; for moments when nothing waits. */
  prepare(): void {
    if (this.#current !== undefined && this.#current.tail * 2 > this.#current.bytes) this.#segments.prepare();
  }

  close(): void {
    this.#current?.file.close();
    this.#segments.close();
  }

  #appendGroup(items: readonly LogItem[]): void {
    let records = splitBySize(items, RECORD_BYTES);
    const bytes = records.reduce((sum, record) => sum + Sealer.sizeOf(sizeOfAll(record)), 0);
    if (this.#current === undefined || this.#isOver(this.#current, bytes)) {
      records = [this.#checkpoint(), ...records];
      this.#roll(bytes + Sealer.sizeOf(sizeOfAll(this.#checkpoint())));
    }
    const segment = this.#current;
    assert(segment !== undefined, 'a segment is open');
    const from = segment.tail;
    const ends = this.#seal(segment.sealer, records);
    this.#write(segment, this.#scratch.subarray(0, ends.at(-1)));
    for (const [position, record] of records.entries()) {
      const [at, end] = [from + (ends[position - 1] ?? 0), from + (ends[position] as number)];
      this.#index.record({ segment: segment.number, at, end, sequence: this.#sequence + position }, record);
    }
    this.#sequence += records.length;
    for (const item of items) this.#remember(segment, item);
  }

  /** It has no room for so much, or new files have another key by now. */
  #isOver({ tail, bytes: size, header }: OpenSegment & { tail: number }, bytes: number): boolean {
    return tail + bytes > size || header.keyId !== this.#modules.keys.current.id;
  }

  /** What every segment starts with, so that the ones before it may go. */
  #checkpoint(): LogItem[] {
    return [
      { kind: 'identity', identity: this.#opts.identity },
      { kind: 'hard-state', hardState: this.#hardState },
    ];
  }

  #roll(bytes: number): void {
    this.#leave();
    const segment = this.#segments.create(
      this.#number + 1,
      this.#sequence,
      SEGMENT_START + alignUp(bytes, BLOCK_BYTES),
    );
    this.#number = segment.number;
    const sealer = new Sealer(SEGMENT, segment.header, this.#modules.keys);
    this.#current = { ...segment, tail: SEGMENT_START, lastIndex: 0, sealer };
  }

  #leave(): void {
    if (this.#current === undefined) return;
    this.#current.file.close();
    const { number, tail, lastIndex, header } = this.#current;
    this.#older.push({ number, tail, lastIndex, keyId: header.keyId });
    this.#current = undefined;
  }

  /** Fills #scratch with the records, up to a whole block, and gives back where in it each ends. */
  #seal(sealer: Sealer, records: readonly (readonly LogItem[])[]): number[] {
    const ends: number[] = [];
    let at = 0;
    for (const [position, record] of records.entries()) {
      const size = sizeOfAll(record);
      if (this.#content.length < size) this.#content = Buffer.alloc(size);
      let length = 0;
      for (const item of record) length = writeItem(this.#content, length, item);
      this.#makeRoom(at, at + Sealer.sizeOf(length));
      const sequence = this.#sequence + position;
      const last = position === records.length - 1;
      const label = { sequence, group: this.#sequence, last };
      at = sealer.seal(this.#scratch, at, label, this.#content.subarray(0, length));
      ends.push(at);
    }
    const end = alignUp(at, BLOCK_BYTES);
    this.#scratch.fill(0, at, end);
    ends[ends.length - 1] = end;
    return ends;
  }

  #makeRoom(used: number, needed: number): void {
    const bytes = alignUp(needed, BLOCK_BYTES);
    if (bytes <= this.#scratch.length) return;
    const larger = Buffer.alloc(Math.max(bytes, 2 * this.#scratch.length));
    this.#scratch.copy(larger, 0, 0, used);
    this.#scratch = larger;
  }

  /** Nobody knows what a failed write left: the next one goes to a new segment, which says where this one ends. */
  #write(segment: OpenSegment & { tail: number }, bytes: Buffer): void {
    const startedAtMs = this.#modules.clock.monotonicMs();
    try {
      writeDurably(segment.file, bytes, segment.tail);
    } catch (error) {
      this.#leave();
      throw error;
    }
    segment.tail += bytes.length;
    this.#modules.observeSync((this.#modules.clock.monotonicMs() - startedAtMs) / 1000);
  }

  #remember(segment: { lastIndex: number }, item: LogItem): void {
    if (item.kind === 'hard-state') this.#hardState = item.hardState;
    if (item.kind === 'entry') segment.lastIndex = Math.max(segment.lastIndex, item.entry.index);
  }
}

function writeDurably(file: DiskFile, bytes: Buffer, at: number): void {
  if (file.writeThrough?.(bytes, at)) return;
  file.write(bytes, at);
  file.sync();
}

/** Cuts the last segment off where the log ends, so that what a write cut short left there is gone for good. */
function repair(directory: string, found: WalFound, modules: WalModules): void {
  const last = found.segments.at(-1);
  if (last === undefined || last.tail === last.bytes) return;
  const file = modules.disk.open(last.path, 'write');
  try {
    file.truncate(last.tail);
    file.sync();
  } finally {
    file.close();
  }
  modules.log.debug('cut the unwritten end off the last log segment', {
    directory,
    segment: last.number,
    bytes: last.bytes - last.tail,
  });
}

function sizeOfAll(items: readonly LogItem[]): number {
  return items.reduce((sum, item) => sum + itemBytesMax(item), 0);
}

/** Consecutive parts of about `bytesMax`: each holds at least one item, and no more than one that is larger. */
function splitBySize(items: readonly LogItem[], bytesMax: number): LogItem[][] {
  const parts: LogItem[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const size = itemBytesMax(item);
    if (bytes + size > bytesMax) {
      parts.push([]);
      bytes = 0;
    }
    bytes += size;
    (parts.at(-1) as LogItem[]).push(item);
  }
  return parts;
}
