import type { Entry, Message } from 'raft-ts';
import { encode } from '#proto/rpc/codec.ts';
import { headToWire } from './wire.ts';

/*
 * A batch of messages as the frame of a line: what encodeFrame({ batch }) makes, written by hand where there is much of
 * it. Entries are most of what a leader says, and it says them to every follower: the general encoder takes three times as
 * long for them.
 */

/* Tags: field number << 3, and 2 for what is preceded by its length. */
const FRAME_BATCH = 0x0a;
const BATCH_MESSAGES = 0x0a;
const MESSAGE_ENTRIES = 0x3a;
const ENTRY_TYPE = 0x08;
const ENTRY_TERM = 0x10;
const ENTRY_INDEX = 0x18;
const ENTRY_DATA = 0x22;

/** The frame that carries these messages. */
export function encodeBatch(messages: readonly Message[]): Uint8Array {
  const heads = messages.map((message) => encode('RaftMessage', headToWire(message)));
  const sizes = messages.map((message, at) => (heads[at] as Uint8Array).length + entriesSize(message));
  const batchSize = sizes.reduce((sum, size) => sum + sizeWithin(size), 0);
  const frame = Buffer.allocUnsafe(sizeWithin(batchSize));
  let at = writeStart(frame, 0, FRAME_BATCH, batchSize);
  for (const [position, message] of messages.entries()) {
    at = writeStart(frame, at, BATCH_MESSAGES, sizes[position] as number);
    const head = heads[position] as Uint8Array;
    frame.set(head, at);
    at += head.length;
    for (const entry of message.entries ?? []) at = writeEntry(frame, at, entry);
  }
  return frame;
}

function entriesSize({ entries = [] }: Message): number {
  let size = 0;
  for (const entry of entries) size += sizeWithin(entrySize(entry));
  return size;
}

function entrySize({ type, term, index, data }: Entry): number {
  return 3 + varintSize(type) + varintSize(term) + varintSize(index) + sizeWithin(data.length);
}

function writeEntry(into: Buffer, at: number, entry: Entry): number {
  const { type, term, index, data } = entry;
  let next = writeStart(into, at, MESSAGE_ENTRIES, entrySize(entry));
  next = writeStart(into, next, ENTRY_TYPE, type);
  next = writeStart(into, next, ENTRY_TERM, term);
  next = writeStart(into, next, ENTRY_INDEX, index);
  next = writeStart(into, next, ENTRY_DATA, data.length);
  into.set(data, next);
  return next + data.length;
}

/** What something of this size takes with its tag and length before it. */
function sizeWithin(size: number): number {
  return 1 + varintSize(size) + size;
}

/** Writes a tag and the number behind it, a value or a length, and gives back where to go on. */
function writeStart(into: Buffer, at: number, tag: number, number: number): number {
  into[at] = tag;
  let next = at + 1;
  let rest = number;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) {
    into[next] = (rest % 0x80) | 0x80;
    next += 1;
  }
  into[next] = rest;
  return next + 1;
}

function varintSize(number: number): number {
  let size = 1;
  for (let rest = number; rest > 0x7f; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}
