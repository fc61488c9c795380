import test from 'ava';
import { OrderedRows } from '#manager/store/tasks/ordered-rows.ts';
import { sortRows } from '#manager/store/tasks/sort-rows.ts';
import { randomInt, seededRandom } from '#proto/base/random.ts';

const PROBE = 0;
const ROWS = 5_000;

/** Keys of rows, by number; the probe's is set by the test. */
function keysOf(seed: number): Float64Array {
  const random = seededRandom(seed);
  return Float64Array.from({ length: ROWS + 1 }, () => randomInt(random, 2 ** 30) * 2 ** 10 + 1);
}

test('ordered rows: are in order through any adding and removing', (t) => {
  const keys = keysOf(1);
  const random = seededRandom(2);
  const rows = new OrderedRows((a, b) => (keys[a] as number) - (keys[b] as number));
  const there = new Set<number>();
  for (let i = 0; i < 4 * ROWS; i++) {
    const row = 1 + randomInt(random, ROWS);
    if (there.delete(row)) rows.remove(row);
    else {
      rows.add(row);
      there.add(row);
    }
  }
  const sorted = [...there].sort((a, b) => (keys[a] as number) - (keys[b] as number));
  keys[PROBE] = 0;
  t.deepEqual(
    rows.from(PROBE, () => true),
    sorted,
  );
  t.deepEqual(
    rows.from(PROBE, (row) => row !== sorted[700]),
    sorted.slice(0, 700),
  );
  t.deepEqual(
    rows.from(PROBE, () => true, 3),
    sorted.slice(0, 3),
  );
});

test('sorted rows: by the key, and those with equal keys as they were', (t) => {
  for (const span of [1, 100, 2 ** 20, 2 ** 50]) {
    const random = seededRandom(span);
    const keys = Array.from({ length: 2_000 }, () => randomInt(random, 2 ** 30) % span);
    const steps = sortRows(Uint32Array.from(keys.keys()), (row) => keys[row] as number);
    let step = steps.next();
    while (!step.done) step = steps.next();
    const expected = [...keys.keys()].sort((a, b) => (keys[a] as number) - (keys[b] as number) || a - b);
    t.deepEqual([...step.value], expected);
  }
});
