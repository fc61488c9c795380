import test from 'ava';
import { clearTasks } from '#deploy/node/agent.ts';
import { nullLog } from '#proto/base/log.ts';

test('leaving: a container that can’t be removed does not keep the node in the swarm', async (t) => {
  const records = new Map([['t1', { task: { id: 't1' } }]]);
  const tasks = { all: () => [...records.values()], delete: (id: string) => records.delete(id) };
  const applied: unknown[] = [];
  const machine = {
    engine: { parts: { state: { tasks } } },
    network: { applyCluster: async (state: unknown) => void applied.push(state) },
  };
  const executor = { sweep: () => Promise.reject(new Error('it did not end')) };
  await clearTasks(executor, { machine: machine as never, log: nullLog }, new AbortController().signal);
  t.is(records.size, 0, 'no task is remembered');
  t.deepEqual(applied, [undefined], 'nothing is left of its networks');
});
