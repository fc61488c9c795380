import { type HistoryOpts, simulate } from './simulate.ts';

/** Most planted mistakes are found within ten histories; none needs nearly as many as these. */
const SEEDS_MAX = 300;

/** Looks for the first history in which something is wrong. */
export async function findOut(opts: Omit<HistoryOpts, 'seed'>): Promise<{ seed: number; violation: string }> {
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    const { violation } = await simulate({ ...opts, seed });
    if (violation !== undefined) return { seed, violation };
  }
  return { seed: SEEDS_MAX, violation: 'nothing was found' };
}
