import test from 'ava';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { networkRow } from '../leader/rows.ts';
import { World } from '../leader/world.ts';

const PUBLISHED = { ports: [{ protocol: 'tcp', targetPort: 80, publishMode: 'ingress' }] } as const;
const ATTACHED = { container: { image: 'web:1' }, networks: [{ target: 'net-back' }] };

/** Nodes a, b, c and an idle d; the service has one task, on a. */
function cluster(spec: Partial<ServiceSpec>): { world: World; web: ServiceId } {
  const world = new World();
  world.commit([{ kind: 'putNetwork', network: networkRow('back') }]);
  for (const name of ['a', 'b', 'c', 'd']) world.node(name);
  const web = world.service('web', spec);
  world.settle();
  return { world, web };
}

function leaving(world: World, web: ServiceId): Task {
  world.removeService(web);
  world.settle();
  const [task] = world.tasks(web);
  if (task === undefined) throw new Error('the task is still there');
  return task;
}

test('release: a task nobody balances to may stop at once', (t) => {
  const { world, web } = cluster({});
  for (const name of ['a', 'b', 'c', 'd']) world.mute.add(name as NodeId);
  world.removeService(web);
  world.settle();
  t.is(world.view.services.get(web), undefined);
});

test('release: a task with published ports waits for every node that is up', (t) => {
  const { world, web } = cluster({ endpoint: PUBLISHED });
  world.mute.add('d' as NodeId);
  const task = leaving(world, web);
  t.falsy(task.released);
  t.is(task.status.state, TaskState.Running);
  world.mute.clear();
  world.settle();
  t.is(world.view.services.get(web), undefined);
});

test('release: also for a node that has not spoken up since the lead changed', (t) => {
  const { world, web } = cluster({ endpoint: PUBLISHED });
  world.nodeState('d', 'unknown');
  t.falsy(leaving(world, web).released);
  world.nodeState('d', 'down');
  world.settle();
  t.is(world.view.services.get(web), undefined);
});

test('release: a task on an overlay network waits for the nodes with tasks on it, and for no others', (t) => {
  const { world, web } = cluster({ task: ATTACHED });
  const other = world.service('other', { mode: { kind: 'replicated', replicas: 2 }, task: ATTACHED });
  world.settle();
  const near = world.running(other)[0]?.nodeId as NodeId;
  for (const name of ['c', 'd']) if (name !== near) world.mute.add(name as NodeId);
  const idle = [...world.mute].filter((id) => world.running(other).every((task) => task.nodeId !== id));
  for (const id of [...world.mute]) if (!idle.includes(id)) world.mute.delete(id);
  t.true(idle.length > 0);
  world.mute.add(near);
  t.falsy(leaving(world, web).released);
  world.mute.delete(near);
  world.settle();
  t.is(world.view.services.get(web), undefined);
  t.true(idle.every((id) => world.mute.has(id)));
});

test('release: what a node said before the task began to leave does not count', (t) => {
  const { world, web } = cluster({ endpoint: PUBLISHED });
  for (const name of ['a', 'b', 'c', 'd']) world.mute.add(name as NodeId);
  const task = leaving(world, web);
  t.truthy(task.leavingVersion);
  t.falsy(task.released);
});

test('release: a task that never ran has nobody to wait for', (t) => {
  const { world, web } = cluster({ endpoint: PUBLISHED });
  world.destiny = (_task, _spec, step) => (step === 'start' ? 'hangs' : 'works');
  const second = world.service('second', { endpoint: PUBLISHED });
  world.settle();
  for (const name of ['a', 'b', 'c', 'd']) world.mute.add(name as NodeId);
  world.removeService(second);
  world.settle();
  t.is(world.view.services.get(second), undefined);
  t.is(world.running(web).length, 1);
});

test('release: during an update the old task stops only when it is out of every table', (t) => {
  const { world, web } = cluster({ endpoint: PUBLISHED });
  world.mute.add('d' as NodeId);
  world.image(web, 'web:2');
  world.settle();
  const old = world.tasks(web).find((task) => world.imageOf(task) === 'web:1');
  t.is(old?.desired, TaskState.Shutdown);
  t.is(old?.status.state, TaskState.Running);
  world.mute.clear();
  world.settle();
  t.is(world.picture(web), '1:web:2@a');
});
