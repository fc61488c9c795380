import test from 'ava';
import { linesOf } from '../../bench/report.ts';
import { type Outcome, type RunModules, runBench } from '../../bench/runner.ts';
import { median } from '../../bench/statistics.ts';
import type { Bench, Subject } from '../../bench/subject.ts';

/* How measurements take turns and are summed up; nothing is measured here. */

const BENCH: Bench = {
  about: 'a bench of nothing',
  peer: { name: 'theirs', programs: [], packages: [], needs: [] },
  figures: [{ name: 'one', meaning: 'the first', unit: 'ms' }],
  slices: ['a', 'b'],
  warmUp: 'a',
  sliceMsMax: 60_000,
  runs: 3,
  subjects: () => Promise.reject(new Error('not asked for')),
};

/** Two sides that note what is done with them; `measure` decides what comes of it. */
function sides(measure: (name: string, slice: string) => number) {
  const noted: string[] = [];
  const outcomes: Outcome[] = [];
  const side = (name: string): Subject => ({
    name,
    start: async () => void noted.push(`${name} starts`),
    stop: async () => void noted.push(`${name} stops`),
    measure: async (slice) => {
      noted.push(`${name} ${slice}`);
      return slice === 'a' ? [{ figure: 'one', value: measure(name, slice) }] : [];
    },
  });
  const modules = (signal = new AbortController().signal): RunModules => ({
    ours: side('ours'),
    theirs: side('theirs'),
    say: () => undefined,
    report: (outcome) => void outcomes.push(outcome),
    untilQuiet: async () => !signal.aborted,
    signal,
  });
  return { noted, outcomes, modules };
}

test('bench: both sides take turns at every slice, and who goes first alternates', async (t) => {
  const { noted, modules } = sides(() => 1);
  await runBench(BENCH, { runs: 2, slices: [] }, modules());
  t.deepEqual(noted.slice(4, -2), [
    ...['ours a', 'theirs a', 'theirs b', 'ours b'],
    ...['theirs a', 'ours a', 'ours b', 'theirs b'],
  ]);
});

test('bench: the warm-up counts for nothing', async (t) => {
  let measured = 0;
  const { outcomes, modules } = sides(() => ++measured);
  await runBench(BENCH, { runs: 1, slices: ['a'] }, modules());
  t.is(measured, 4);
  t.deepEqual(outcomes[0]?.figures.get('one'), { ours: [3], theirs: [4] });
});

test('bench: both sides are stopped, whatever goes wrong with one', async (t) => {
  let measured = 0;
  const { noted, modules } = sides(() => {
    if (++measured > 3) throw new Error('broken');
    return 1;
  });
  await t.throwsAsync(runBench(BENCH, { runs: 1, slices: [] }, modules()), { message: 'broken' });
  t.deepEqual(noted.slice(-2), ['ours stops', 'theirs stops']);
});

test('bench: what was measured is told although a side can’t be stopped', async (t) => {
  const { outcomes, modules } = sides(() => 1);
  const whole = modules();
  const ours = { ...whole.ours, stop: () => Promise.reject(new Error('stuck')) };
  await t.throwsAsync(runBench(BENCH, { runs: 1, slices: [] }, { ...whole, ours }), { message: 'stuck' });
  t.is(outcomes.length, 1);
});

test('bench: a side that does not come up is stopped too', async (t) => {
  const { noted, modules } = sides(() => 1);
  const broken = modules();
  const ours = { ...broken.ours, start: () => Promise.reject(new Error('no memory')) };
  await t.throwsAsync(runBench(BENCH, { runs: 1, slices: [] }, { ...broken, ours }), {
    message: 'no memory',
  });
  t.deepEqual(noted, ['theirs starts', 'ours stops', 'theirs stops']);
});

test('bench: a figure is the ratio of medians, ours to theirs', async (t) => {
  const values = { ours: [9, 2, 4, 3], theirs: [9, 10, 5, 8] };
  const { outcomes, modules } = sides((name) => values[name as 'ours' | 'theirs'].shift() as number);
  await runBench(BENCH, { runs: 3, slices: ['a'] }, modules());
  const line = { bench: 'x', figure: 'one', unit: 'ms', peer: 'theirs', runs: 3 };
  t.deepEqual(
    outcomes.flatMap((outcome) => linesOf('x', BENCH, outcome)),
    [{ ...line, value: 3, peerValue: 8, ratio: 0.375 }] as never,
  );
});

test('bench: a figure that is compared with something else says with what', (t) => {
  const figures = [{ name: 'one', meaning: 'the first', unit: 'ms', peer: 'the floor' }] as const;
  const measured = { ours: [3], theirs: [2] };
  const outcome = { figures: new Map([['one', measured]]), noisy: 0, slices: 2 };
  t.deepEqual(
    linesOf('x', { ...BENCH, figures }, outcome).map(({ peer, ratio }) => ({ peer, ratio })),
    [{ peer: 'the floor', ratio: 1.5 }],
  );
});

test('bench: the median of an even number of values is between the middle two', (t) => {
  t.is(median([10, 1, 2, 4]), 3);
  t.throws(() => median([]));
});
