import type { Entry, HardState } from 'raft-ts';
import { type Disk, readWhole } from './disk.ts';
import { type Identity, type LogItem, readItems } from './items.ts';
import type { KeyRing } from './keys.ts';
import { LogIndex, type Place } from './log-index.ts';
import { alignUp, BLOCK_BYTES, damaged, decodeHeader, type FileHeader, Sealer } from './sealed.ts';
import { SEGMENT, SEGMENT_START, segmentNumbers, segmentPath } from './segments.ts';

/*
 * Reading a log back. What is written together (a group: one write, one sync) counts as a whole or not at all, and a
 * group is only written once the one before is durable. So a group that is not whole is the torn end of the log when
 * nothing later follows it, and damage when something does.
 */

/** A segment on disk, as far as it belongs to the log. */
export interface SegmentFound {
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
  /** What it is encrypted with. */
  readonly keyId: number;
  /** Where the log ends in it; what follows is nothing, or the rest of an earlier life. */
  readonly tail: number;
  /** The highest entry index in it; 0 when it has none. */
  readonly lastIndex: number;
  readonly items: readonly LogItem[];
}

/** What the log says in sum. */
export interface LogContent {
  readonly identity: Identity | undefined;
  readonly hardState: HardState;
  /** What it says is committed, though entries may be missing that far. */
  readonly committedIndex: number;
  /** Consecutive; the first may have any index. */
  readonly entries: readonly Entry[];
  /** The snapshot that the log goes on behind, when it was last emptied for one. */
  readonly restart: { readonly index: number; readonly term: number } | undefined;
}

export interface WalFound {
  readonly segments: readonly SegmentFound[];
  /** Older files that the log has left behind. */
  readonly stale: readonly number[];
  readonly nextSequence: number;
  readonly content: LogContent;
  /** Where the entries are. */
  readonly index: LogIndex;
}

/** Reads a whole log, changing nothing. Throws FAILED_PRECONDITION on damage, a foreign key or a newer format. */
export function readWal(directory: string, modules: { disk: Disk; keys: KeyRing }): WalFound {
  const numbers = segmentNumbers(modules.disk, directory);
  const live = contiguousEnd(numbers);
  const load = (at: number): LoadedSegment | undefined =>
    at < live.length ? loadSegment(directory, live[at] as number, modules) : undefined;
  const segments: SegmentFound[] = [];
  const [replay, index] = [new Replay(), new LogIndex()];
  let file = load(0);
  let sequence = file?.header.firstSequence ?? 0;
  while (file !== undefined) {
    const next = load(segments.length + 1);
    const scanned = scan(file, sequence, next?.header.firstSequence);
    for (const item of scanned.found.items) replay.add(item, file.path);
    for (const { place, items } of scanned.records) index.record(place, items);
    segments.push(scanned.found);
    sequence = scanned.nextSequence;
    file = next;
  }
  const stale = numbers.filter((number) => !live.includes(number));
  return { segments, stale, nextSequence: sequence, content: replay.content(), index };
}

/** Segments are collected oldest first; one that a crash brought back is no part of the log if a later one is gone. */
export function contiguousEnd(numbers: readonly number[]): number[] {
  const last = numbers.at(-1) ?? 0;
  return numbers.filter((number, at) => last - number === numbers.length - 1 - at);
}

/** A segment in memory, its header read. */
export interface LoadedSegment {
  readonly number: number;
  readonly path: string;
  readonly header: FileHeader;
  readonly sealer: Sealer;
  readonly bytes: Buffer;
}

/** Throws FAILED_PRECONDITION where its header is damaged, or its key is not there. */
export function loadSegment(
  directory: string,
  number: number,
  modules: { disk: Disk; keys: KeyRing },
): LoadedSegment {
  const path = segmentPath(directory, number);
  const bytes = readWhole(modules.disk, path);
  const header = decodeHeader(SEGMENT, path, bytes);
  if (header.number !== number) throw damaged(`${SEGMENT.name} ${path} is number ${header.number} renamed`);
  return { number, path, header, sealer: new Sealer(SEGMENT, header, modules.keys), bytes };
}

