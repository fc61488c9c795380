import test from 'ava';
import { Applying, type Given } from '#manager/consensus/applying.ts';

function given(index: number, bytes = 10): Given {
  return { index, bytes, responses: [] };
}

function indexes(done: readonly Given[]): number[] {
  return done.map(({ index }) => index);
}

test('what is given is done when the main thread says so, up to where it says', (t) => {
  const applying = new Applying();
  for (const index of [3, 5, 9]) applying.add(given(index), false);
  t.deepEqual(indexes(applying.applied(8)), [3, 5]);
  t.deepEqual(indexes(applying.applied(9)), [9]);
  t.deepEqual(indexes(applying.applied(9)), []);
});

test('a little is asked about with the next tick, once', (t) => {
  const applying = new Applying();
  t.false(applying.ask());
  t.false(applying.add(given(1), false));
  t.true(applying.ask());
  t.false(applying.ask());
  applying.applied(1);
  t.false(applying.ask());
});

test('much, and what is urgent, is asked about at once', (t) => {
  const applying = new Applying();
  t.true(applying.add(given(1), true));
  t.deepEqual(indexes(applying.applied(1)), [1]);
  t.true(applying.add(given(2, 2_000_000), false));
  applying.applied(2);
  const asked = Array.from({ length: 40 }, (_, at) => applying.add(given(3 + at), false));
  t.is(asked.filter(Boolean).length, 1, 'not again before there is an answer');
});
