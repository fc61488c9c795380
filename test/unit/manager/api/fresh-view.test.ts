import test from 'ava';
import { freshView } from '#manager/api/handlers.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

type Parts = Parameters<typeof freshView>[0];

/** A manager whose reads are never answered, and which has known no leader since it was made. */
function alone(clock: VirtualClock): Parts {
  const readBarrier = (signal?: AbortSignal): Promise<void> =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error));
    });
  return {
    store: { readBarrier } as unknown as Parts['store'],
    consensus: { leadership: () => ({ leading: false, term: 1 }) } as Parts['consensus'],
    leaderless: () => ({ sinceMs: 0, forMs: clock.monotonicMs() }),
    clock,
  };
}

test('a read that waits already is refused when nobody has led for long, not only those that come then', async (t) => {
  const clock = new VirtualClock();
  const answers: string[] = [];
  const asked = freshView(alone(clock)).catch((error: Error) => answers.push(error.message));
  await clock.advance(4_000);
  t.deepEqual(answers, [], 'somebody may still come to lead');
  await clock.advance(2_000);
  await asked;
  t.regex(answers[0] ?? '', /^The swarm does not have a leader/);
});

test('a read of a manager that can not catch up because its disk is full is refused, and says so', async (t) => {
  const clock = new VirtualClock();
  const { store } = alone(clock);
  const consensus = { leadership: () => ({ leading: false, term: 1, leader: {} }) } as Parts['consensus'];
  const asked = freshView({ store, consensus, clock, diskFull: () => true });
  const refused = t.throwsAsync(asked, { code: 'UNAVAILABLE', message: /^The disk of this manager is full/ });
  await clock.advance(1_000);
  await refused;
});

test('a read that is answered leaves no timer behind', async (t) => {
  const timers = new Set<object>();
  const clock = {
    timer: () => {
      const timer = {};
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  };
  const readBarrier = async (): Promise<void> => void t.is(timers.size, 1);
  const store = { readBarrier, view: () => 'view' } as unknown as Parts['store'];
  t.is((await freshView({ ...alone(new VirtualClock()), store, clock })) as unknown, 'view');
  t.is(timers.size, 0);
});
