import test from 'ava';
import type { ServiceId } from '#proto/types/ids.ts';
import type { ServiceSpec, UpdateConfig } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { World } from '../leader/world.ts';

const SECOND_NS = 1e9;

function cluster(replicas: number, update: UpdateConfig = {}, spec: Partial<ServiceSpec> = {}) {
  const world = new World();
  for (const name of ['a', 'b', 'c']) world.node(name);
  const web = world.service('web', { mode: { kind: 'replicated', replicas }, update, ...spec });
  world.settle();
  return { world, web };
}

/** Fewest tasks that were running at once from now on. */
function watchFewest(world: World, web: ServiceId): () => number {
  let fewest = Number.POSITIVE_INFINITY;
  world.invariant = () => {
    fewest = Math.min(fewest, world.running(web).length);
  };
  return () => fewest;
}

function imagesOf(world: World, web: ServiceId): string[] {
  return world.running(web).map((task) => world.imageOf(task));
}

const stateOf = (world: World, web: ServiceId): string | undefined => world.get(web).update?.state;

/** Tasks of this image fail, as the step says. */
function failImage(world: World, image: string, step: 'prepare' | 'start' | 'run'): void {
  world.destiny = (_task, spec, at) => (at === step && spec.container.image === image ? 'fails' : 'works');
}

test('update: every task is replaced, a slot after the other, where it was', (t) => {
  const { world, web } = cluster(3);
  const before = world.picture(web);
  const fewest = watchFewest(world, web);
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(world.picture(web), before.replaceAll('web:1', 'web:2'));
  t.is(fewest(), 2);
});

test('update: its status is told in the words of Swarm', (t) => {
  const { world, web } = cluster(2);
  t.is(world.get(web).update, undefined);
  world.image(web, 'web:2');
  const beganMs = world.nowMs;
  world.settle();
  const { specVersion } = world.get(web);
  t.like(world.get(web).update, {
    state: 'updating',
    message: 'update in progress',
    startedAtMs: beganMs,
    targetVersion: specVersion,
  });
  world.advance(4_999);
  t.is(stateOf(world, web), 'updating');
  world.advance(1);
  t.like(world.get(web).update, {
    state: 'completed',
    message: 'update completed',
    completedAtMs: beganMs + 5_000,
  });
});

for (const [parallelism, fewestExpected] of [
  [1, 9],
  [3, 7],
  [0, 0],
] as const) {
  test(`update: with parallelism ${parallelism} at least ${fewestExpected} of 10 tasks run at any time`, (t) => {
    const { world, web } = cluster(10, { parallelism });
    const fewest = watchFewest(world, web);
    world.image(web, 'web:2');
    world.advance(60_000);
    t.is(fewest(), fewestExpected);
    t.deepEqual(new Set(imagesOf(world, web)), new Set(['web:2']));
  });
}

test('update: start-first never runs fewer, and never more than the parallelism beyond', (t) => {
  const { world, web } = cluster(5, { order: 'start-first', parallelism: 2 });
  let [fewest, most] = [5, 5];
  world.invariant = () => {
    const running = world.tasks(web).filter((task) => task.status.state === TaskState.Running);
    fewest = Math.min(fewest, world.running(web).length);
    most = Math.max(most, running.length);
  };
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(fewest, 5);
  t.true(most > 5 && most <= 7, `${most} at once`);
  t.is(imagesOf(world, web).join(), Array(5).fill('web:2').join());
});

test('update: stop-first never runs two tasks in a slot', (t) => {
  const { world, web } = cluster(3);
  world.invariant = () => {
    const running = world.tasks(web).filter((task) => task.status.state === TaskState.Running);
    t.is(new Set(running.map((task) => task.slot)).size, running.length);
  };
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(stateOf(world, web), 'completed');
});

test('update: stop-first prepares the new task before it stops the old one', (t) => {
  const { world, web } = cluster(1);
  world.destiny = (task, _spec, step) => {
    if (step === 'prepare')
      t.is(world.running(web).length, 1, `task ${task.id} is prepared while the old one runs`);
    return 'works';
  };
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(world.picture(web), '1:web:2@a');
});

test('update: between slots it waits for the delay', (t) => {
  const { world, web } = cluster(3, { delayNs: 10 * SECOND_NS });
  world.image(web, 'web:2');
  const updated = (): number => imagesOf(world, web).filter((image) => image === 'web:2').length;
  world.advance(9_999);
  t.is(updated(), 1);
  world.advance(1);
  t.is(updated(), 2);
  world.advance(10_000);
  t.is(updated(), 3);
  world.advance(5_000);
  t.is(stateOf(world, web), 'completed');
});

