import test from 'ava';
import { runShare } from '../support/sim/share.ts';
import { simulate } from '../support/sim/simulate.ts';

test.serial(
  '3 managers: whatever fails, nothing acknowledged is lost, reads see it, and all come to the same',
  runShare,
  { members: 3, histories: 130 },
);

test.serial('replay: one seed is one history, to the last word', async (t) => {
  const traces = await Promise.all([traceOf(7), traceOf(7), traceOf(8)]);
  t.deepEqual(traces[0], traces[1]);
  t.notDeepEqual(traces[0], traces[2]);
});

async function traceOf(seed: number): Promise<string[]> {
  const lines: string[] = [];
  await simulate({ seed, tell: (line) => lines.push(line) });
  return lines;
}
