import test from 'ava';
import { randomHistory } from './support/history.ts';
import { randomMembershipHistory } from './support/membership-history.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 30);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
  test(`seed ${seed}: whatever is killed or cut off, what was acknowledged is there and what was refused is not`, async (t) => {
    await t.notThrowsAsync(randomHistory(seed), `replay with SEED=${seed} SEEDS=1`);
  });
  test(`seed ${seed}: the same holds while managers join and are removed`, async (t) => {
    await t.notThrowsAsync(randomMembershipHistory(seed), `replay with SEED=${seed} SEEDS=1`);
  });
}
