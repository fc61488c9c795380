import test from 'ava';
import { TaskState } from '#proto/types/states.ts';
import { World } from '../leader/world.ts';

const DAY_MS = 24 * 3_600_000;

function cluster(replicas: number): { world: World; web: ReturnType<World['service']> } {
  const world = new World();
  for (const name of ['a', 'b', 'c']) world.node(name);
  const web = world.service('web', { mode: { kind: 'replicated', replicas } });
  world.settle();
  return { world, web };
}

test('node down: its tasks are replaced at once, without the restart delay', (t) => {
  const { world, web } = cluster(3);
  world.nodeState('b', 'down');
  world.settle();
  t.is(world.picture(web), '1:web:1@a 2:web:1@a 3:web:1@c');
});

test('node down: when it returns, what it still runs is stopped', (t) => {
  const { world, web } = cluster(3);
  world.nodeState('b', 'down');
  world.settle();
  world.nodeState('b', 'ready');
  world.settle();
  t.is(world.running(web).length, 3);
  t.true(world.tasks(web).every((task) => task.nodeId !== 'b' || task.status.state === TaskState.Shutdown));
});

test('node down: even a service that is never restarted gets its task back, for it did not end by itself', (t) => {
  const { world, web } = cluster(3);
  world.template(web, { restart: { condition: 'none' } });
  world.advance(60_000);
  world.nodeState('b', 'down');
  world.settle();
  t.is(world.running(web).length, 3);
});

test('node down: for a day its tasks keep their addresses, then they are over', (t) => {
  const { world, web } = cluster(3);
  world.nodeState('b', 'down');
  world.advance(DAY_MS - 1);
  const lost = world.tasks(web).find((task) => task.nodeId === 'b');
  t.is(lost?.status.state, TaskState.Running);
  t.is(lost?.desired, TaskState.Shutdown);
  world.advance(1);
  t.is(world.tasks(web).find((task) => task.nodeId === 'b')?.status.state, TaskState.Orphaned);
});

test('node removed: its tasks are over and replaced', (t) => {
  const { world, web } = cluster(3);
  world.nodeState('b', 'down');
  world.removeNode('b');
  world.settle();
  t.is(world.running(web).length, 3);
  t.is(world.tasks(web).find((task) => task.nodeId === 'b')?.status.state, TaskState.Orphaned);
});

test('node paused: it keeps its tasks and gets no new ones', (t) => {
  const { world, web } = cluster(3);
  world.node('b', { availability: 'pause' });
  world.settle();
  t.is(world.picture(web), '1:web:1@a 2:web:1@b 3:web:1@c');
  world.scale(web, 6);
  world.settle();
  t.is(world.running(web).filter((task) => task.nodeId === 'b').length, 1);
});

test('node unknown or disconnected: nobody is hasty', (t) => {
  for (const state of ['unknown', 'disconnected'] as const) {
    const { world, web } = cluster(3);
    world.nodeState('b', state);
    world.settle();
    t.is(world.picture(web), '1:web:1@a 2:web:1@b 3:web:1@c', state);
  }
});

test('drain: tasks move, one at a time as the update settings say', (t) => {
  const { world, web } = cluster(9);
  let fewest = 9;
  world.invariant = (view) => {
    const running = view.tasks.byService(web).filter((task) => {
      return task.status.state === TaskState.Running && task.desired === TaskState.Running;
    });
    fewest = Math.min(fewest, running.length);
  };
  world.node('b', { availability: 'drain' });
  world.settle();
  t.is(fewest, 8);
  t.is(world.running(web).length, 9);
  t.true(world.running(web).every((task) => task.nodeId !== 'b'));
});

test('drain: start-first loses nothing on the way', (t) => {
  const { world, web } = cluster(6);
  world.service('web', { update: { order: 'start-first', parallelism: 2 } });
  let fewest = 6;
  world.invariant = (view) => {
    const running = view.tasks.byService(web).filter((task) => {
      return task.status.state === TaskState.Running && task.desired === TaskState.Running;
    });
    fewest = Math.min(fewest, running.length);
  };
  world.node('b', { availability: 'drain' });
  world.settle();
  t.is(fewest, 6);
  t.is(world.running(web).length, 6);
  t.true(world.running(web).every((task) => task.nodeId !== 'b'));
});

test('drain: with nowhere to go a node is emptied all the same, all slots of it', (t) => {
  const world = new World();
  world.node('a');
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 3 } });
  world.settle();
  world.node('a', { availability: 'drain' });
  world.settle();
  t.is(world.running(web).length, 0);
  t.true(world.tasks(web).every((task) => task.nodeId !== 'a' || task.status.state === TaskState.Shutdown));
  world.node('b');
  world.settle();
  t.is(world.running(web).length, 3);
});

test('drain: start-first stays where it is for want of another node, and leaves when there is one', (t) => {
  const world = new World();
  world.node('a');
  const web = world.service('web', { update: { order: 'start-first' } });
  world.settle();
  world.node('a', { availability: 'drain' });
  world.settle();
  t.is(world.picture(web), '1:web:1@a');
  world.node('b');
  world.settle();
  t.is(world.picture(web), '1:web:1@b');
});

