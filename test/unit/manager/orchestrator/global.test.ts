import test from 'ava';
import type { ServiceId } from '#proto/types/ids.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { World } from '../leader/world.ts';

function cluster(spec: Partial<ServiceSpec> = {}): { world: World; agent: ServiceId } {
  const world = new World();
  world.node('a');
  world.node('b', { labels: { disk: 'ssd' } });
  const agent = world.service('agent', { mode: { kind: 'global' }, ...spec });
  world.settle();
  return { world, agent };
}

test('global: one task on every node, and on those that come later', (t) => {
  const { world, agent } = cluster();
  t.is(world.picture(agent), 'agent:1@a agent:1@b');
  world.node('c');
  world.settle();
  t.is(world.picture(agent), 'agent:1@a agent:1@b agent:1@c');
});

test('global: a drained node loses its task and gets one again when it is active', (t) => {
  const { world, agent } = cluster();
  world.node('b', { availability: 'drain' });
  world.settle();
  t.is(world.picture(agent), 'agent:1@a');
  world.node('b', { availability: 'active' });
  world.settle();
  t.is(world.picture(agent), 'agent:1@a agent:1@b');
});

test('global: a paused node keeps its task, and a new one gets none while it is paused', (t) => {
  const { world, agent } = cluster();
  world.node('b', { availability: 'pause' });
  world.node('c', { availability: 'pause' });
  world.settle();
  t.is(world.picture(agent), 'agent:1@a agent:1@b');
});

test('global: a node that was down gets one task again, not two', (t) => {
  const { world, agent } = cluster();
  world.nodeState('b', 'down');
  world.settle();
  t.is(world.picture(agent), 'agent:1@a');
  world.nodeState('b', 'ready');
  world.settle();
  t.is(world.picture(agent), 'agent:1@a agent:1@b');
  t.is(world.tasks(agent).filter(({ status }) => status.state === TaskState.Running).length, 2);
});

test('global: tasks of a node that was removed leave nothing behind', (t) => {
  const { world, agent } = cluster();
  world.nodeState('b', 'down');
  world.removeNode('b');
  world.settle();
  t.deepEqual(
    world.tasks(agent).map((task) => task.nodeId as string),
    ['a'],
  );
});

test('global: constraints choose the nodes, also when labels change', (t) => {
  const task = { container: { image: 'agent:1' }, placement: { constraints: ['node.labels.disk == ssd'] } };
  const { world, agent } = cluster({ task });
  t.is(world.picture(agent), 'agent:1@b');
  world.node('a', { labels: { disk: 'ssd' } });
  world.node('b', { labels: {} });
  world.settle();
  t.is(world.picture(agent), 'agent:1@a');
});

test('global: a failed task is restarted on its node after the delay, and stays over when that is the policy', (t) => {
  for (const condition of ['any', 'none'] as const) {
    const { world, agent } = cluster({ task: { container: { image: 'agent:1' }, restart: { condition } } });
    const [task] = world.running(agent);
    if (task === undefined) return t.fail();
    world.report(task, { state: TaskState.Failed });
    world.advance(4_999);
    t.is(world.picture(agent), 'agent:1@b');
    world.advance(1);
    t.is(world.picture(agent), condition === 'any' ? 'agent:1@a agent:1@b' : 'agent:1@b');
  }
});

test('global: attempts are counted for each node by itself', (t) => {
  const restart = { maxAttempts: 2, delayNs: 1e9 };
  const { world, agent } = cluster({ task: { container: { image: 'agent:1' }, restart } });
  world.destiny = (task, _spec, step) => (step === 'run' && task.nodeId === 'a' ? 'fails' : 'works');
  world.advance(60_000);
  t.is(world.picture(agent), 'agent:1@b');
  t.is(world.tasks(agent).filter((task) => task.nodeId === 'a').length, 3);
});

test('global: a node without room keeps its task waiting, and says why', (t) => {
  const reservations = { memoryBytes: 5e9 };
  const { world, agent } = cluster({
    task: { container: { image: 'agent:1' }, resources: { reservations } },
  });
  const second = world.service('second', {
    mode: { kind: 'global' },
    task: { container: { image: 'second:1' }, resources: { reservations } },
  });
  world.settle();
  t.deepEqual(
    world.tasks(second).map(({ status }) => status.error),
    Array<string>(2).fill('no suitable node (insufficient resources on 1 node)'),
  );
  world.removeService(agent);
  world.settle();
  t.is(world.picture(second), 'second:1@a second:1@b');
});

test('global: a surplus task is removed', (t) => {
  const { world, agent } = cluster();
  world.commit([
    { kind: 'createTask', serviceId: agent, slot: 0, nodeId: world.node('a'), desired: TaskState.Running },
  ]);
  world.settle();
  t.is(world.picture(agent), 'agent:1@a agent:1@b');
});

test('global: an update goes from node to node, past those that are down', (t) => {
  const { world, agent } = cluster({ update: { monitorNs: 1e9 } });
  world.node('c');
  world.settle();
  world.nodeState('c', 'down');
  world.node('b', { availability: 'pause' });
  world.image(agent, 'agent:2');
  world.advance(5_000);
  t.is(world.picture(agent), 'agent:1@b agent:2@a');
  t.is(world.get(agent).update?.state, 'completed');
  world.nodeState('c', 'ready');
  world.node('b', { availability: 'active' });
  world.advance(5_000);
  t.is(world.picture(agent), 'agent:2@a agent:2@b agent:2@c');
});

test('global: start-first runs two tasks on a node for as long as the handover takes', (t) => {
  const { world, agent } = cluster({ update: { order: 'start-first' } });
  let fewest = 2;
  world.invariant = () => {
    fewest = Math.min(fewest, new Set(world.running(agent).map((task) => task.nodeId)).size);
  };
  world.image(agent, 'agent:2');
  world.advance(10_000);
  t.is(fewest, 2);
  t.is(world.picture(agent), 'agent:2@a agent:2@b');
});

test('global: a node that no longer suits does not keep the update of the others waiting', (t) => {
  const { world, agent } = cluster();
  world.template(agent, { placement: { constraints: ['node.hostname != a'] } });
  world.advance(60_000);
  world.node('c');
  world.settle();
  world.image(agent, 'agent:2');
  world.advance(60_000);
  t.is(world.picture(agent), 'agent:2@b agent:2@c');
});
