import test from 'ava';
import { Reads } from '#manager/consensus/reads.ts';

function setup() {
  const asked: Uint8Array[] = [];
  const answered: [readonly number[], number][] = [];
  const givenUp: number[] = [];
  const state = { canAsk: true };
  const reads = new Reads(Buffer.from('life'), {
    ask: (context) => {
      if (state.canAsk) asked.push(context);
      return state.canAsk;
    },
    answer: (ids, index) => void answered.push([ids, index]),
    giveUp: (ids) => void givenUp.push(...ids),
  });
  return { asked, answered, givenUp, state, reads };
}

const LATER = 1_000;

test('reads that come while one is asked share the next question', (t) => {
  const { asked, answered, reads } = setup();
  for (const id of [1, 2, 3]) {
    reads.add(id, LATER);
    reads.flush();
  }
  t.is(asked.length, 1);
  reads.answered(asked[0] as Uint8Array, 10);
  t.is(asked.length, 2);
  reads.answered(asked[1] as Uint8Array, 12);
  t.deepEqual(answered, [
    [[1], 10],
    [[2, 3], 12],
  ]);
});

test('a question that gets no answer is asked again, and its late answer counts for nobody', (t) => {
  const { asked, answered, reads } = setup();
  reads.add(1, LATER);
  reads.flush();
  for (let tick = 0; tick < 15; tick += 1) reads.tick(0);
  t.is(asked.length, 2);
  reads.answered(asked[0] as Uint8Array, 5);
  t.deepEqual(answered, []);
  reads.answered(asked[1] as Uint8Array, 9);
  t.deepEqual(answered, [[[1], 9]]);
});

test('reads wait while there is nobody to ask, and are given up in time', (t) => {
  const { asked, givenUp, state, reads } = setup();
  state.canAsk = false;
  reads.add(1, 50);
  reads.add(2, LATER);
  reads.tick(10);
  t.deepEqual([asked.length, givenUp], [0, []]);
  reads.tick(50);
  t.deepEqual(givenUp, [1]);
  state.canAsk = true;
  reads.tick(60);
  t.is(asked.length, 1);
});
