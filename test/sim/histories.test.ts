import test from 'ava';
import { replayCommand } from '../support/sim/main-args.ts';
import { simulate } from '../support/sim/simulate.ts';

/** A share of what `npm run sim` does. */
const SHARES = [
  { members: 3, histories: 90 },
  { members: 5, histories: 60 },
  { members: 7, histories: 30 },
];
const FIRST_SEED = 1;

for (const { members, histories } of SHARES) {
  test(`${members} managers: whatever fails, nothing acknowledged is lost, reads see it, and all come to the same`, async (t) => {
    const sums = { answered: 0, leaders: 0, ends: 0, snapshots: 0 };
    for (let seed = FIRST_SEED; seed < FIRST_SEED + histories; seed += 1) {
      const { violation, figures } = await simulate({ seed, members });
      if (violation !== undefined) t.fail(`${violation}\nagain: ${replayCommand({ seed, members })}`);
      for (const name of ['answered', 'leaders', 'ends', 'snapshots'] as const) sums[name] += figures[name];
    }
    t.log(JSON.stringify(sums));
    t.true(sums.answered > 20 * histories && sums.leaders > histories, 'the histories are about something');
    t.true(sums.ends > 0 && sums.snapshots > 0);
  });
}

test('replay: one seed is one history, to the last word', async (t) => {
  const traces = await Promise.all([traceOf(7), traceOf(7), traceOf(8)]);
  t.deepEqual(traces[0], traces[1]);
  t.notDeepEqual(traces[0], traces[2]);
});

async function traceOf(seed: number): Promise<string[]> {
  const lines: string[] = [];
  await simulate({ seed, tell: (line) => lines.push(line) });
  return lines;
}
