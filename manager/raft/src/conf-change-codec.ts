import { leavesJoint } from './conf-change.ts';
import { ConfChangeError } from './errors.ts';
import {
  type ConfChange,
  type ConfChangeSingle,
  type ConfChangeTransition,
  ConfChangeType,
  type PeerId,
} from './types.ts';

/*
 * A change of members as the data of an entry: version, transition, number of changes, then per change its type and
 * member, then the context to the end. Numbers are LEB128. No bytes at all: leave the joint configuration, so that this
 * proposal costs nothing and is never refused for want of room.
 */

const VERSION = 1;
const TRANSITIONS: readonly ConfChangeTransition[] = ['auto', 'joint-implicit', 'joint-explicit'];
const TYPES: readonly ConfChangeType[] = Object.values(ConfChangeType);

/** A peer that sends more is no peer of ours: no group has as many members. */
const CHANGES_MAX = 1000;

/** The data of an entry that asks for this change. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  if (leavesJoint(change) && change.context.length === 0) return new Uint8Array();
  const bytes = [VERSION, TRANSITIONS.indexOf(change.transition)];
  pushNumber(bytes, change.changes.length);
  for (const { type, nodeId } of change.changes) {
    bytes.push(type);
    pushNumber(bytes, nodeId);
  }
  const encoded = new Uint8Array(bytes.length + change.context.length);
  encoded.set(bytes);
  encoded.set(change.context, bytes.length);
  return encoded;
}

/** Throws ConfChangeError when the bytes are none that encodeConfChange makes. */
export function decodeConfChange(data: Uint8Array): ConfChange {
  if (data.length === 0) return { transition: 'auto', changes: [], context: new Uint8Array() };
  const reader = { data, at: 0 };
  if (readByte(reader) !== VERSION)
    throw new ConfChangeError(`a change of members of version ${data[0]}: this member knows ${VERSION}`);
  const transition = TRANSITIONS[readByte(reader)];
  if (transition === undefined) throw new ConfChangeError(`unknown transition ${data[1]}`);
  const count = readNumber(reader);
  if (count > CHANGES_MAX) throw new ConfChangeError(`${count} changes of members at once`);
  const changes: ConfChangeSingle[] = [];
  while (changes.length < count) {
    const type = TYPES[readByte(reader)];
    if (type === undefined) throw new ConfChangeError('unknown type of a change of members');
    changes.push({ type, nodeId: readNumber(reader) });
  }
  return { transition, changes, context: data.slice(reader.at) };
}

interface Reader {
  readonly data: Uint8Array;
  at: number;
}

function readByte(reader: Reader): number {
  const byte = reader.data[reader.at];
  if (byte === undefined) throw new ConfChangeError('a change of members is cut short');
  reader.at += 1;
  return byte;
}

function pushNumber(bytes: number[], value: PeerId): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

function readNumber(reader: Reader): number {
  let value = 0;
  let weight = 1;
  for (;;) {
    const byte = readByte(reader);
    value += (byte % 0x80) * weight;
    if (!Number.isSafeInteger(value)) throw new ConfChangeError('a number above 2^53 in a change of members');
    if (byte < 0x80) return value;
    weight *= 0x80;
  }
}
