import test from 'ava';
import { freshNetworks, PREDEFINED_LABEL } from '#manager/leader/bootstrap.ts';
import type { Controller } from '#manager/leader/controller.ts';
import {
  LEADER_LOOP_OPTS,
  LeaderLoop,
  type LeaderLoopModules,
  type LeaderLoopOpts,
} from '#manager/leader/loop.ts';
import type { Change } from '#manager/store/changes.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { openTestStoreWith, type TestStore } from '#test/support/local-log.ts';
import { settle } from '#test/support/virtual-clock.ts';
import { clusterRow, nodeRow } from './rows.ts';

const WEB = 'service-web' as ServiceId;

function web(replicas: number, image = 'web:1'): Change {
  return service('web', replicas, image);
}

function service(name: string, replicas: number, image = `${name}:1`): Change {
  const spec: ServiceSpec = {
    name,
    task: { container: { image } },
    mode: { kind: 'replicated', replicas },
  };
  return { kind: 'putService', service: { id: `service-${name}` as ServiceId, spec } };
}

class Readiness {
  readonly known = new Map<NodeId, number>();
  readonly #listeners = new Set<() => void>();

  versions(): ReadonlyMap<NodeId, number> {
    return this.known;
  }

  subscribe(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => void this.#listeners.delete(changed);
  }

