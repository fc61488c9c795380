import test from 'ava';
import { ContainerExecutor } from '#agent/exec/container/container-executor.ts';
import { TASK_LABEL } from '#agent/exec/container/spec.ts';
import type { TaskKey } from '#agent/exec/executor.ts';

const FOREVER = new AbortController().signal;

test('sweep: what is left of tasks is removed, and a container that can’t be keeps no other', async (t) => {
  const removed: string[] = [];
  const tasks = Array.from({ length: 40 }, (_, i) => `t${i}`);
  const containers = {
    withLabel: () => tasks.map((task) => ({ id: `container of ${task}`, labels: { [TASK_LABEL]: task } })),
    remove: async (id: string) => {
      if (id === 'container of t3') throw new Error('it did not end');
      removed.push(id);
    },
  };
  const executor = new ContainerExecutor({ containers } as never);
  const swept = executor.sweep(new Set(['t0', 't39'] as TaskKey[]), FOREVER);
  await t.throwsAsync(swept, { message: 'it did not end' });
  const expected = tasks.filter((task) => !['t0', 't3', 't39'].includes(task));
  t.deepEqual(
    removed,
    expected.map((task) => `container of ${task}`),
  );
});