test('drain: a slot that fails again and again does not keep the others from leaving', (t) => {
  const { world, web } = cluster(6);
  world.destiny = (task, _spec, step) => (task.slot === 1 && step === 'run' ? 'fails' : 'works');
  world.advance(7_000);
  world.node('b', { availability: 'drain' });
  world.advance(60_000);
  t.true(world.running(web).every((task) => task.nodeId !== 'b'));
  t.is(world.running(web).filter((task) => task.slot !== 1).length, 5);
});

test('drain: a node that is emptied while its tasks are on their way to it is left as well', (t) => {
  const { world, web } = cluster(3);
  world.node('b', { availability: 'drain' });
  world.look();
  world.node('a', { availability: 'drain' });
  world.settle();
  t.is(world.picture(web), '1:web:1@c 2:web:1@c 3:web:1@c');
});

test('constraints: a label that goes takes the tasks with it, in good order', (t) => {
  const world = new World();
  world.node('a', { labels: { disk: 'ssd' } });
  world.node('b', { labels: { disk: 'ssd' } });
  const db = world.service('db', {
    mode: { kind: 'replicated', replicas: 2 },
    task: { container: { image: 'db:1' }, placement: { constraints: ['node.labels.disk == ssd'] } },
  });
  world.settle();
  t.is(world.picture(db), '1:db:1@a 2:db:1@b');
  world.node('a', { labels: { disk: 'hdd' } });
  world.settle();
  t.is(world.picture(db), '1:db:1@b 2:db:1@b');
  world.node('b', { labels: {} });
  world.settle();
  t.is(world.picture(db), '');
  t.deepEqual(
    world.tasks(db).flatMap(({ status }) => status.error ?? []),
    Array<string>(2).fill('no suitable node (scheduling constraints not satisfied on 2 nodes)'),
  );
  world.node('b', { labels: { disk: 'ssd' } });
  world.settle();
  t.is(world.picture(db), '1:db:1@b 2:db:1@b');
});

test('constraints: a node that no longer suits is left also start-first, where there is no other', (t) => {
  const world = new World();
  world.node('a', { labels: { disk: 'ssd' } });
  const db = world.service('db', {
    update: { order: 'start-first' },
    task: { container: { image: 'db:1' }, placement: { constraints: ['node.labels.disk == ssd'] } },
  });
  world.settle();
  world.node('a', { labels: {} });
  world.settle();
  t.is(world.picture(db), '');
});

test('constraints: it is the present ones that count, also for tasks of an older spec', (t) => {
  const world = new World();
  world.node('a', { labels: { zone: 'x' } });
  const web = world.service('web', {
    task: { container: { image: 'web:1' }, placement: { constraints: ['node.labels.zone == x'] } },
  });
  world.settle();
  world.template(web, { placement: { constraints: [] } });
  world.settle();
  const [before] = world.running(web);
  world.node('a', { labels: { zone: 'y' } });
  world.settle();
  t.deepEqual(
    world.running(web).map(({ id }) => id),
    [before?.id],
  );
});

test('resources: a node with less than its tasks reserve lets the newest go until the rest has room', (t) => {
  const world = new World();
  world.node('a');
  const web = world.service('web', {
    mode: { kind: 'replicated', replicas: 3 },
    task: { container: { image: 'web:1' }, resources: { reservations: { memoryBytes: 2e9 } } },
  });
  const small = world.service('small');
  world.settle();
  const description = world.view.nodes.get(world.node('a'))?.description;
  if (description === undefined) return t.fail();
  world.node('a', {}, { description: { ...description, resources: { nanoCpus: 8e9, memoryBytes: 4e9 } } });
  world.settle();
  t.is(world.running(web).length, 2);
  t.is(world.running(small).length, 1);
  t.is(
    world.tasks(web).find(({ status }) => status.state === TaskState.Pending)?.status.error,
    'no suitable node (insufficient resources on 1 node)',
  );
});

test('resources: a generic resource that is gone takes its tasks with it, and no others', (t) => {
  const world = new World();
  const resources = { nanoCpus: 8e9, memoryBytes: 8e9 };
  const id = world.node('a');
  const description = world.view.nodes.get(id)?.description;
  if (description === undefined) return t.fail();
  const withGpus = (count: number): void => {
    const generic = [{ kind: 'gpu', count }];
    world.node('a', {}, { description: { ...description, resources: { ...resources, generic } } });
  };
  withGpus(2);
  const reservations = { generic: [{ kind: 'gpu', count: 1 }] };
  const train = world.service('train', {
    mode: { kind: 'replicated', replicas: 2 },
    task: { container: { image: 'train:1' }, resources: { reservations } },
  });
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 2 } });
  world.settle();
  t.is(world.running(train).length, 2);
  withGpus(1);
  world.settle();
  t.is(world.running(train).length, 1);
  t.is(world.running(web).length, 2);
});
