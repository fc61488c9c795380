import test from 'ava';
import { seededRandom } from '#proto/base/random.ts';
import { Book } from '../support/sim/book.ts';
import { readArgs, replayCommand } from '../support/sim/main-args.ts';
import { registerModel } from '../support/sim/models.ts';
import { ProcessDisk } from '../support/sim/process-disk.ts';
import { type Owner, SimTime, SkewedClock } from '../support/sim/time.ts';
import { Truth } from '../support/sim/truth.ts';
import { SimDisk } from '../unit/manager/consensus/support/sim-disk.ts';

const time = () => new SimTime(seededRandom(1));
const owner = (): Owner => ({ heldUntilMs: 0, gone: false });

test('time: events happen when they are due, those of one moment in the order in which they were asked for', async (t) => {
  const happened: string[] = [];
  const sim = time();
  for (const [ms, name] of [
    [5, 'c'],
    [1, 'a'],
    [5, 'd'],
    [2, 'b'],
    [9, 'late'],
  ] as const)
    sim.after(ms, () => happened.push(`${name}${sim.nowMs}`));
  sim.after(3, () => happened.push('cancelled'))();
  await sim.run(6);
  t.deepEqual(happened, ['a1', 'b2', 'c5', 'd5']);
  t.is(sim.nowMs, 6);
});

test('time: everything that follows from one event comes before the next', async (t) => {
  const happened: string[] = [];
  const sim = time();
  sim.after(1, () => {
    void (async () => {
      for (let step = 0; step < 20; step += 1) await Promise.resolve();
      happened.push('followed');
    })();
  });
  sim.after(1, () => happened.push('next'));
  await sim.run(2);
  t.deepEqual(happened, ['followed', 'next']);
});

test('time: what belongs to a process that hangs happens when it goes on, and never when it is gone', async (t) => {
  const happened: string[] = [];
  const sim = time();
  const [hung, gone] = [owner(), owner()];
  hung.heldUntilMs = 50;
  sim.after(1, () => happened.push(sim.nowMs >= 50 ? 'later' : 'early'), hung);
  sim.after(1, () => happened.push('never'), gone);
  gone.gone = true;
  await sim.run(60);
  t.deepEqual(happened, ['later']);
});

test('clock: one that is slow counts less time, and its timers take longer', async (t) => {
  const sim = time();
  const clock = new SkewedClock(0.5, sim, owner());
  let firedAtMs = 0;
  clock.timer(100, () => {
    firedAtMs = sim.nowMs;
  });
  await sim.run(300);
  t.is(clock.monotonicMs(), 150);
  t.is(firedAtMs, 200);
});

test('disk: a process may end before any of its operations, and nothing it does afterwards reaches the disk', (t) => {
  const disk = new SimDisk();
  let gone = false;
  const crash = (): void => {
    gone = true;
    disk.crash(seededRandom(1));
  };
  const mine = new ProcessDisk({ disk, isGone: () => gone, crash, synced: () => undefined });
  mine.makeDirectory('d');
  const file = mine.open('d/f', 'create');
  file.write(Buffer.from('first'), 0);
  file.sync();
  mine.syncDirectory('d');
  mine.operationsLeft = 1;
  file.write(Buffer.from('again'), 0);
  t.throws(() => file.sync(), { message: 'this process is gone' });
  t.throws(() => mine.remove('d/f'), { message: 'this process is gone' });
  t.deepEqual(disk.list('d'), ['f']);
});

test('truth: a different entry at an index, a second leader in a term, and an earlier term after a restart are seen', (t) => {
  const entry = (text: string) => ({ index: 1, term: 1, data: Buffer.from(text) });
  const heartbeat = (from: number) => ({ type: 8, from, to: 9, term: 3 }) as const;
  const seen = (work: (truth: Truth) => void): string | undefined => {
    const truth = new Truth();
    work(truth);
    return truth.violation?.split(':')[0];
  };
  const apply = (text: string) => (truth: Truth) => {
    truth.applied('a', 1, entry('x'));
    truth.applied('b', 1, entry(text));
  };
  t.is(seen(apply('x')), undefined);
  t.is(seen(apply('y')), 'state-machine safety');
  t.is(
    seen((truth) => {
      for (const from of [1, 2]) truth.sent(heartbeat(from));
    }),
    'election safety',
  );
  const restart = (term: number) => (truth: Truth) => {
    truth.sent(heartbeat(1));
    truth.restarted(1, term);
  };
  t.is(seen(restart(3)), undefined);
  t.is(seen(restart(2)), 'hard state');
});

test('command: a history that failed is run again by its seed, and what is not understood is said', (t) => {
  const { replay, seeds, members } = readArgs(['--seed', '17', '--members', '5'], 2);
  t.deepEqual([replay, seeds, members], [17, 10_000, 5]);
  t.is(replayCommand({ seed: 17, members: 5 }), 'npm run sim -- --seed 17 --members 5');
  t.throws(() => readArgs(['--members', '4'], 2), { message: '--members is one of 3, 5, 7' });
  t.throws(() => readArgs(['--seeds', 'x'], 2), { message: '--seeds is a whole number above 0' });
});

test('book: an object that begins anew is held against what it began with, and what was wrong before stays wrong', (t) => {
  const history = (begins: boolean, seenBefore: number): string | undefined => {
    const book = new Book();
    const page = book.page('r', registerModel<number>());
    page.call({ kind: 'write', value: 1 }).returned({});
    page.call({ kind: 'read' }).returned({ value: seenBefore });
    if (begins) page.restart('r', null);
    page.call({ kind: 'read' }).returned({ value: null });
    return book.check()?.split(':')[0];
  };
  t.is(history(true, 1), undefined);
  t.is(history(false, 1), 'linearizability');
  t.is(history(true, 2), 'linearizability');
});
