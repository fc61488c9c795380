import test from 'ava';
import { type Lane, striped } from '#agent/core/image/striped.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { seededRandom } from '#proto/base/random.ts';

const BLOB = Buffer.from(seededRandom(5).bytes(9_000_000));

/** A node that has the blob, and breaks off after so many bytes. */
function laneOf(given: number[], brokenAfter = Number.POSITIVE_INFINITY): Lane {
  let left = brokenAfter;
  const place = given.push(0) - 1;
  return async function* (offset, length) {
    for (let at = offset; at < offset + length; at += 100_000) {
      const piece = BLOB.subarray(at, Math.min(at + 100_000, offset + length));
      left -= piece.length;
      if (left < 0) throw new ShoalError('UNAVAILABLE', 'the line broke');
      given[place] = (given[place] ?? 0) + piece.length;
      yield await Promise.resolve(piece);
    }
  };
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

test('striped: what comes from several nodes is in order, and each gives a part', async (t) => {
  const given: number[] = [];
  const lanes = [laneOf(given), laneOf(given), laneOf(given)];
  const from = 123_457;
  t.true((await all(striped(lanes, { from, to: BLOB.length }))).equals(BLOB.subarray(from)));
  t.true(
    given.every((bytes) => bytes > 0),
    given.join(),
  );
  t.is(
    given.reduce((sum, bytes) => sum + bytes),
    BLOB.length - from,
    'nothing comes twice',
  );
});

test('striped: a node that breaks off is replaced by the others', async (t) => {
  const given: number[] = [];
  const lanes = [laneOf(given, 150_000), laneOf(given), laneOf(given, 2_500_000)];
  t.true((await all(striped(lanes, { from: 0, to: BLOB.length }))).equals(BLOB));
});

test('striped: when all break off that is said, and what had come before is of use', async (t) => {
  const given: number[] = [];
  const parts: Uint8Array[] = [];
  const chunks = striped([laneOf(given, 2_500_000), laneOf(given, 2_200_000)], { from: 0, to: BLOB.length });
  await t.throwsAsync(
    async () => {
      for await (const chunk of chunks) parts.push(chunk);
    },
    { instanceOf: ShoalError, message: 'no node gives the rest: the line broke' },
  );
  const here = Buffer.concat(parts);
  t.true(here.length > 0);
  t.true(here.equals(BLOB.subarray(0, here.length)));
});

test('striped: a node that knows of no lengths, or gives too little, does no harm', async (t) => {
  const talkative: Lane = async function* (offset) {
    yield await Promise.resolve(BLOB.subarray(offset));
  };
  const short: Lane = async function* (offset, length) {
    yield await Promise.resolve(BLOB.subarray(offset, offset + length - 1));
  };
  t.true((await all(striped([talkative, short], { from: 0, to: BLOB.length }))).equals(BLOB));
});

test('striped: nodes run ahead of a slow reader only so far, and stop when it leaves', async (t) => {
  const given: number[] = [];
  let ended = 0;
  const counted: Lane = async function* (offset, length, signal) {
    try {
      yield* laneOf(given)(offset, length, signal);
    } finally {
      ended += 1;
    }
  };
  const chunks = striped([counted, counted], { from: 0, to: BLOB.length * 1_000 });
  await chunks.next();
  for (let turn = 0; turn < 2_000; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.true(given.length <= 7, `${given.length} pieces were fetched`);
  await chunks.return(undefined);
  t.is(ended, given.length, 'none is left open');
});
