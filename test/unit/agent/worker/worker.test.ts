import test from 'ava';
import { MockExecutor } from '#agent/exec/mock/mock-executor.ts';
import { type TaskRecord, Worker } from '#agent/worker/worker.ts';
import { LIMITS } from '#proto/base/limits.ts';
import { nullLog } from '#proto/base/log.ts';
import type { TaskId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { assigned, assignedTask, DESCRIPTION } from '#test/support/agent-tasks.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** A worker on a virtual clock, what it reported, and what it keeps on its disk. */
function open(records = new Map<TaskId, TaskRecord>(), clock = new VirtualClock()) {
  const executor = new MockExecutor(DESCRIPTION, { clock });
  const reported: [string, number][] = [];
  const worker = new Worker({
    clock,
    log: nullLog,
    executor,
    hostname: 'alpha',
    records: {
      all: () => [...records.values()],
      put: (record) => void records.set(record.task.id, record),
      delete: (taskId) => void records.delete(taskId),
    },
    report: (taskId, status) => void reported.push([taskId, status.state]),
  });
  return {
    worker,
    executor,
    clock,
    records,
    reported,
    last: (id: string) => records.get(id as TaskId)?.status,
  };
}

const { Running, Ready, Shutdown, Failed, Rejected, Complete } = TaskState;

test('worker: an assigned task is driven to running, and each state is reported once, in order', async (t) => {
  const { worker, clock, reported } = open();
  worker.assign(assigned([assignedTask('a')]));
  await clock.advance(1);
  const states = reported.map(([, state]) => state);
  t.deepEqual(
    states,
    [...new Set(states)].sort((a, b) => a - b),
  );
  t.is(states.at(-1), Running);
  await worker[Symbol.asyncDispose]();
});

test('worker: states that only have to be marked are remembered and told with the one they lead to', async (t) => {
  const { worker, clock, reported } = open();
  worker.assign(assigned([assignedTask('a')]));
  await clock.advance(1);
  const { Assigned, Preparing, Starting } = TaskState;
  t.deepEqual(
    reported.map(([, state]) => state),
    [Assigned, Preparing, Starting, Running],
  );
  await worker[Symbol.asyncDispose]();
});

test('worker: a task held at ready starts when it is wanted running', async (t) => {
  const { worker, clock, last } = open();
  worker.assign(assigned([assignedTask('a', { desired: Ready })]));
  await clock.advance(1);
  t.is(last('a')?.state, Ready);
  worker.assign(assigned([assignedTask('a')]));
  await clock.advance(1);
  t.is(last('a')?.state, Running);
  await worker[Symbol.asyncDispose]();
});

test('worker: a task that leaves is stopped once it is released, not before', async (t) => {
  const { worker, clock, last } = open();
  worker.assign(assigned([assignedTask('a')]));
  await clock.advance(1);
  worker.assign(assigned([assignedTask('a', { desired: Shutdown })]));
  await clock.advance(1_000);
  t.is(last('a')?.state, Running);
  worker.assign(assigned([assignedTask('a', { desired: Shutdown, released: true })]));
  await clock.advance(1);
  t.is(last('a')?.state, Shutdown);
  await worker[Symbol.asyncDispose]();
});

test('worker: a release that never comes does not keep a task for ever', async (t) => {
  const { worker, clock, last } = open();
  worker.assign(assigned([assignedTask('a')]));
  await clock.advance(1);
  worker.assign(assigned([assignedTask('a', { desired: Shutdown })]));
  await clock.advance(LIMITS.releaseWaitMsMax + 1);
  t.is(last('a')?.state, Shutdown);
  await worker[Symbol.asyncDispose]();
});

const endings = [
  ['a start that fails', { 'shoal.mock.start-error': 'no such command' }, Failed, 'no such command'],
  [
    'an image that can’t be fetched',
    { 'shoal.mock.prepare-error': 'No such image: x' },
    Rejected,
    'No such image: x',
  ],
  [
    'an exit with 3',
    { 'shoal.mock.run-ms': '10', 'shoal.mock.exit': '3' },
    Failed,
    'task: non-zero exit (3)',
  ],
  ['an exit with 0', { 'shoal.mock.run-ms': '10' }, Complete, undefined],
] as const;

for (const [what, labels, state, error] of endings) {
  test(`worker: ${what} ends the task with its reason`, async (t) => {
    const { worker, clock, last } = open();
    worker.assign(assigned([assignedTask('a')], labels));
    await clock.advance(100);
    t.is(last('a')?.state, state);
    t.is(last('a')?.error, error);
    await worker[Symbol.asyncDispose]();
  });
}

test('worker: a task that is no longer assigned is stopped and forgotten', async (t) => {
  const { worker, clock, records, executor } = open();
  worker.assign(assigned([assignedTask('a'), assignedTask('b')]));
  await clock.advance(1);
  worker.assign(assigned([assignedTask('b')]));
  await clock.advance(1);
  t.deepEqual([...records.keys()], ['b']);
  t.deepEqual(executor.controller({ ...contextOf(records, 'b'), task: assignedTask('a') }).info(), {});
  await worker[Symbol.asyncDispose]();
});

function contextOf(records: Map<TaskId, TaskRecord>, id: string) {
  return records.get(id as TaskId)!.context;
}

test('worker: a new daemon goes on with the tasks of the last one, without any manager', async (t) => {
  const first = open();
  first.worker.assign(assigned([assignedTask('a'), assignedTask('b', { desired: Ready })]));
  await first.clock.advance(1);
  await first.worker[Symbol.asyncDispose]();
  const second = open(first.records, first.clock);
  second.worker.resume();
  await second.clock.advance(1);
  t.is(second.last('a')?.state, Running);
  t.is(second.last('b')?.state, Ready);
  await second.worker[Symbol.asyncDispose]();
});

test('worker: a task whose end the managers know is not started again', async (t) => {
  const { worker, clock, records } = open();
  worker.assign(assigned([assignedTask('a', { state: Failed })]));
  await clock.advance(1);
  t.is(records.size, 0);
  await worker[Symbol.asyncDispose]();
});
