import test from 'ava';
import type { Change } from '#manager/store/changes.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { openTestStore } from '../../../support/local-log.ts';
import { createTask, putNode, putService, specOf, statusOf } from './fixtures.ts';

const SERVICES = 20;
const NODES = 200;
const TASKS = 100_000;
const CHANGES_IN_ENTRY = 2_000;

function serviceId(number: number): ServiceId {
  return `service-${number % SERVICES}` as ServiceId;
}

function nodeId(number: number): NodeId {
  return `node-${number % NODES}` as NodeId;
}

test('large: 100,000 tasks are made, placed, run and restored', async (t) => {
  const { store, machine } = openTestStore();
  const inParts = async (changes: readonly Change[]): Promise<void> => {
    for (let at = 0; at < changes.length; at += CHANGES_IN_ENTRY)
      await store.update({ changes: changes.slice(at, at + CHANGES_IN_ENTRY) });
  };
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, number) => number);
  await inParts(upTo(SERVICES).map((number) => putService(serviceId(number), specOf(`service-${number}`))));
  await inParts(upTo(NODES).map((number) => putNode(nodeId(number))));
  await inParts(upTo(TASKS).map((number) => createTask(serviceId(number), number)));

  const ids = [...store.view().tasks.all()].map(({ id }) => id);
  t.is(ids.length, TASKS);
  await inParts(ids.map((id) => ({ kind: 'allocateTask', taskId: id, networks: [] })));
  await inParts(ids.map((id, number) => ({ kind: 'assignTask', taskId: id, nodeId: nodeId(number) })));
  const status = statusOf(TaskState.Running, 'started');
  await inParts(ids.map((id) => ({ kind: 'setTaskStatus', taskId: id, status })));

  const { tasks, services } = store.view();
  for (const number of upTo(SERVICES)) {
    const own = tasks.byService(serviceId(number));
    t.is(own.length, TASKS / SERVICES);
    t.true(own.every(({ slot }, i) => slot === number + i * SERVICES));
    t.is(services.get(serviceId(number))?.tasksMade, TASKS / SERVICES);
  }
  for (const number of upTo(NODES)) {
    const own = tasks.byNode(nodeId(number));
    t.is(own.length, TASKS / NODES);
    t.true(own.every((task) => task.status.state === TaskState.Running));
  }
  const replica = new StoreMachine();
  await replica.restore(machine.snapshot(), machine.version);
  t.is(replica.hash(), machine.hash());

  await inParts(ids.map((id) => ({ kind: 'delete', table: 'task', id })));
  t.is(store.view().tasks.size, 0);
  t.is(tasks.size, TASKS, 'the older view still has them');
});
