import test from 'ava';
import { simulate } from './simulation.ts';

const STEPS = 4000;
const RUNS = Number(process.env['RAFT_SIM_RUNS'] ?? 100);
const FIRST_SEED = Number(process.env['RAFT_SIM_SEED'] ?? 1);

test('simulation: whatever is lost, cut off or crashes, one history is applied, reads see it, and all recover', (t) => {
  let [terms, reads, applied] = [0, 0, 0];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed += 1) {
    try {
      const { truth, answeredReads } = simulate({ seed, steps: STEPS });
      terms += truth.leaderTerms;
      reads += answeredReads;
      applied += truth.lastIndex;
    } catch (error) {
      throw new Error(
        `seed ${seed}; again: RAFT_SIM_SEED=${seed} RAFT_SIM_RUNS=1 npx ava ${import.meta.filename}`,
        {
          cause: error,
        },
      );
    }
  }
  t.log(`${RUNS} histories: ${terms} leaders, ${applied} entries, ${reads} reads`);
  t.true(terms > RUNS && reads > RUNS && applied > RUNS * 10, 'the histories are about something');
});
