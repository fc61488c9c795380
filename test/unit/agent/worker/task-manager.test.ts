import test from 'ava';
import { type TaskController, TemporaryError } from '#agent/exec/executor.ts';
import { TaskManager } from '#agent/worker/task-manager.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import type { AssignedTask } from '#proto/types/assignments.ts';
import type { TaskStatus } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';

const ASSIGNED = {
  id: 'task1',
  serviceId: 'svc1',
  slot: 1,
  specVersion: 1,
  networks: [],
  desired: TaskState.Running,
} as unknown as AssignedTask;

/** Drives a task whose preparation fails so many times until it is in a state that ends the try; what it was then. */
async function prepared(failures: number): Promise<{ readonly status: TaskStatus; readonly tries: number }> {
  let tries = 0;
  const prepare = async (): Promise<void> => {
    if (++tries <= failures) throw new TemporaryError('connection refused');
  };
  const controller = {
    prepare,
    start: async () => undefined,
    wait: () => new Promise(() => undefined),
    info: () => ({}),
  } as unknown as TaskController;
  const settled = Promise.withResolvers<TaskStatus>();
  const saved = (status: TaskStatus): void => {
    if (status.state > TaskState.Preparing) settled.resolve(status);
  };
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const status = { state: TaskState.Assigned, atMs: 0 } as TaskStatus;
  const manager = new TaskManager(ASSIGNED, status, { clock, log: nullLog, controller, saved });
  manager.start();
  return { status: await settled.promise, tries };
}

test('task: what may work in a moment is tried again', async (t) => {
  const { status, tries } = await prepared(3);
  t.true(status.state < TaskState.Complete);
  t.is(tries, 4);
});

test('task: a registry that never answers ends the task, which says why', async (t) => {
  const { status, tries } = await prepared(Number.POSITIVE_INFINITY);
  t.is(status.state, TaskState.Rejected);
  t.is(status.error, 'connection refused');
  t.is(tries, 10);
});