test('update: scaling alone is none, nor are labels of the service or its update settings', (t) => {
  const { world, web } = cluster(3);
  const before = world.tasks(web);
  world.service('web', { labels: { team: 'x' }, update: { parallelism: 7 }, rollback: { parallelism: 2 } });
  world.scale(web, 3);
  world.advance(60_000);
  t.deepEqual(world.tasks(web), before);
  t.is(world.get(web).update, undefined);
});

test('update: a counted-up forceUpdate and changed ports replace the tasks', (t) => {
  const { world, web } = cluster(2);
  const before = new Set(world.running(web).map(({ id }) => id));
  world.template(web, { forceUpdate: 1 });
  world.advance(60_000);
  t.true(world.running(web).every(({ id }) => !before.has(id)));
  const again = new Set(world.running(web).map(({ id }) => id));
  world.service('web', {
    endpoint: { ports: [{ protocol: 'tcp', targetPort: 80, publishMode: 'ingress' }] },
  });
  world.advance(60_000);
  t.true(world.running(web).every(({ id }) => !again.has(id)));
});

test('update: when only the placement changes, tasks that still fit are kept', (t) => {
  const { world, web } = cluster(3);
  const before = world.running(web).filter((task) => task.nodeId !== 'b');
  world.template(web, { placement: { constraints: ['node.hostname != b'] } });
  world.advance(60_000);
  t.deepEqual(
    world.running(web).filter((task) => before.some(({ id }) => id === task.id)),
    before,
  );
  t.true(world.running(web).every((task) => task.nodeId !== 'b'));
  t.is(world.running(web).length, 3);
});

test('update: a task that never comes up keeps the update waiting, and fails nothing', (t) => {
  const { world, web } = cluster(3);
  world.destiny = (_task, spec, step) =>
    step === 'start' && spec.container.image === 'web:2' ? 'hangs' : 'works';
  world.image(web, 'web:2');
  world.advance(3_600_000);
  t.is(stateOf(world, web), 'updating');
  t.is(imagesOf(world, web).join(), 'web:1,web:1');
});

test('update: it pauses when a task fails, and says which', (t) => {
  const { world, web } = cluster(3);
  failImage(world, 'web:2', 'start');
  world.image(web, 'web:2');
  world.settle();
  const failed = world.tasks(web).find((task) => task.status.state === TaskState.Failed);
  t.like(world.get(web).update, {
    state: 'paused',
    message: `update paused due to failure or early termination of task ${failed?.id}`,
  });
  t.is(imagesOf(world, web).join(), 'web:1,web:1');
  world.advance(600_000);
  t.is(stateOf(world, web), 'paused');
  t.is(imagesOf(world, web).join(), 'web:1,web:1');
});

test('update: an image that cannot be had pauses it before anything is stopped', (t) => {
  const { world, web } = cluster(3);
  failImage(world, 'web:2', 'prepare');
  const fewest = watchFewest(world, web);
  world.image(web, 'web:2');
  world.advance(600_000);
  t.is(stateOf(world, web), 'paused');
  t.is(fewest(), 3);
});

test('update: a task that ends within the monitored time counts, later it does not', (t) => {
  for (const [ranMs, state] of [
    [5_000, 'paused'],
    [5_001, 'completed'],
  ] as const) {
    const { world, web } = cluster(1, { monitorNs: 5 * SECOND_NS });
    world.image(web, 'web:2');
    world.settle();
    const [task] = world.running(web);
    if (task === undefined) return t.fail();
    world.nowMs += ranMs;
    world.report(task, { state: TaskState.Complete });
    world.advance(60_000);
    t.is(stateOf(world, web), state);
  }
});

test("update: a failure that the node tells of late still counts by the node's own clock", (t) => {
  const { world, web } = cluster(2, { monitorNs: 5 * SECOND_NS, parallelism: 0 });
  world.image(web, 'web:2');
  world.settle();
  const [task] = world.running(web);
  if (task?.status.startedAtMs === undefined) return t.fail();
  world.nowMs += 4_000;
  world.report(task, { state: TaskState.Failed, atMs: task.status.startedAtMs + 1_000 });
  world.settle();
  t.is(stateOf(world, web), 'paused');
});

test('update: a ratio of failures is tolerated', (t) => {
  for (const [failing, state] of [
    [2, 'completed'],
    [3, 'paused'],
  ] as const) {
    const { world, web } = cluster(10, { maxFailureRatio: 0.2 });
    world.destiny = (task, spec, step) => {
      return step === 'start' && spec.container.image === 'web:2' && task.slot <= failing ? 'fails' : 'works';
    };
    world.image(web, 'web:2');
    world.advance(120_000);
    t.is(stateOf(world, web), state, `${failing} of 10`);
  }
});

