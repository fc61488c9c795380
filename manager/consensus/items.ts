import type { Entry, EntryType, HardState } from 'raft-ts';
import { assert } from '#proto/base/assert.ts';
import { ShoalError } from '#proto/base/errors.ts';

/** Who this member is; it never changes in the life of a state directory. */
export interface Identity {
  readonly raftId: number;
  readonly nodeId: string;
}

/** What a log says, in the order it was written. */
export type LogItem =
  | { readonly kind: 'identity'; readonly identity: Identity }
  | { readonly kind: 'hard-state'; readonly hardState: HardState }
  /** Everything from its index on that was said before is void. */
  | { readonly kind: 'entry'; readonly entry: Entry }
  /** The log is empty and goes on behind a snapshot. */
  | { readonly kind: 'restart'; readonly index: number; readonly term: number };

/*
 *   identity     1 | raft id u48 | node id: length u16, UTF-8
 *   hard state   2 | term u48 | vote u48 | commit u48
 *   entry        3 | type u8 | term u48 | index u48 | length u32, data
 *   restart      4 | index u48 | term u48
 */
const IDENTITY = 1;
const HARD_STATE = 2;
const ENTRY = 3;
const RESTART = 4;
const ENTRY_HEAD_BYTES = 18;
const SMALL_ITEM_BYTES_MAX = 512;

/** The most bytes an item takes. */
export function itemBytesMax(item: LogItem): number {
  return item.kind === 'entry' ? ENTRY_HEAD_BYTES + item.entry.data.length : SMALL_ITEM_BYTES_MAX;
}

/** Writes an item at `at` and gives back where the next one goes; there must be room for itemBytesMax. */
export function writeItem(into: Buffer, at: number, item: LogItem): number {
  switch (item.kind) {
    case 'identity':
      return writeIdentity(into, at, item.identity);
    case 'hard-state':
      into.writeUInt8(HARD_STATE, at);
      into.writeUIntLE(item.hardState.term, at + 1, 6);
      into.writeUIntLE(item.hardState.vote, at + 7, 6);
      return into.writeUIntLE(item.hardState.commit, at + 13, 6);
    case 'entry':
      return writeEntry(into, at, item.entry);
    case 'restart':
      into.writeUInt8(RESTART, at);
      into.writeUIntLE(item.index, at + 1, 6);
      return into.writeUIntLE(item.term, at + 7, 6);
  }
}

function writeIdentity(into: Buffer, at: number, identity: Identity): number {
  into.writeUInt8(IDENTITY, at);
  into.writeUIntLE(identity.raftId, at + 1, 6);
  const bytes = Buffer.from(identity.nodeId);
  assert(bytes.length < SMALL_ITEM_BYTES_MAX - 16, 'a node id is short');
  into.writeUInt16LE(bytes.length, at + 7);
  into.set(bytes, at + 9);
  return at + 9 + bytes.length;
}

function writeEntry(into: Buffer, at: number, entry: Entry): number {
  into.writeUInt8(ENTRY, at);
  into.writeUInt8(entry.type, at + 1);
  into.writeUIntLE(entry.term, at + 2, 6);
  into.writeUIntLE(entry.index, at + 8, 6);
  into.writeUInt32LE(entry.data.length, at + 14);
  into.set(entry.data, at + ENTRY_HEAD_BYTES);
  return at + ENTRY_HEAD_BYTES + entry.data.length;
}

/** The items of a record's content; entries' data are views of it. */
export function readItems(content: Buffer): LogItem[] {
  const items: LogItem[] = [];
  for (let at = 0; at < content.length; ) {
    const { item, end } = readItem(content, at);
    items.push(item);
    at = end;
  }
  return items;
}

function readItem(content: Buffer, at: number): { item: LogItem; end: number } {
  const kind = content.readUInt8(at);
  const number = (offset: number): number => content.readUIntLE(at + offset, 6);
  if (kind === ENTRY) return readEntry(content, at);
  if (kind === HARD_STATE) {
    const hardState = { term: number(1), vote: number(7), commit: number(13) };
    return { item: { kind: 'hard-state', hardState }, end: at + 19 };
  }
  if (kind === RESTART) {
    return { item: { kind: 'restart', index: number(1), term: number(7) }, end: at + 13 };
  }
  if (kind === IDENTITY) {
    const end = at + 9 + content.readUInt16LE(at + 7);
    const identity = { raftId: number(1), nodeId: content.toString('utf8', at + 9, end) };
    return { item: { kind: 'identity', identity }, end };
  }
  throw new ShoalError(
    'FAILED_PRECONDITION',
    `the Raft log holds an item of kind ${kind}, which this Shoal does not know: run the version that wrote it`,
  );
}

function readEntry(content: Buffer, at: number): { item: LogItem; end: number } {
  const from = at + ENTRY_HEAD_BYTES;
  const end = from + content.readUInt32LE(at + 14);
  const entry = {
    type: content.readUInt8(at + 1) as EntryType,
    term: content.readUIntLE(at + 2, 6),
    index: content.readUIntLE(at + 8, 6),
    data: content.subarray(from, end),
  };
  return { item: { kind: 'entry', entry }, end };
}
