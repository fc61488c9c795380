import test from 'ava';
import { RowHash } from '#manager/store/tasks/row-hash.ts';
import { randomInt, seededRandom } from '#proto/base/random.ts';

const ROWS = 3_000;

test('row hash: finds what was added and not removed, however many have one hash', (t) => {
  for (const hashes of [1, 50, 2 ** 31]) {
    const random = seededRandom(hashes);
    const hashOf = Array.from({ length: ROWS + 1 }, () => (hashes === 1 ? 5 : randomInt(random, hashes)));
    const keys = Array.from({ length: ROWS + 1 }, (_, row) => row);
    const rows = new RowHash(
      (row) => hashOf[row] as number,
      (a, b) => keys[a] === keys[b],
    );
    const there = new Set<number>();
    const span = hashes === 1 ? 300 : ROWS;
    for (let i = 0; i < 4 * span; i++) {
      const row = 1 + randomInt(random, span);
      if (there.delete(row)) rows.remove(row);
      else {
        rows.add(row);
        there.add(row);
      }
    }
    for (let row = 1; row <= span; row++) {
      hashOf[0] = hashOf[row] as number;
      keys[0] = row;
      t.is(rows.find(0), there.has(row) ? row : 0);
    }
  }
});