test('update: failures are counted over all slots also where no history is kept', (t) => {
  const { world, web } = cluster(10, { maxFailureRatio: 0.2 });
  const row = world.view.cluster;
  if (row === undefined) return t.fail();
  world.commit([{ kind: 'putCluster', cluster: { ...row, spec: { ...row.spec, taskHistoryPerSlot: 0 } } }]);
  world.destiny = (task, spec, step) => {
    return step === 'start' && spec.container.image === 'web:2' && task.slot <= 3 && !task.attempt
      ? 'fails'
      : 'works';
  };
  world.image(web, 'web:2');
  world.advance(600_000);
  t.is(stateOf(world, web), 'paused');
});

test('update: with continue it goes through to the end, whatever fails', (t) => {
  const { world, web } = cluster(4, { failureAction: 'continue' });
  failImage(world, 'web:2', 'start');
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(stateOf(world, web), 'completed');
  t.is(world.running(web).length, 0);
});

test('update: with rollback the old spec comes back, by its own settings, and is told of', (t) => {
  const { world, web } = cluster(
    4,
    { failureAction: 'rollback', parallelism: 1 },
    { rollback: { parallelism: 0 } },
  );
  failImage(world, 'web:2', 'start');
  world.image(web, 'web:2');
  const { specVersion: badVersion } = world.get(web);
  world.settle();
  const failed = world.tasks(web).find((task) => task.specVersion === badVersion);
  t.like(world.get(web).update, {
    state: 'rollback_started',
    message: `update rolled back due to failure or early termination of task ${failed?.id}`,
    targetVersion: world.get(web).specVersion,
  });
  t.is(world.get(web).spec.task.container.image, 'web:1');
  world.advance(60_000);
  t.like(world.get(web).update, { state: 'rollback_completed', message: 'rollback completed' });
  t.is(imagesOf(world, web).join(), 'web:1,web:1,web:1,web:1');
});

test('update: a rollback keeps the tasks that were never replaced', (t) => {
  const { world, web } = cluster(4, { failureAction: 'rollback' });
  const before = new Set(world.running(web).map(({ id }) => id));
  failImage(world, 'web:2', 'start');
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(world.running(web).filter(({ id }) => before.has(id)).length, 3);
});

test('update: a rollback that fails pauses, and is never rolled back itself', (t) => {
  const { world, web } = cluster(3, { failureAction: 'rollback' });
  world.destiny = (_task, _spec, step) => (step === 'start' ? 'fails' : 'works');
  world.image(web, 'web:2');
  world.advance(600_000);
  t.is(stateOf(world, web), 'rollback_paused');
  t.regex(
    world.get(web).update?.message ?? '',
    /^rollback paused due to failure or early termination of task /,
  );
  t.is(world.get(web).spec.task.container.image, 'web:1');
});

test('update: a rollback asked for by hand goes the same way', (t) => {
  const { world, web } = cluster(3, {}, { rollback: { parallelism: 2 } });
  world.image(web, 'web:2');
  world.advance(60_000);
  const update = {
    state: 'rollback_started',
    startedAtMs: world.nowMs,
    message: 'manually requested rollback',
  } as const;
  world.commit([{ kind: 'rollBackService', serviceId: web, update: { ...update, targetVersion: 0 } }]);
  const fewest = watchFewest(world, web);
  world.advance(60_000);
  t.is(stateOf(world, web), 'rollback_completed');
  t.is(fewest(), 1);
  t.is(imagesOf(world, web).join(), 'web:1,web:1,web:1');
});

test('update: a new spec in the middle of one replaces its target', (t) => {
  const { world, web } = cluster(4, { delayNs: 10 * SECOND_NS });
  world.image(web, 'web:2');
  world.advance(15_000);
  t.deepEqual(imagesOf(world, web).sort(), ['web:1', 'web:1', 'web:2', 'web:2']);
  world.image(web, 'web:3');
  const secondMs = world.nowMs;
  world.advance(120_000);
  t.is(imagesOf(world, web).join(), 'web:3,web:3,web:3,web:3');
  t.like(world.get(web).update, { state: 'completed', startedAtMs: secondMs });
});

test('update: going back to the first spec in the middle of one keeps the tasks that still run it', (t) => {
  const { world, web } = cluster(4, { delayNs: 10 * SECOND_NS });
  const before = new Set(world.running(web).map(({ id }) => id));
  world.image(web, 'web:2');
  world.advance(15_000);
  world.image(web, 'web:1');
  world.advance(120_000);
  t.is(world.running(web).filter(({ id }) => before.has(id)).length, 2);
  t.is(imagesOf(world, web).join(), 'web:1,web:1,web:1,web:1');
});

test('update: a paused one stays paused when the service is scaled, and goes on with a new spec', (t) => {
  const { world, web } = cluster(3);
  failImage(world, 'web:2', 'start');
  world.image(web, 'web:2');
  world.settle();
  world.scale(web, 4);
  world.advance(60_000);
  t.is(stateOf(world, web), 'paused');
  t.is(world.get(web).update?.targetVersion, world.get(web).specVersion);
  world.image(web, 'web:3');
  world.advance(60_000);
  t.is(stateOf(world, web), 'completed');
  t.is(imagesOf(world, web).join(), 'web:3,web:3,web:3,web:3');
});

