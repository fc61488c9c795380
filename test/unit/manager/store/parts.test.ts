import test from 'ava';
import {
  type KeptParts,
  NO_PARTS,
  type Taken,
  type TransactionPart,
  takeEntry,
} from '#manager/store/parts.ts';
import { LIMITS } from '#proto/base/limits.ts';

const TERM = 3;

function part(number: number, count = 3, serial = 1, proposer = 7): TransactionPart {
  return { proposer, serial, number, count, data: Uint8Array.of(number) };
}

/** What came of the last of these entries, all of one term; undefined is an entry without a part. */
function takeAll(...entries: readonly (TransactionPart | undefined)[]): Taken {
  let taken: Taken = { kept: NO_PARTS, lost: [] };
  for (const entry of entries) taken = takeEntry(taken.kept, TERM, entry);
  return taken;
}

function kept(...parts: readonly TransactionPart[]): KeptParts {
  return { term: TERM, parts };
}

test('parts: are kept until the last one makes the transaction whole, whatever lies between them', (t) => {
  t.deepEqual(takeAll(part(1), undefined, part(2)), { kept: kept(part(1), part(2)), lost: [] });
  t.deepEqual(takeAll(part(1), undefined, part(2), undefined, part(3)), {
    kept: NO_PARTS,
    whole: [part(1), part(2), part(3)],
    lost: [],
  });
});

test('parts: a transaction with a hole in it is lost, and so is every later part of it', (t) => {
  const holed = takeAll(part(1), part(3));
  t.deepEqual(holed, { kept: NO_PARTS, lost: [part(3)] });
  t.deepEqual(takeEntry(holed.kept, TERM, part(2)), { kept: NO_PARTS, lost: [part(2)] });
  t.deepEqual(takeAll(part(2), part(3)), { kept: NO_PARTS, lost: [part(3)] }, 'its first part');
  t.deepEqual(takeAll(part(1), part(2), part(2)), { kept: NO_PARTS, lost: [part(2)] }, 'a part twice');
  t.deepEqual(takeAll(part(1, 3), part(2, 2)), { kept: NO_PARTS, lost: [part(2, 2)] }, 'another count');
});

test('parts: are let go of with the first entry of another term, and are not waited for', (t) => {
  const { kept: before } = takeAll(part(1), part(2));
  t.deepEqual(takeEntry(before, TERM + 1, undefined), { kept: NO_PARTS, lost: [part(1)] });
  t.deepEqual(
    takeEntry(before, TERM - 1, undefined),
    { kept: NO_PARTS, lost: [part(1)] },
    'a log begun anew',
  );
  t.deepEqual(takeEntry(before, TERM + 1, part(3)), { kept: NO_PARTS, lost: [part(1), part(3)] });
});

test('parts: the first one of another transaction takes the place of those that are kept', (t) => {
  const other = part(1, 2, 2);
  t.deepEqual(takeAll(part(1), part(2), other), { kept: kept(other), lost: [part(1)] });
  t.deepEqual(takeAll(part(1), other, part(2)), { kept: kept(other), lost: [part(2)] }, 'and keeps it');
  t.deepEqual(takeAll(part(1), part(2, 3, 1, 8)).kept, kept(part(1)), 'a proposer has serials of its own');
});

test('parts: of a transaction that is given up are let go of', (t) => {
  t.deepEqual(takeAll(part(1), part(2), part(3, 0)).kept, NO_PARTS);
  t.deepEqual(takeAll(part(1), part(2, 0, 5)).kept, kept(part(1)), 'of no other one');
});

test('parts: more than is kept is not guessed at', (t) => {
  const half = new Uint8Array(LIMITS.transactionBytesMax / 2);
  const { kept: before } = takeAll({ ...part(1, 9), data: half }, { ...part(2, 9), data: half });
  t.throws(() => takeEntry(before, TERM, part(3, 9)), {
    code: 'INTERNAL',
    message: /33554433 bytes of one transaction/,
  });
});
