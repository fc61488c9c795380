import test from 'ava';
import fc from 'fast-check';
import type { EntryType, Message, MessageType } from 'raft-ts';
import { encodeBatch } from '#manager/consensus/batch-frame.ts';
import { NO_MEMBERSHIP } from '#manager/consensus/membership.ts';
import {
  decodeFrame,
  encodeFrame,
  messageFromWire,
  messageToWire,
  snapshotOf,
} from '#manager/consensus/wire.ts';

/* Numbers at which their form on the wire changes, up to the largest there are. */
const number = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 16_383, 16_384, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const entry = fc.record({
  type: fc.constantFrom(0, 1, 2) as fc.Arbitrary<EntryType>,
  term: number,
  index: number,
  data: fc.uint8Array({ maxLength: 400 }),
});
const message: fc.Arbitrary<Message> = fc.record(
  {
    type: fc.nat(20) as fc.Arbitrary<MessageType>,
    to: number,
    from: number,
    term: number,
    logTerm: number,
    index: number,
    commit: number,
    vote: number,
    reject: fc.boolean(),
    rejectHint: number,
    entries: fc.array(entry, { maxLength: 8 }),
    context: fc.uint8Array({ minLength: 1, maxLength: 20 }),
  },
  { requiredKeys: ['type', 'to', 'from', 'term'] },
);

function read(frame: Uint8Array): Message[] {
  return (decodeFrame(frame).batch?.messages ?? []).map(messageFromWire);
}

test('a batch reads as if it had been written by the general encoder', (t) => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
      const plain = encodeFrame({ batch: { messages: messages.map(messageToWire) } });
      t.deepEqual(read(Buffer.from(encodeBatch(messages))), read(Buffer.from(plain)));
    }),
  );
});

test('a large entry and one that says nothing travel together', (t) => {
  const entries = [1_500_000, 0, 127, 128].map((bytes, at) => ({
    type: 0 as const,
    term: 3,
    index: 9 + at,
    data: Buffer.alloc(bytes, at),
  }));
  const [received] = read(encodeBatch([{ type: 3, to: 2, from: 1, term: 3, entries }])) as [Message];
  t.deepEqual(
    received.entries?.map(({ index, data }) => [
      index,
      data.length,
      data.every((byte) => byte === index - 9),
    ]),
    entries.map(({ index, data }) => [index, data.length, true]),
  );
});

test('a snapshot keeps its name', (t) => {
  const snapshot = snapshotOf({ index: 8, term: 2, membership: NO_MEMBERSHIP });
  const [received] = read(encodeBatch([{ type: 7, to: 2, from: 1, term: 3, snapshot }])) as [Message];
  t.deepEqual(received.snapshot?.meta, snapshot.meta);
});
