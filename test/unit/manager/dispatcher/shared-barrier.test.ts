import test from 'ava';
import { SharedBarrier } from '#manager/dispatcher/shared-barrier.ts';
import { settle, VirtualClock } from '../../../support/virtual-clock.ts';

function barriers(): { store: { readBarrier(): Promise<void> }; open: PromiseWithResolvers<void>[] } {
  const open: PromiseWithResolvers<void>[] = [];
  return {
    open,
    store: {
      readBarrier() {
        const barrier = Promise.withResolvers<void>();
        open.push(barrier);
        return barrier.promise;
      },
    },
  };
}

test('all who come while one is under way share the next', async (t) => {
  const { store, open } = barriers();
  const shared = new SharedBarrier(store, new VirtualClock());
  const first = shared.pass(1_000);
  const others = [shared.pass(1_000), shared.pass(1_000)];
  t.is(open.length, 1);
  open[0]?.resolve();
  t.true(await first);
  await settle();
  t.is(open.length, 2);
  open[1]?.resolve();
  t.deepEqual(await Promise.all(others), [true, true]);
});

test('one that fails, or takes too long, is no proof, and the next begins anew', async (t) => {
  const { store, open } = barriers();
  const clock = new VirtualClock();
  const shared = new SharedBarrier(store, clock);
  const failing = shared.pass(1_000);
  open[0]?.reject(new Error('no quorum'));
  t.false(await failing);
  const slow = shared.pass(1_000);
  await clock.advance(1_000);
  t.false(await slow);
  t.is(open.length, 2);
});