/**
 * The groups of one segment, up to `until`: the sequence number that the next segment starts with. Writing may have
 * gone over to that one early, so what this one holds from there on is void.
 */
function scan(
  file: LoadedSegment,
  sequence: number,
  until: number | undefined,
): { found: SegmentFound; records: readonly RecordFound[]; nextSequence: number } {
  const records: RecordFound[] = [];
  let tail = SEGMENT_START;
  let next = sequence;
  while (until === undefined || next < until) {
    const group = readGroup(file, tail, next);
    if (group === undefined) break;
    records.push(...group.records);
    tail = group.end;
    next = group.nextSequence;
  }
  refuseGaps(file, tail, next, until);
  const { number, path, bytes } = file;
  const items = records.flatMap((record) => record.items);
  let lastIndex = 0;
  for (const item of items) if (item.kind === 'entry') lastIndex = Math.max(lastIndex, item.entry.index);
  const { keyId } = file.header;
  const found = { number, path, bytes: bytes.length, keyId, tail, lastIndex, items };
  return { found, records, nextSequence: next };
}

/** One record, and where it is. */
export interface RecordFound {
  readonly place: Place;
  readonly items: readonly LogItem[];
}

/** The group that starts at `from` with this sequence number; nothing where there is no whole one. */
export function readGroup(
  file: LoadedSegment,
  from: number,
  group: number,
): { records: readonly RecordFound[]; end: number; nextSequence: number } | undefined {
  const records: RecordFound[] = [];
  let at = from;
  for (let sequence = group; ; sequence += 1) {
    const record = file.sealer.find(file.bytes, at);
    if (record === undefined || record.sequence !== sequence || record.group !== group) return undefined;
    const end = record.last ? alignUp(record.end, BLOCK_BYTES) : record.end;
    const items = readItems(file.sealer.open(file.bytes, record));
    records.push({ place: { segment: file.number, at, end, sequence }, items });
    at = end;
    if (record.last) return { records, end, nextSequence: sequence + 1 };
  }
}

function refuseGaps(file: LoadedSegment, tail: number, next: number, until: number | undefined): void {
  if (until !== undefined) {
    if (next === until) return;
    throw damaged(`${SEGMENT.name} ${file.path} is damaged at byte ${tail}, and the log goes on after it`);
  }
  for (let at = tail; at < file.bytes.length; at += 8) {
    const record = file.sealer.find(file.bytes, at);
    if (record !== undefined && record.group > next) {
      throw damaged(
        `${SEGMENT.name} ${file.path} is damaged at byte ${tail}: records that were written later, at byte ${at}, are whole, ` +
          'so this is no write cut short but data lost or changed',
      );
    }
  }
}

/** Applies what a log says, item by item. */
class Replay {
  #identity: Identity | undefined;
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #entries: Entry[] = [];
  #restart: { index: number; term: number } | undefined;

  add(item: LogItem, path: string): void {
    switch (item.kind) {
      case 'identity':
        this.#identity = item.identity;
        break;
      case 'hard-state':
        this.#hardState = item.hardState;
        break;
      case 'entry':
        this.#append(item.entry, path);
        break;
      case 'restart':
        this.#entries = [];
        this.#restart = { index: item.index, term: item.term };
        break;
    }
  }

  #append(entry: Entry, path: string): void {
    const first = this.#entries[0]?.index ?? (this.#restart ? this.#restart.index + 1 : entry.index);
    const next = first + this.#entries.length;
    if (entry.index > next) {
      throw damaged(`${SEGMENT.name} ${path} holds entry ${entry.index} where entry ${next} belongs`);
    }
    if (entry.index < first) this.#entries = [];
    else this.#entries.length = entry.index - first;
    this.#entries.push(entry);
  }

  /** The commit index may have become durable before the last of the entries it speaks of: those were never lost. */
  content(): LogContent {
    const lastIndex = this.#entries.at(-1)?.index ?? this.#restart?.index ?? 0;
    const commit = Math.min(this.#hardState.commit, lastIndex);
    return {
      identity: this.#identity,
      hardState: { ...this.#hardState, commit },
      committedIndex: this.#hardState.commit,
      entries: this.#entries,
      restart: this.#restart,
    };
  }
}
