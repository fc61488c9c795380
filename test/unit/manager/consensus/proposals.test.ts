import test from 'ava';
import { type PlacedRun, Proposals } from '#manager/consensus/proposals.ts';

function applied(proposals: Proposals, ...entries: [index: number, term: number][]) {
  const { committed, lost } = proposals.applied(entries.map(([index, term]) => ({ index, term })));
  return { committed: idsOf(committed), lost };
}

function idsOf(runs: readonly PlacedRun[]): number[] {
  return runs.flatMap(({ firstId, count }) => Array.from({ length: count }, (_, at) => firstId + at));
}

test('a proposal is committed when its own entry is applied, and open until then', (t) => {
  const proposals = new Proposals();
  proposals.add(1, 10, 2);
  t.deepEqual(applied(proposals, [9, 2]), { committed: [], lost: [] });
  t.is(proposals.count, 1);
  t.deepEqual(applied(proposals, [10, 2]), { committed: [1], lost: [] });
  t.is(proposals.count, 0);
});

test('a proposal is lost when an entry of another term is applied in its place', (t) => {
  const proposals = new Proposals();
  proposals.add(1, 10, 2);
  t.deepEqual(applied(proposals, [10, 3]), { committed: [], lost: [1] });
});

test('a proposal is lost as soon as an entry of a later term is applied before it', (t) => {
  const proposals = new Proposals();
  proposals.add(1, 10, 2);
  proposals.add(2, 20, 2);
  proposals.add(3, 21, 4);
  t.deepEqual(applied(proposals, [8, 4]), { committed: [], lost: [1, 2] });
  t.deepEqual(applied(proposals, [21, 4]), { committed: [3], lost: [] });
  t.is(proposals.count, 0);
});

test('of two proposals for one index, the one whose term was applied is committed', (t) => {
  const proposals = new Proposals();
  proposals.add(1, 10, 2);
  proposals.add(2, 10, 5);
  t.deepEqual(applied(proposals, [10, 2]), { committed: [1], lost: [2] });
});

test('a snapshot leaves the outcome of what it stands for unknown, and decides what is its last entry or beyond', (t) => {
  const proposals = new Proposals();
  proposals.add(1, 10, 2);
  proposals.add(2, 12, 3);
  proposals.add(3, 13, 2);
  proposals.add(4, 13, 3);
  const { committed, lost, unknown } = proposals.replaced(12, 3);
  t.deepEqual({ committed: idsOf(committed), lost, unknown }, { committed: [2], lost: [3], unknown: [1] });
  t.is(proposals.count, 1);
});

test('what was proposed together and is committed together is told as one run', (t) => {
  const proposals = new Proposals();
  for (const at of [0, 1, 2, 3]) proposals.add(7 + at, 20 + at, 2);
  proposals.add(20, 24, 2);
  const entries = Array.from({ length: 5 }, (_, at) => ({ index: 20 + at, term: 2 }));
  t.deepEqual(proposals.applied(entries).committed, [
    { firstId: 7, firstIndex: 20, term: 2, count: 4 },
    { firstId: 20, firstIndex: 24, term: 2, count: 1 },
  ]);
});
