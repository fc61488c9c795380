import test from 'ava';
import { TaskState } from '#proto/types/states.ts';
import { World } from '../leader/world.ts';

function threeNodes(): World {
  const world = new World();
  for (const name of ['a', 'b', 'c']) world.node(name);
  return world;
}

test('replicated: a service gets as many running tasks as replicas, in slots from 1', (t) => {
  const world = threeNodes();
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 3 } });
  world.settle();
  t.is(world.picture(web), '1:web:1@a 2:web:1@b 3:web:1@c');
});

test('replicated: a task walks from New to Running in the order of its life', (t) => {
  const world = threeNodes();
  const web = world.service('web');
  const states: number[] = [];
  world.invariant = (view) => {
    const state = view.tasks.byService(web)[0]?.status.state;
    if (state !== undefined && state !== states.at(-1)) states.push(state);
  };
  world.settle();
  const { Assigned, Accepted, Preparing, Ready, Starting, Running } = TaskState;
  t.deepEqual(states, [Assigned, Accepted, Preparing, Ready, Starting, Running]);
});

test('replicated: scaling up adds tasks and touches none of those there', (t) => {
  const world = threeNodes();
  const web = world.service('web');
  world.settle();
  const before = world.tasks(web);
  world.scale(web, 4);
  world.settle();
  t.is(world.running(web).length, 4);
  t.deepEqual(
    world.tasks(web).filter((task) => task.slot === 1),
    before,
  );
  t.is(world.get(web).update, undefined);
});

test('replicated: scaling down removes tasks whole, history and all', (t) => {
  const world = threeNodes();
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 6 } });
  world.settle();
  world.scale(web, 2);
  world.settle();
  t.is(world.tasks(web).length, 2);
  t.is(world.running(web).length, 2);
});

test('replicated: what does not run goes first, then from the most crowded node, then the highest slot', (t) => {
  const world = threeNodes();
  world.destiny = (task, _spec, step) => (task.slot === 2 && step === 'start' ? 'hangs' : 'works');
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 4 } });
  world.settle();
  t.is(world.picture(web), '1:web:1@a 3:web:1@c 4:web:1@a');
  world.scale(web, 3);
  world.settle();
  t.is(world.picture(web), '1:web:1@a 3:web:1@c 4:web:1@a');
  world.scale(web, 2);
  world.settle();
  t.is(world.picture(web), '1:web:1@a 3:web:1@c');
  world.scale(web, 1);
  world.settle();
  t.is(world.picture(web), '1:web:1@a');
});

test('replicated: scaling down by several leaves the nodes even', (t) => {
  const world = new World();
  world.node('a');
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 6 } });
  world.settle();
  world.node('b');
  world.scale(web, 8);
  world.settle();
  t.is(world.running(web).filter((task) => task.nodeId === 'b').length, 2);
  world.scale(web, 4);
  world.settle();
  t.is(world.picture(web), '1:web:1@a 2:web:1@a 7:web:1@b 8:web:1@b');
});

test('replicated: to nothing and back', (t) => {
  const world = threeNodes();
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 2 } });
  world.settle();
  world.scale(web, 0);
  world.settle();
  t.deepEqual(world.tasks(web), []);
  world.scale(web, 2);
  world.settle();
  t.is(world.running(web).length, 2);
});

test('replicated: a task that somebody deleted is made again', (t) => {
  const world = threeNodes();
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 2 } });
  world.settle();
  world.commit([{ kind: 'delete', table: 'task', id: world.tasks(web)[0]?.id ?? '' }]);
  world.settle();
  t.deepEqual(
    world.running(web).map((task) => task.slot),
    [1, 2],
  );
});

test('replicated: tasks wait without a node, say why once, and go on when there is one', (t) => {
  const world = new World();
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 2 } });
  world.settle();
  t.deepEqual(
    world.tasks(web).map(({ status }) => [status.state, status.error]),
    [
      [TaskState.Pending, 'no suitable node'],
      [TaskState.Pending, 'no suitable node'],
    ],
  );
  world.node('a', { availability: 'pause' });
  const said = world.look();
  t.deepEqual(said.filter(({ kind }) => kind === 'setTaskStatus').length, 2);
  t.is(world.tasks(web)[0]?.status.error, 'no suitable node (1 node not available for new tasks)');
  world.node('a', { availability: 'active' });
  world.settle();
  t.is(world.picture(web), '1:web:1@a 2:web:1@a');
  t.true(world.running(web).every(({ status }) => status.error === undefined));
});

test('replicated: a removed service goes when its last task has', (t) => {
  const world = threeNodes();
  world.destiny = (_task, _spec, step) => (step === 'stop' ? 'hangs' : 'works');
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 2 } });
  world.settle();
  world.removeService(web);
  world.settle();
  t.true(world.tasks(web).every((task) => task.desired === TaskState.Remove));
  t.true(world.get(web).pendingDelete);
  world.destiny = () => 'works';
  world.settle();
  t.is(world.view.services.get(web), undefined);
  t.is(world.view.tasks.size, 0);
});

test('jobs: no tasks are made of them', (t) => {
  const world = threeNodes();
  const job = world.service('job', {
    mode: { kind: 'replicated-job', maxConcurrent: 1, totalCompletions: 1 },
  });
  world.settle();
  t.deepEqual(world.tasks(job), []);
});

test('replicated: other credentials of the image replace no task', (t) => {
  const world = threeNodes();
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 3 } });
  world.settle();
  const before = world.tasks(web).map(({ id }) => id);
  const registryAuth = { username: 'me', password: 'pw' };
  world.template(web, { container: { image: 'web:1', registryAuth } });
  world.advance(60_000);
  const after = world.tasks(web).map(({ id }) => id);
  t.deepEqual(after, before);
});
