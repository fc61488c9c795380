import test from 'ava';
import { giveBackWhenResting } from '#deploy/node/resting.ts';

/** A daemon that uses as much of the processor between two looks as `work` says. */
function lookAfter(work: readonly number[]): { givenBackAt: number[]; trimmedAt: number[] } {
  const looks: (() => void)[] = [];
  const givenBackAt: number[] = [];
  const trimmedAt: number[] = [];
  let cpuMs = 0;
  let look = 0;
  giveBackWhenResting({
    clock: {
      timer: (_ms, fire) => {
        looks.push(fire);
        return () => undefined;
      },
    },
    cpuMs: () => cpuMs,
    giveBack: () => {
      givenBackAt.push(look);
      cpuMs += 50;
    },
    trim: () => trimmedAt.push(look),
  });
  for (const usedMs of work) {
    look++;
    cpuMs += usedMs;
    looks.shift()?.();
  }
  return { givenBackAt, trimmedAt };
}

test('resting: memory is given back at the first rest after the start, and not again for nothing', (t) => {
  t.deepEqual(lookAfter([500, 300, 10, 10, 10]), { givenBackAt: [3], trimmedAt: [] });
});

test('resting: it is given back again at the rest that follows work', (t) => {
  t.deepEqual(lookAfter([10, 4000, 4000, 10, 10]), { givenBackAt: [1, 4], trimmedAt: [3] });
});

test('resting: a little now and then adds up to work', (t) => {
  t.deepEqual(lookAfter([0, ...Array.from({ length: 30 }, () => 70)]), {
    givenBackAt: [1, 16, 31],
    trimmedAt: [],
  });
});

test('resting: while the daemon works and never rests, what was freed is given back now and then', (t) => {
  t.deepEqual(lookAfter(Array.from({ length: 12 }, () => 2000)), {
    givenBackAt: [],
    trimmedAt: [3, 6, 9, 12],
  });
});

test('resting: nothing is given back while the daemon works, and nothing after it has stopped', (t) => {
  t.deepEqual(lookAfter([900, 900, 900]), { givenBackAt: [], trimmedAt: [] });
  let cancelled = 0;
  const resting = giveBackWhenResting({
    clock: { timer: () => () => void cancelled++ },
    cpuMs: () => 0,
    giveBack: () => t.fail(),
    trim: () => t.fail(),
  });
  resting[Symbol.dispose]();
  t.is(cancelled, 1);
});
