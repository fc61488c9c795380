import test from 'ava';
import type { ServiceId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import type { RestartPolicy, ServiceSpec } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { World } from '../leader/world.ts';

const SECOND_NS = 1e9;

function cluster(restart?: RestartPolicy, spec: Partial<ServiceSpec> = {}): { world: World; web: ServiceId } {
  const world = new World();
  world.node('a');
  const task = { container: { image: 'web:1' }, ...(restart === undefined ? {} : { restart }) };
  const web = world.service('web', { task, ...spec });
  world.settle();
  return { world, web };
}

function newest(world: World, web: ServiceId): Task {
  const tasks = [...world.tasks(web)].sort(
    (a, b) => a.createdAtMs - b.createdAtMs || (a.attempt ?? 0) - (b.attempt ?? 0),
  );
  const task = tasks.at(-1);
  if (task === undefined) throw new Error('no task');
  return task;
}

const end = (world: World, web: ServiceId, state: Task['status']['state'] = TaskState.Failed): void => {
  world.report(newest(world, web), { state });
  world.settle();
};

test('restart: the new task is prepared at once and started after the delay', (t) => {
  const { world, web } = cluster();
  end(world, web);
  t.is(newest(world, web).desired, TaskState.Ready);
  t.is(newest(world, web).status.state, TaskState.Ready);
  world.advance(4_999);
  t.is(newest(world, web).status.state, TaskState.Ready);
  world.advance(1);
  t.is(newest(world, web).status.state, TaskState.Running);
  t.is(world.tasks(web).length, 2);
  t.true(world.tasks(web).some((task) => task.desired === TaskState.Shutdown));
});

test('restart: without a delay it starts at once', (t) => {
  const { world, web } = cluster({ delayNs: 0 });
  end(world, web);
  t.is(world.running(web).length, 1);
  t.is(newest(world, web).attempt, 1);
});

test('restart: a success is one with condition any, not with on-failure', (t) => {
  for (const [condition, restarts] of [
    ['any', true],
    ['on-failure', false],
    ['none', false],
  ] as const) {
    const { world, web } = cluster({ condition, delayNs: 0 });
    end(world, web, TaskState.Complete);
    t.is(world.running(web).length, restarts ? 1 : 0, condition);
    t.is(world.tasks(web).length, restarts ? 2 : 1, condition);
  }
});

test('restart: a failure is one unless the condition is none', (t) => {
  for (const [condition, restarts] of [
    ['any', true],
    ['on-failure', true],
    ['none', false],
  ] as const) {
    const { world, web } = cluster({ condition, delayNs: 0 });
    end(world, web, TaskState.Failed);
    t.is(world.running(web).length, restarts ? 1 : 0, condition);
  }
});

test('restart: what is over for good stays over, whatever else the leader looks at', (t) => {
  const { world, web } = cluster({ condition: 'none' });
  end(world, web, TaskState.Complete);
  world.node('b');
  world.advance(3_600_000);
  t.is(world.tasks(web).length, 1);
});

test('restart: at most so many attempts, and a new spec begins anew', (t) => {
  const { world, web } = cluster({ maxAttempts: 2, delayNs: SECOND_NS });
  world.destiny = (_task, _spec, step) => (step === 'run' ? 'fails' : 'works');
  world.advance(60_000);
  t.is(world.tasks(web).length, 3);
  t.is(world.running(web).length, 0);
  world.image(web, 'web:2');
  world.advance(60_000);
  t.is(world.tasks(web).filter((task) => world.imageOf(task) === 'web:2').length, 3);
});

test('restart: attempts are counted also where history is not kept', (t) => {
  const { world, web } = cluster({ maxAttempts: 4, delayNs: SECOND_NS });
  const cluster0 = world.view.cluster;
  if (cluster0 === undefined) return t.fail();
  world.commit([
    { kind: 'putCluster', cluster: { ...cluster0, spec: { ...cluster0.spec, taskHistoryPerSlot: 0 } } },
  ]);
  let made = 0;
  world.destiny = (task, _spec, step) => {
    if (step === 'start') made = Math.max(made, (task.attempt ?? 0) + 1);
    return step === 'run' ? 'fails' : 'works';
  };
  world.advance(60_000);
  t.is(made, 5);
  t.is(world.running(web).length, 0);
});

test('restart: only attempts within the window count', (t) => {
  const policy = { maxAttempts: 2, delayNs: SECOND_NS, windowNs: 60 * SECOND_NS };
  const { world, web } = cluster(policy);
  for (let round = 0; round < 6; round++) {
    world.advance(40_000);
    end(world, web);
  }
  world.advance(2_000);
  t.is(world.running(web).length, 1);
  world.destiny = (_task, _spec, step) => (step === 'run' ? 'fails' : 'works');
  world.advance(30_000);
  t.is(world.running(web).length, 0);
  const rested = newest(world, web).id;
  world.advance(600_000);
  t.is(newest(world, web).id, rested);
});

test('restart: attempts within the window are counted also where history is not kept', (t) => {
  const { world, web } = cluster({ maxAttempts: 4, delayNs: SECOND_NS, windowNs: 600 * SECOND_NS });
  const row = world.view.cluster;
  if (row === undefined) return t.fail();
  world.commit([{ kind: 'putCluster', cluster: { ...row, spec: { ...row.spec, taskHistoryPerSlot: 1 } } }]);
  world.destiny = (_task, _spec, step) => (step === 'run' ? 'fails' : 'works');
  world.advance(300_000);
  t.is(world.running(web).length, 0);
  t.is(newest(world, web).attempt, 4);
});

test('restart: a missing image is asked for once in a delay, not all the time', (t) => {
  const { world, web } = cluster({ delayNs: 5 * SECOND_NS });
  world.destiny = (_task, _spec, step) => (step === 'prepare' ? 'fails' : 'works');
  end(world, web);
  const attempts: number[] = [];
  world.invariant = (view) => {
    for (const { attempt = 0 } of view.tasks.byService(web))
      if (!attempts.includes(attempt)) attempts.push(attempt);
  };
  world.advance(50_000);
  t.true(attempts.length >= 9 && attempts.length <= 12, `${attempts.length} attempts in 50 s`);
});

test('restart: what waits for its next try is not forgotten when everything is looked at', (t) => {
  const { world, web } = cluster({ delayNs: 5 * SECOND_NS });
  world.destiny = (_task, _spec, step) => (step === 'prepare' ? 'fails' : 'works');
  end(world, web);
  world.node('b');
  world.settle();
  const before = newest(world, web);
  t.is(before.status.state, TaskState.Rejected);
  world.advance(5_000);
  t.not(newest(world, web).id, before.id);
});

test('restart: a node that goes down neither counts as an attempt nor makes them forgotten', (t) => {
  const { world, web } = cluster({ maxAttempts: 2, delayNs: 0 });
  end(world, web);
  t.is(newest(world, web).attempt, 1);
  world.node('b');
  world.nodeState('a', 'down');
  world.settle();
  t.is(newest(world, web).attempt, 1);
  end(world, web);
  t.is(newest(world, web).attempt, 2);
  end(world, web);
  t.is(world.running(web).length, 0);
});

test('restart: a delay that another leader began is waited for, no longer and no less', (t) => {
  const { world, web } = cluster({ delayNs: 30 * SECOND_NS });
  end(world, web);
  const { startAfterMs } = newest(world, web);
  t.is(startAfterMs, world.nowMs + 30_000);
  // Another leader knows nothing but the store: every look is as new as its.
  world.nowMs += 29_999;
  world.settle();
  t.is(world.running(web).length, 0);
  world.nowMs += 1;
  world.settle();
  t.is(world.running(web).length, 1);
});

test('restart: a slot has one runnable task however often it fails', (t) => {
  const { world, web } = cluster({ delayNs: SECOND_NS }, { mode: { kind: 'replicated', replicas: 3 } });
  world.invariant = (view) => {
    const active = view.tasks.byService(web).filter((task) => task.desired <= TaskState.Running);
    t.is(new Set(active.map((task) => task.slot)).size, active.length);
  };
  world.destiny = (task, _spec, step) => (step === 'run' && task.slot !== 2 ? 'fails' : 'works');
  world.advance(20_000);
  t.is(world.running(web).filter((task) => task.slot === 2).length, 1);
});

test('restart: a task that fails on its node does not come back on another one for nothing', (t) => {
  const { world, web } = cluster({ delayNs: 0 });
  world.node('b');
  world.service('other');
  world.settle();
  end(world, web);
  t.is(world.picture(web), '1:web:1@a');
});

test('history: of each slot so many ended tasks are kept, the newest', (t) => {
  const { world, web } = cluster({ delayNs: SECOND_NS });
  for (let round = 0; round < 9; round++) {
    world.advance(10_000);
    end(world, web);
  }
  world.advance(2_000);
  t.is(world.tasks(web).length, 6);
  t.deepEqual(
    world
      .tasks(web)
      .map((task) => task.attempt ?? 0)
      .sort((a, b) => a - b),
    [4, 5, 6, 7, 8, 9],
  );
});

test('history: a smaller limit takes effect on what is there', (t) => {
  const { world, web } = cluster({ delayNs: 0 });
  for (let round = 0; round < 4; round++) end(world, web);
  t.is(world.tasks(web).length, 5);
  const cluster0 = world.view.cluster;
  if (cluster0 === undefined) return t.fail();
  world.commit([
    { kind: 'putCluster', cluster: { ...cluster0, spec: { ...cluster0.spec, taskHistoryPerSlot: 1 } } },
  ]);
  world.settle();
  t.is(world.tasks(web).length, 2);
});

test('history: what is over for good stays over also where none is kept', (t) => {
  const { world, web } = cluster({ condition: 'none' });
  const row = world.view.cluster;
  if (row === undefined) return t.fail();
  world.commit([{ kind: 'putCluster', cluster: { ...row, spec: { ...row.spec, taskHistoryPerSlot: 0 } } }]);
  end(world, web, TaskState.Complete);
  world.advance(60_000);
  t.deepEqual(
    world.tasks(web).map(({ status }) => status.state),
    [TaskState.Complete],
  );
});
