import test from 'ava';
import { Reports } from '#agent/session/reports.ts';
import type { TaskId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { statusOf } from '../../../support/cluster.ts';

const id = (name: string): TaskId => name as TaskId;
const RUNNING = statusOf(TaskState.Running);
const FAILED = statusOf(TaskState.Failed);

test('the latest status of each task is sent, and no stale one after it', (t) => {
  const reports = new Reports(10);
  reports.add(id('a'), statusOf(TaskState.Accepted));
  reports.add(id('a'), RUNNING);
  reports.add(id('a'), statusOf(TaskState.Preparing));
  t.deepEqual(reports.take()?.reports, [[id('a'), RUNNING]]);
});

test('one batch is under way at a time, and kept until it is stored', (t) => {
  const reports = new Reports(10);
  reports.add(id('a'), RUNNING);
  const first = reports.take();
  reports.add(id('b'), RUNNING);
  t.is(reports.take(), undefined);
  t.false(reports.idle);
  reports.stored((first?.serial ?? 0) + 7);
  t.is(reports.take(), undefined);
  reports.stored(first?.serial ?? 0);
  t.deepEqual(reports.take()?.reports, [[id('b'), RUNNING]]);
});

test('when the manager is gone, what was under way is sent again, unless something newer waits', (t) => {
  const reports = new Reports(10);
  reports.add(id('a'), RUNNING);
  reports.add(id('b'), RUNNING);
  reports.take();
  reports.add(id('b'), FAILED);
  reports.reset();
  const again = new Map(reports.take()?.reports);
  t.deepEqual([again.size, again.get(id('a')), again.get(id('b'))], [2, RUNNING, FAILED]);
});

test('what waits is bounded: the oldest goes first, but never an end while something else can go', (t) => {
  const reports = new Reports(3);
  reports.add(id('ended'), FAILED);
  for (const name of ['a', 'b', 'c', 'd']) reports.add(id(name), RUNNING);
  t.is(reports.dropped, 2);
  t.deepEqual(
    reports.take()?.reports.map(([taskId]) => taskId),
    [id('ended'), id('c'), id('d')],
  );
});

test('what was under way counts when the manager is gone: the bound holds', (t) => {
  const reports = new Reports(2);
  reports.add(id('a'), RUNNING);
  reports.add(id('b'), RUNNING);
  reports.take();
  reports.add(id('c'), RUNNING);
  reports.reset();
  t.is(reports.take()?.reports.length, 2);
});

test('a message holds so many reports and no more', (t) => {
  const reports = new Reports(2_000);
  for (let i = 0; i < 1_200; i++) reports.add(id(`t${i}`), RUNNING);
  const sizes: number[] = [];
  for (let batch = reports.take(); batch !== undefined; batch = reports.take()) {
    sizes.push(batch.reports.length);
    reports.stored(batch.serial);
  }
  t.deepEqual(sizes, [500, 500, 200]);
  t.true(reports.idle);
});