test('update: a paused one that is set going again counts only what fails from then on', (t) => {
  const { world, web } = cluster(3);
  let broken = true;
  world.destiny = (_task, spec, step) => {
    return broken && step === 'start' && spec.container.image === 'web:2' ? 'fails' : 'works';
  };
  world.image(web, 'web:2');
  world.advance(30_000);
  t.is(stateOf(world, web), 'paused');
  broken = false;
  const { update } = world.get(web);
  if (update === undefined) return t.fail();
  const resumed = {
    ...update,
    state: 'updating',
    startedAtMs: world.nowMs,
    message: 'update in progress',
  } as const;
  world.commit([{ kind: 'setUpdateStatus', serviceId: web, update: resumed }]);
  world.advance(60_000);
  t.is(stateOf(world, web), 'completed');
  t.is(imagesOf(world, web).join(), 'web:2,web:2,web:2');
});

test('update: scaling in the middle of one adds tasks of the new spec and lets it go on', (t) => {
  const { world, web } = cluster(3, { delayNs: 10 * SECOND_NS });
  world.image(web, 'web:2');
  world.advance(5_000);
  world.scale(web, 5);
  world.advance(1_000);
  t.deepEqual(imagesOf(world, web).sort(), ['web:1', 'web:1', 'web:2', 'web:2', 'web:2']);
  world.advance(120_000);
  t.is(stateOf(world, web), 'completed');
  t.is(imagesOf(world, web).length, 5);
});

test('update: an old task that never stops does not hold up its slot for ever', (t) => {
  const { world, web } = cluster(2);
  world.destiny = (_task, spec, step) =>
    step === 'stop' && spec.container.image === 'web:1' ? 'hangs' : 'works';
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(imagesOf(world, web).join(), 'web:1');
  world.advance(300_000);
  t.is(imagesOf(world, web).join(), 'web:2,web:2');
});

test('update: tasks that are over for good are replaced too when the spec changes', (t) => {
  const { world, web } = cluster(
    2,
    {},
    { task: { container: { image: 'web:1' }, restart: { condition: 'none' } } },
  );
  for (const task of world.running(web)) world.report(task, { state: TaskState.Complete });
  world.settle();
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(imagesOf(world, web).join(), 'web:2,web:2');
});

test('update: tasks that found no node do not keep those from being updated that run', (t) => {
  const reservations = { memoryBytes: 5e9 };
  const { world, web } = cluster(
    5,
    {},
    { task: { container: { image: 'web:1' }, resources: { reservations } } },
  );
  t.is(world.running(web).length, 3);
  world.template(web, { container: { image: 'web:2' }, resources: { reservations: { memoryBytes: 4e9 } } });
  world.advance(60_000);
  t.is(imagesOf(world, web).join(), 'web:2,web:2,web:2,web:2,web:2');
});

test('update: an old task that does not run yet is dropped as soon as there is a new one', (t) => {
  const { world, web } = cluster(0, { order: 'start-first' });
  world.destiny = (_task, _spec, step) => (step === 'start' ? 'hangs' : 'works');
  world.scale(web, 1);
  world.settle();
  world.image(web, 'web:2');
  world.settle();
  t.deepEqual(
    world
      .tasks(web)
      .filter((task) => task.desired === TaskState.Running)
      .map((task) => world.imageOf(task)),
    ['web:2'],
  );
});

test('update: where there is no room beside it, the old task goes first', (t) => {
  const reservations = { memoryBytes: 8e9 };
  const { world, web } = cluster(
    3,
    {},
    { task: { container: { image: 'web:1' }, resources: { reservations } } },
  );
  const fewest = watchFewest(world, web);
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(imagesOf(world, web).join(), 'web:2,web:2,web:2');
  t.is(fewest(), 2);
});

test('update: host ports make it stop-first, whatever was asked', (t) => {
  const endpoint = {
    ports: [{ protocol: 'tcp', targetPort: 80, publishedPort: 80, publishMode: 'host' }],
  } as const;
  const { world, web } = cluster(3, { order: 'start-first' }, { endpoint });
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(imagesOf(world, web).join(), 'web:2,web:2,web:2');
});

test('update: a node that goes down in the middle of one is made good without the update losing its way', (t) => {
  const { world, web } = cluster(6, { delayNs: 5 * SECOND_NS });
  world.image(web, 'web:2');
  world.advance(12_000);
  world.nodeState('b', 'down');
  world.advance(120_000);
  t.is(stateOf(world, web), 'completed');
  t.is(imagesOf(world, web).join(), Array(6).fill('web:2').join());
});