  say(node: string, version: number): void {
    this.known.set(node as NodeId, version);
    for (const changed of this.#listeners) changed();
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}

interface Led {
  readonly opened: TestStore;
  readonly network: Readiness;
  readonly stop: () => Promise<void>;
}

/** Leads until stopped; `beforeWrite` is what others do between a plan and its writing. */
async function lead(
  opts: Partial<LeaderLoopOpts> = {},
  changes: readonly Change[] = [web(2)],
  beforeWrite: (opened: TestStore, leading: AbortController) => Promise<unknown> = async () => undefined,
): Promise<Led> {
  const opened = await openTestStoreWith([
    { kind: 'putCluster', cluster: clusterRow() },
    ...freshNetworks(seededRandom(1)),
    { kind: 'putNode', node: nodeRow('a') },
    ...changes,
  ]);
  const network = new Readiness();
  const { store, clock } = opened;
  const leading = new AbortController();
  const raced: LeaderLoopModules['store'] = {
    view: () => store.view(),
    draft: () => store.draft(),
    subscribe: (applied) => store.subscribe(applied),
    readBarrier: (signal) => store.readBarrier(signal),
    update: async (transaction) => {
      await beforeWrite(opened, leading);
      return store.update(transaction);
    },
  };
  const modules = { store: raced, network, clock, random: seededRandom(1), log: nullLog };
  const ended = new LeaderLoop({ ...LEADER_LOOP_OPTS, ...opts }, modules).run(leading.signal);
  await quiet();
  return {
    opened,
    network,
    stop: () => {
      leading.abort(new Error('the lead is lost'));
      return ended;
    },
  };
}

/** Until nothing that does not wait for time goes on. */
async function quiet(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await settle();
}

const tasks = ({ opened }: Led) => opened.store.view().tasks.byService(WEB);

/** A controller that counts its looks, and does what it is told to. */
function counting(plan: Controller['plan'] = () => ({ changes: [] })): Controller & { looks: number } {
  return {
    looks: 0,
    name: 'counting',
    wakesOn: ['service'],
    plan(view, situation) {
      this.looks++;
      return plan(view, situation);
    },
  };
}

test('loop: what is wanted is planned and written, all of it as one entry', async (t) => {
  const led = await lead();
  t.deepEqual(
    tasks(led).map(({ status, nodeId }) => [status.state, nodeId as string]),
    [
      [TaskState.Assigned, 'a'],
      [TaskState.Assigned, 'a'],
    ],
  );
  t.is(led.opened.log.entries.length, 2);
  await led.stop();
});

test('loop: it looks again when something changed, and only then', async (t) => {
  const controller = counting();
  const led = await lead({ controllers: [controller] });
  const before = controller.looks;
  await quiet();
  t.is(controller.looks, before);
  await led.opened.store.update({ changes: [web(3)] });
  await quiet();
  t.is(controller.looks, before + 1);
  await led.stop();
});

test('loop: several changes at once are looked at once', async (t) => {
  const controller = counting();
  const led = await lead({ controllers: [controller] });
  const before = controller.looks;
  const names = ['one', 'two', 'three', 'four'];
  await Promise.all(names.map((name) => led.opened.store.update({ changes: [service(name, 1)] })));
  await quiet();
  t.true(controller.looks - before <= 2, `${controller.looks - before} looks`);
  await led.stop();
});

test('loop: changes of tables that nobody asked for wake nobody', async (t) => {
  const controller = counting();
  const led = await lead({ controllers: [controller] });
  const before = controller.looks;
  await led.opened.store.update({ changes: [{ kind: 'putNode', node: nodeRow('b') }] });
  await quiet();
  t.is(controller.looks, before);
  await led.stop();
});

test('loop: only the services that changed are named, until there is reason to look at all', async (t) => {
  const seen: (readonly string[] | undefined)[] = [];
  const controller = counting((_view, { services }) => {
    seen.push(services && [...services]);
    return { changes: [] };
  });
  const led = await lead({ controllers: [{ ...controller, wakesOn: ['service', 'network'] }] });
  await led.opened.store.update({ changes: [web(3)] });
  await quiet();
  const [network] = led.opened.store.view().networks.all();
  await led.opened.store.update({ changes: [{ kind: 'delete', table: 'network', id: network?.id ?? '' }] });
  await quiet();
  t.deepEqual(seen, [undefined, [WEB], undefined]);
  await led.stop();
});

test('loop: a time somebody waits for wakes it', async (t) => {
  const controller = counting((_view, { nowMs }) => ({
    changes: [],
    wakeAtMs: Math.ceil((nowMs + 1) / 5_000) * 5_000,
  }));
  const led = await lead({ controllers: [controller] });
  const before = controller.looks;
  await led.opened.clock.advance(15_000);
  t.is(controller.looks, before + 3);
  await led.stop();
});

test('loop: a time that one look learned of is not forgotten by the next, which looks at less', async (t) => {
  const controller = counting((_view, { nowMs, services }) => {
    return { changes: [], ...(services === undefined ? { wakeAtMs: nowMs + 5_000 } : {}) };
  });
  const led = await lead({ controllers: [controller] });
  await led.opened.store.update({ changes: [web(3)] });
  await quiet();
  const before = controller.looks;
  await led.opened.clock.advance(5_000);
  t.is(controller.looks, before + 1);
  await led.stop();
});

test('loop: everything is looked at from time to time, whatever happens', async (t) => {
  const controller = counting();
  const led = await lead({ controllers: [controller], lookEveryMs: 60_000 });
  const before = controller.looks;
  await led.opened.clock.advance(180_000);
  t.is(controller.looks, before + 3);
  await led.stop();
});

test('loop: a node that is further with its network wakes it', async (t) => {
  const controller = counting();
  const led = await lead({ controllers: [controller] });
  const before = controller.looks;
  led.network.say('a', 7);
  await quiet();
  t.is(controller.looks, before + 1);
  await led.stop();
});

test('loop: a controller that throws keeps nobody else from working, and is tried again', async (t) => {
  let broken = true;
  const controller = counting(() => {
    if (broken) throw new Error('cannot think');
    return { changes: [] };
  });
  const led = await lead({ controllers: [controller, ...LEADER_LOOP_OPTS.controllers] });
  t.is(tasks(led).length, 2);
  const before = controller.looks;
  broken = false;
  await led.opened.clock.advance(5_000);
  t.true(controller.looks > before);
  await led.opened.store.update({ changes: [web(3)] });
  await quiet();
  t.is(tasks(led).length, 3);
  await led.stop();
});

test('loop: plans that never come to rest are given up for the moment, not for ever, and not in a hurry', async (t) => {
  let image = 0;
  const restless = counting(() => ({ changes: [web(1, `web:${++image}`)] }));
  const led = await lead({ controllers: [restless], roundsMax: 5 });
  const looks = restless.looks;
  await quiet();
  t.is(restless.looks, looks);
  await led.opened.clock.advance(5_000);
  t.true(restless.looks > looks);
  await led.stop();
});

test('loop: when a spec changed while it planned, nothing is written and it plans anew', async (t) => {
  let others = 1;
  const led = await lead({}, [web(5)], async ({ store }) => {
    if (others-- > 0) await store.update({ changes: [web(1)] });
  });
  t.is(tasks(led).length, 1);
  t.is(led.opened.store.view().services.get(WEB)?.tasksMade, 1);
  await led.stop();
});

test('loop: after a conflict about one service the plans for others are made again too', async (t) => {
  let others = 0;
  const led = await lead({}, [web(1), service('db', 1)], async ({ store }) => {
    if (others-- > 0) await store.update({ changes: [web(3)] });
  });
  others = 1;
  await led.opened.store.update({ changes: [web(2), service('db', 2)] });
  await quiet();
  t.is(tasks(led).length, 3);
  t.is(led.opened.store.view().tasks.size, 5);
  await led.stop();
});

test('loop: a write that is lost is planned again', async (t) => {
  let losses = 2;
  const led = await lead({}, [web(4)], async ({ log }) => {
    if (losses-- > 0) log.loseLeadership();
  });
  t.is(tasks(led).length, 0);
  led.opened.log.lead();
  await led.opened.clock.advance(5_000);
  led.opened.log.lead();
  await led.opened.clock.advance(20_000);
  t.is(tasks(led).length, 4);
  t.is(led.opened.store.view().services.get(WEB)?.tasksMade, 4);
  await led.stop();
});

test('loop: when the lead is lost it ends without another write, and leaves nothing behind', async (t) => {
  const led = await lead();
  led.opened.log.hold();
  const written = led.opened.store.update({ changes: [web(9)] });
  await quiet();
  const stopped = led.stop();
  await led.opened.log.release();
  await Promise.all([written, stopped]);
  const entries = led.opened.log.entries.length;
  await led.opened.clock.advance(120_000);
  t.is(led.opened.log.entries.length, entries);
  t.is(tasks(led).length, 2);
  t.is(led.network.listeners, 0);
});

test('loop: when the lead is lost, the rest of a long plan is not written', async (t) => {
  let writes = 0;
  const led = await lead({}, [web(1_500)], async (_opened, leading) => {
    writes++;
    leading.abort(new Error('the lead is lost'));
  });
  await led.stop();
  t.is(writes, 1);
});

test('loop: a leader that cannot catch up yet waits, and begins when it can', async (t) => {
  const opened = await openTestStoreWith([
    { kind: 'putCluster', cluster: clusterRow() },
    { kind: 'putNode', node: nodeRow('a') },
    web(2),
  ]);
  opened.log.loseLeadership();
  const { store, clock } = opened;
  const modules = { store, network: new Readiness(), clock, random: seededRandom(1), log: nullLog };
  const leading = new AbortController();
  const ended = new LeaderLoop(LEADER_LOOP_OPTS, modules).run(leading.signal);
  await clock.advance(1_000);
  t.is(store.view().tasks.size, 0);
  opened.log.lead();
  await clock.advance(10_000);
  t.is(store.view().tasks.size, 2);
  leading.abort();
  await ended;
});

test('loop: a plan longer than an entry goes in several', async (t) => {
  const led = await lead({}, [web(1_500)]);
  for (let turns = 0; turns < 20; turns++) await quiet();
  t.is(tasks(led).length, 1_500);
  t.true(tasks(led).every(({ status }) => status.state === TaskState.Assigned));
  t.true(led.opened.log.entries.length > 9);
  await led.stop();
});

test('loop: much is looked at in parts, and comes to the same', async (t) => {
  const names = Array.from({ length: 12 }, (_, number) => `s${number}`);
  const seen: number[] = [];
  const counter = counting((_view, { services }) => {
    seen.push(services?.size ?? -1);
    return { changes: [] };
  });
  const controllers = [...LEADER_LOOP_OPTS.controllers, counter];
  const made = names.map((name) => service(name, 3));
  const led = await lead({ controllers, tasksMax: 7, nodesMax: 1, changesMax: 5 }, made);
  for (let turns = 0; turns < 20; turns++) await quiet();
  const { tasks: all } = led.opened.store.view();
  t.is(all.size, 36);
  t.is(all.countByState().get(TaskState.Assigned), 36);
  t.true(
    seen.every((size) => size >= 0 && size <= 7),
    `${seen}`,
  );
  await led.opened.clock.advance(LEADER_LOOP_OPTS.lookEveryMs);
  await led.opened.store.update({ changes: [service('s3', 1), { kind: 'delete', table: 'node', id: 'a' }] });
  for (let turns = 0; turns < 20; turns++) await quiet();
  t.is(all.size, 36);
  const now = led.opened.store.view().tasks;
  t.is(now.unsettled(TaskState.Assigned).length, 0);
  t.is(now.byNode('a' as NodeId).filter(({ status }) => status.state !== TaskState.Orphaned).length, 0);
  await led.stop();
});

test('loop: a task of which more is known, but that goes on as it did, wakes nobody', async (t) => {
  const controller = Object.assign(counting(), { wakesOn: ['task'] });
  const led = await lead({ controllers: [controller as Controller] }, [
    web(1),
    { kind: 'createTask', serviceId: WEB, slot: 1, desired: TaskState.Running },
  ]);
  const [task] = tasks(led);
  const report = async (state: TaskState, pid: number): Promise<void> => {
    const status = { state, atMs: pid, message: 'started', container: { id: 'c', pid } };
    const taskId = task?.id as TaskId;
    await led.opened.store.update({ changes: [{ kind: 'setTaskStatus', taskId, status }] });
    await quiet();
  };
  let looks = 0;
  const told = (): number => controller.looks - looks;
  await report(TaskState.Running, 1);
  looks = controller.looks;
  await report(TaskState.Running, 2);
  t.is(told(), 0);
  await report(TaskState.Failed, 3);
  t.true(told() > 0);
  await led.stop();
});

test('bootstrap: a fresh cluster has its ingress network and what nodes have of themselves', async (t) => {
  const led = await lead();
  const networks = [...led.opened.store.view().networks.all()];
  const about = networks.map(({ spec, vni, ipam }) => [spec.name, spec.driver, vni, ipam?.[0]?.subnet]);
  t.deepEqual(about.sort(), [
    ['bridge', 'bridge', undefined, undefined],
    ['host', 'host', undefined, undefined],
    ['ingress', 'overlay', 4097, '10.0.0.0/24'],
    ['none', 'null', undefined, undefined],
  ]);
  t.deepEqual(
    networks
      .filter(({ spec }) => spec.labels?.[PREDEFINED_LABEL] === 'true')
      .map(({ spec }) => spec.name)
      .sort(),
    ['bridge', 'host', 'none'],
  );
  await led.stop();
});
