import type { ExecutionContext } from 'ava';
import { replayCommand } from './main-args.ts';
import { simulate } from './simulate.ts';

const FIRST_SEED = 1;

/** Runs a share of what `npm run sim` does, and looks whether those histories are about something. */
export async function runShare(
  t: ExecutionContext,
  { members, histories }: { readonly members: number; readonly histories: number },
): Promise<void> {
  const sums = { answered: 0, leaders: 0, ends: 0, snapshots: 0 };
  for (let seed = FIRST_SEED; seed < FIRST_SEED + histories; seed += 1) {
    const { violation, figures } = await simulate({ seed, members });
    if (violation !== undefined) t.fail(`${violation}\nagain: ${replayCommand({ seed, members })}`);
    for (const name of ['answered', 'leaders', 'ends', 'snapshots'] as const) sums[name] += figures[name];
  }
  t.log(JSON.stringify(sums));
  t.true(sums.answered > 20 * histories && sums.leaders > histories && sums.ends > histories);
  t.true(sums.snapshots > 0);
}
