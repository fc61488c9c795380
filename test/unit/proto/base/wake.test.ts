import test from 'ava';
import { Wake } from '#proto/base/wake.ts';
import { VirtualClock } from '../../../support/virtual-clock.ts';

const never = new AbortController().signal;

test('calls while nobody waits are remembered, as one', async (t) => {
  const wake = new Wake();
  wake.up();
  wake.up();
  await wake.wait(never);
  let woken = false;
  const waiting = wake.wait(never).then(() => {
    woken = true;
  });
  await Promise.resolve();
  t.false(woken);
  wake.up();
  await waiting;
});

test("waiting ends with the signal's reason, and another may wait after it", async (t) => {
  const wake = new Wake();
  const stop = new AbortController();
  const waiting = wake.wait(stop.signal);
  stop.abort(new Error('enough'));
  await t.throwsAsync(waiting, { message: 'enough' });
  await t.throwsAsync(wake.wait(stop.signal), { message: 'enough' });
  const next = wake.wait(never);
  wake.up();
  await next;
});

test('waiting within a time ends with it, and leaves no timer behind when called before', async (t) => {
  const clock = new VirtualClock();
  const wake = new Wake();
  const waiting = wake.within(1_000, clock, never);
  await clock.advance(1_000);
  await waiting;
  const early = wake.within(1_000, clock, never);
  wake.up();
  await early;
  await clock.advance(2_000);
  const stop = new AbortController();
  const later = wake.wait(stop.signal);
  stop.abort(new Error('nothing had called'));
  await t.throwsAsync(later);
});
