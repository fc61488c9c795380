import test from 'ava';
import { StallWatch } from '#manager/consensus/stall-watch.ts';

const TICK_MS = 10;
const HARMLESS_MS = 75;

/** Lets the loop come round for so long, each time this much too late. */
function run(watch: StallWatch, fromMs: number, forMs: number, lateMs: number): number {
  let nowMs = fromMs;
  while (nowMs < fromMs + forMs) {
    nowMs += TICK_MS + lateMs;
    watch.came(nowMs, lateMs, HARMLESS_MS);
  }
  return nowMs;
}

test('stalls: a loop that is held up most of the time is complained of, until it was heeded', (t) => {
  const watch = new StallWatch();
  let nowMs = run(watch, 0, 20_000, 0);
  t.is(watch.complaint(nowMs), undefined);
  nowMs = run(watch, nowMs, 11_000, 100);
  t.regex(watch.complaint(nowMs) ?? '', /holds its Raft loop up again and again/);
  watch.heeded(nowMs);
  nowMs = run(watch, nowMs, 50_000, 100);
  t.is(watch.complaint(nowMs), undefined);
  nowMs = run(watch, nowMs, 20_000, 100);
  t.truthy(watch.complaint(nowMs));
});

test('stalls: a loop that is only slow, on a busy machine, is not complained of', (t) => {
  const watch = new StallWatch();
  t.is(watch.complaint(run(watch, 0, 60_000, 50)), undefined);
});

test('stalls: one long pause, and what lies long back, is none', (t) => {
  const watch = new StallWatch();
  watch.came(9_000, 9_000, HARMLESS_MS);
  t.is(watch.complaint(9_000), undefined);
  const after = new StallWatch();
  const heldUpUntilMs = run(after, 0, 11_000, 100);
  t.is(after.complaint(run(after, heldUpUntilMs, 11_000, 0)), undefined);
});

test('stalls: each time it happens again soon, it is left alone for longer', (t) => {
  const watch = new StallWatch();
  let nowMs = 0;
  const rests: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    const fromMs = nowMs;
    while (watch.complaint(nowMs) === undefined) nowMs = run(watch, nowMs, 1_000, 100);
    rests.push(Math.round((nowMs - fromMs) / 60_000));
    watch.heeded(nowMs);
  }
  t.deepEqual(rests.slice(1, 6), [1, 2, 4, 8, 16]);
  t.true((rests.at(-1) ?? 0) <= 61, 'and that has an end');
});

test('stalls: a main thread that says nothing is complained of, but not for time in which nobody listened', (t) => {
  const watch = new StallWatch();
  t.true(watch.asks(0));
  t.false(watch.asks(500));
  t.is(watch.complaint(4_900), undefined);
  t.truthy(watch.complaint(5_000));
  watch.heard();
  t.is(watch.complaint(60_000), undefined);
  t.true(watch.asks(60_000));
  watch.came(70_000, 10_000, HARMLESS_MS);
  t.is(watch.complaint(70_000), undefined, 'our own pause');
  t.truthy(watch.complaint(75_000));
});
