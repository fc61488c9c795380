import test from 'ava';
import { Coalescer } from '#agent/net/coalescer.ts';

test('whoever asks while it runs shares one next run, which began after they asked', async (t) => {
  const finish: (() => void)[] = [];
  let runs = 0;
  const coalescer = new Coalescer(async () => {
    const run = ++runs;
    await new Promise<void>((resolve) => finish.push(resolve));
    return run;
  });
  const first = coalescer.run();
  await Promise.resolve();
  await Promise.resolve();
  const later = [coalescer.run(), coalescer.run(), coalescer.run()];
  t.is(runs, 1);
  finish[0]?.();
  t.is(await first, 1);
  while (finish.length < 2) await Promise.resolve();
  finish[1]?.();
  t.deepEqual(await Promise.all(later), [2, 2, 2]);
  t.is(runs, 2);
});

test('a run that fails fails those who asked for it, and no others', async (t) => {
  let runs = 0;
  const coalescer = new Coalescer(async () => {
    if (++runs === 1) throw new Error('first');
    return runs;
  });
  const first = coalescer.run();
  await t.throwsAsync(first, { message: 'first' });
  t.is(await coalescer.run(), 2);
  await coalescer.idle();
});
