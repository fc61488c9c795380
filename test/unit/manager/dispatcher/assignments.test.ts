import test from 'ava';
import { applyDiff, NOTHING_ASSIGNED, networksOf } from '#agent/session/assigned.ts';
import {
  changedAssignments,
  completeAssignments,
  concernsNetwork,
  isEmpty,
  type Told,
} from '#manager/dispatcher/assignments.ts';
import { missedBy, toldBefore } from '#manager/dispatcher/resume.ts';
import { touchedBy } from '#manager/dispatcher/touched.ts';
import { Unsaid } from '#manager/dispatcher/unsaid.ts';
import type { Change } from '#manager/store/changes.ts';
import type { EventBatch } from '#manager/store/view.ts';
import { type Random, randomInt, seededRandom } from '#proto/base/random.ts';
import type { Assigned, AssignmentDiff } from '#proto/types/assignments.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import { type DesiredState, TaskState } from '#proto/types/states.ts';
import { clusterRow, testCa } from '../../../support/certificates.ts';
import {
  allocated,
  nodeReady,
  nodeState,
  overlay,
  placeTask,
  service,
  taskStatusIs,
} from '../../../support/cluster.ts';
import { openTestStore, type TestStore } from '../../../support/local-log.ts';

/** A node that is told what changes, and what it knows from that. */
class Listener {
  readonly nodeId: NodeId;
  known: Assigned = NOTHING_ASSIGNED;
  readonly heard: AssignmentDiff[] = [];
  readonly #store: TestStore['store'];
  readonly #unsaid = new Unsaid();
  #told: Told;
  #lost = false;

  constructor({ store }: TestStore, node: string) {
    this.#store = store;
    this.nodeId = node as NodeId;
    const { diff, told } = completeAssignments(store.view(), this.nodeId);
    this.#told = told;
    this.#hear(diff);
    store.subscribe((batch) => {
      for (const { scope, topic, id } of touchedBy(batch, store.view())) {
        const mine =
          scope.kind === 'all' ||
          (scope.kind === 'node' ? scope.id === this.nodeId : this.#told.networks.has(scope.id));
        if (mine) this.#unsaid.add(topic, id, batch.version);
      }
    });
  }

  /** What it would be sent now; nothing, when nothing that matters to it has changed. */
  next(): AssignmentDiff | undefined {
    if (this.#lost || this.#unsaid.since === undefined) return undefined;
    const { diff, told } = changedAssignments(
      this.#store.view(),
      this.nodeId,
      this.#told,
      this.#unsaid.take(),
    );
    if (isEmpty(diff)) return undefined;
    this.#told = told;
    this.#hear(diff);
    return diff;
  }

  /** Its manager is gone: it hears nothing. */
  lose(): void {
    this.#lost = true;
  }

  /** Another manager goes on from what it knows. */
  resume(): void {
    if (!this.#lost) return;
    this.#lost = false;
    const { version, revisions } = this.known;
    const known = { epoch: 1, version, networks: networksOf(this.known), revisions: [...revisions.values()] };
    const batches: EventBatch[] = [];
    this.#store.watchFrom(version, (batch) => void batches.push(batch))?.();
    this.#told = toldBefore(known);
    this.#unsaid.take();
    this.#unsaid.addAll(missedBy(this.nodeId, batches, this.#store.view()), version + 1);
  }

  #hear(diff: AssignmentDiff): void {
    this.heard.push(diff);
    const next = applyDiff(this.known, diff);
    if (next === undefined) throw new Error(`a gap: ${diff.appliesTo} after ${this.known.version}`);
    this.known = next;
  }
}

async function cluster(...changes: Change[]): Promise<TestStore> {
  const opened = openTestStore();
  const row = clusterRow(await ca);
  await opened.store.update({ changes: [{ kind: 'putCluster', cluster: row }, ...changes] });
  return opened;
}
const ca = testCa();

const keys = (map: ReadonlyMap<string, unknown>): string[] => [...map.keys()].sort();

test('tasks: a node is told those assigned to it, with their revisions, and no others', async (t) => {
  await using at = await cluster(nodeReady('n1'), nodeReady('n2'), service('s1'));
  const mine = await placeTask(at, { service: 's1', slot: 1, node: 'n1' });
  await placeTask(at, { service: 's1', slot: 2, node: 'n2' });
  await at.store.update({
    changes: [{ kind: 'createTask', serviceId: 's1' as ServiceId, slot: 3, desired: TaskState.Running }],
  });
  const { known } = new Listener(at, 'n1');
  t.deepEqual(keys(known.tasks), [mine]);
  t.is(known.revisions.size, 1);
  t.is([...known.revisions.values()][0]?.serviceName, 's1');
});

test('tasks: one that is assigned later comes with its revision, and a second of that revision without', async (t) => {
  await using at = await cluster(nodeReady('n1'), service('s1'));
  const n1 = new Listener(at, 'n1');
  await placeTask(at, { service: 's1', slot: 1, node: 'n1' });
  const first = n1.next();
  t.deepEqual([first?.putTasks.length, first?.putRevisions.length], [1, 1]);
  await placeTask(at, { service: 's1', slot: 2, node: 'n1' });
  const second = n1.next();
  t.deepEqual([second?.putTasks.length, second?.putRevisions.length], [1, 0]);
});

test('tasks: a revision without a log driver has the one of the settings of the swarm, one with has its own', async (t) => {
  const row = clusterRow(await ca);
  const logDriver = { name: 'none' };
  const own = { name: 'json-file', options: { 'max-size': '1m' } };
  const named = service('s2') as Change & { kind: 'putService' };
  const { spec } = named.service;
  await using at = await cluster(
    { kind: 'putCluster', cluster: { ...row, spec: { ...row.spec, defaultLogDriver: logDriver } } },
    nodeReady('n1'),
    service('s1'),
    { ...named, service: { ...named.service, spec: { ...spec, task: { ...spec.task, logDriver: own } } } },
  );
  for (const id of ['s1', 's2']) await placeTask(at, { service: id, slot: 1, node: 'n1' });
  const { revisions } = new Listener(at, 'n1').known;
  const drivers = [...revisions.values()].map(({ serviceId, task }) => [serviceId, task.logDriver]);
  t.deepEqual(Object.fromEntries(drivers), { s1: logDriver, s2: own });
});

test('tasks: what the agent itself reported is not told back to it', async (t) => {
  await using at = await cluster(nodeReady('n1'), service('s1'));
  const task = await placeTask(at, { service: 's1', slot: 1, node: 'n1' });
  const n1 = new Listener(at, 'n1');
  for (const state of [TaskState.Accepted, TaskState.Preparing, TaskState.Running]) {
    await at.store.update({ changes: [taskStatusIs(task, state)] });
  }
  t.is(n1.next(), undefined);
});

test('tasks: that it is to stop, and that it may, is told at once', async (t) => {
  await using at = await cluster(nodeReady('n1'), service('s1'));
  const task = await placeTask(at, { service: 's1', slot: 1, node: 'n1' });
  const n1 = new Listener(at, 'n1');
  await at.store.update({ changes: [{ kind: 'setDesired', taskId: task, desired: TaskState.Shutdown }] });
  const stop = n1.next()?.putTasks[0];
  t.is(stop?.desired, TaskState.Shutdown);
  t.is(stop?.leavingVersion, at.store.view().version);
  t.false(stop?.released);
  await at.store.update({ changes: [{ kind: 'releaseTask', taskId: task }] });
  t.true(n1.next()?.putTasks[0]?.released);
});

test('tasks: one that ended stays until it is reaped, and its revision with it', async (t) => {
  await using at = await cluster(nodeReady('n1'), service('s1'));
  const task = await placeTask(at, { service: 's1', slot: 1, node: 'n1' });
  const n1 = new Listener(at, 'n1');
  await at.store.update({ changes: [taskStatusIs(task, TaskState.Failed)] });
  n1.next();
  t.deepEqual(keys(n1.known.tasks), [task]);
  await at.store.update({ changes: [{ kind: 'delete', table: 'task', id: task }] });
  n1.next();
  t.deepEqual([n1.known.tasks.size, n1.known.revisions.size], [0, 0]);
});

test('tasks: one that is to be removed is gone as soon as it has ended, and an orphan at once', async (t) => {
  await using at = await cluster(nodeReady('n1'), service('s1'));
  const [removed, orphan] = [
    await placeTask(at, { service: 's1', slot: 1, node: 'n1' }),
    await placeTask(at, { service: 's1', slot: 2, node: 'n1' }),
  ];
  const n1 = new Listener(at, 'n1');
  await at.store.update({ changes: [{ kind: 'setDesired', taskId: removed, desired: TaskState.Remove }] });
  n1.next();
  t.true(n1.known.tasks.has(removed));
  await at.store.update({
    changes: [taskStatusIs(removed, TaskState.Shutdown), taskStatusIs(orphan, TaskState.Orphaned)],
  });
  n1.next();
  t.is(n1.known.tasks.size, 0);
});

test('networks: a node knows those its tasks are on, and everything on them', async (t) => {
  await using at = await cluster(
    nodeReady('n1'),
    nodeReady('n2'),
    overlay('net1'),
    overlay('net2', '10.0.2.0/24'),
    service('web', ['net1']),
    service('db', ['net1']),
    service('other', ['net2']),
    allocated('web', ['net1']),
    allocated('db', ['net1']),
    allocated('other', ['net2']),
  );
  const web = await placeTask(at, { service: 'web', slot: 1, node: 'n1', networks: ['net1'] });
  const db = await placeTask(at, { service: 'db', slot: 1, node: 'n2', networks: ['net1'] });
  await placeTask(at, { service: 'other', slot: 1, node: 'n2', networks: ['net2'] });
  const { known } = new Listener(at, 'n1');
  t.deepEqual(keys(known.networks), ['net1']);
  t.deepEqual(known.networks.get('net1' as NetworkId)?.gateway, '10.0.1.1');
  t.deepEqual(keys(known.services), ['db', 'web']);
  t.deepEqual(keys(known.endpoints), [db, web].sort());
  t.deepEqual(keys(known.peers), ['n2']);
});

test('networks: the first task on one brings it with all that is on it, the last takes it away', async (t) => {
  await using at = await cluster(
    nodeReady('n1'),
    nodeReady('n2'),
    overlay('net1'),
    service('web', ['net1']),
    allocated('web', ['net1']),
  );
  const far = await placeTask(at, { service: 'web', slot: 1, node: 'n2', networks: ['net1'] });
  const n1 = new Listener(at, 'n1');
  t.is(n1.known.services.size + n1.known.endpoints.size + n1.known.networks.size, 0);
  const near = await placeTask(at, { service: 'web', slot: 2, node: 'n1', networks: ['net1'] });
  n1.next();
  t.deepEqual(keys(n1.known.endpoints), [far, near].sort());
  t.deepEqual(keys(n1.known.services), ['web']);
  await at.store.update({ changes: [taskStatusIs(near, TaskState.Failed)] });
  n1.next();
  t.is(n1.known.services.size + n1.known.endpoints.size + n1.known.networks.size, 0);
});

test('ingress: a service with published ports, and its endpoints, are known to every node', async (t) => {
  await using at = await cluster(
    nodeReady('n1'),
    nodeReady('n2'),
    service('web'),
    allocated('web', [], true),
  );
  const n1 = new Listener(at, 'n1');
  t.deepEqual(keys(n1.known.services), ['web']);
  const task = await placeTask(at, { service: 'web', slot: 1, node: 'n2' });
  n1.next();
  t.false(n1.known.endpoints.get(task)?.active);
  await at.store.update({ changes: [taskStatusIs(task, TaskState.Running, { meshAddr: '100.64.16.16' })] });
  n1.next();
  const { active, meshAddr, nodeId } = n1.known.endpoints.get(task) ?? {};
  t.deepEqual([active, meshAddr, nodeId], [true, '100.64.16.16', 'n2' as NodeId]);
  await at.store.update({ changes: [allocated('web', [], false)] });
  n1.next();
  t.is(n1.known.services.size + n1.known.endpoints.size, 0);
});

test('endpoint: active while Running, wanted and its node not down; there until it has ended', async (t) => {
  await using at = await cluster(
    nodeReady('n1'),
    nodeReady('n2'),
    service('web'),
    allocated('web', [], true),
  );
  const task = await placeTask(at, { service: 'web', slot: 1, node: 'n2' });
  const n1 = new Listener(at, 'n1');
  const active = async (change: Change): Promise<boolean | undefined> => {
    await at.store.update({ changes: [change] });
    n1.next();
    return n1.known.endpoints.get(task)?.active;
  };
  t.false(await active(taskStatusIs(task, TaskState.Starting)));
  t.true(await active(taskStatusIs(task, TaskState.Running)));
  t.false(await active(nodeState('n2', 'down')));
  t.true(await active(nodeState('n2', 'unknown')));
  t.false(await active({ kind: 'setDesired', taskId: task, desired: TaskState.Shutdown }));
  t.is(await active(taskStatusIs(task, TaskState.Shutdown)), undefined);
});

test("endpoint: its names are its container's and its hostname, unless that is a template", async (t) => {
  const withHost = (hostname: string, id: string): Change => ({
    kind: 'putService',
    service: {
      id: id as ServiceId,
      spec: { name: id, mode: { kind: 'global' }, task: { container: { image: 'i', hostname } } },
    },
  });
  await using at = await cluster(
    nodeReady('n1'),
    withHost('front', 'web'),
    withHost('{{.Node.Hostname}}', 'tmpl'),
    allocated('web', [], true),
    allocated('tmpl', [], true),
  );
  const web = await placeTask(at, { service: 'web', slot: 2, node: 'n1' });
  const tmpl = await placeTask(at, { service: 'tmpl', slot: 0, node: 'n1' });
  const { known } = new Listener(at, 'n1');
  t.deepEqual(known.endpoints.get(web)?.names, [`web.2.${web}`, 'front']);
  t.deepEqual(known.endpoints.get(tmpl)?.names, [`tmpl.n1.${tmpl}`]);
});

test('self and peers: a node hears of its own index and labels, and of others coming, going and failing', async (t) => {
  await using at = await cluster(nodeReady('n1'));
  const n1 = new Listener(at, 'n1');
  t.is(n1.known.self.meshIndex, 0);
  await at.store.update({ changes: [nodeReady('n1', { meshIndex: 1, labels: { zone: 'a' } })] });
  const own = n1.next();
  t.deepEqual([own?.self?.meshIndex, own?.self?.labels], [1, { zone: 'a' }]);
  t.is(n1.known.self.meshPool, '100.64.0.0/10');
  await at.store.update({ changes: [nodeReady('n2', { meshIndex: 2 })] });
  n1.next();
  t.true(n1.known.peers.get('n2' as NodeId)?.up);
  await at.store.update({ changes: [nodeState('n2', 'down')] });
  n1.next();
  t.false(n1.known.peers.get('n2' as NodeId)?.up);
  await at.store.update({ changes: [{ kind: 'delete', table: 'node', id: 'n2' }] });
  n1.next();
  t.is(n1.known.peers.size, 0);
  t.false(n1.known.peers.has('n1' as NodeId));
});

test('quiet: what does not concern a node is no news to it', async (t) => {
  await using at = await cluster(nodeReady('n1'), nodeReady('n2'), overlay('net1'), service('web', ['net1']));
  const n1 = new Listener(at, 'n1');
  const task = await placeTask(at, { service: 'web', slot: 1, node: 'n2', networks: ['net1'] });
  await at.store.update({ changes: [taskStatusIs(task, TaskState.Running), allocated('web', ['net1'])] });
  await at.store.update({ changes: [nodeState('n1', 'ready'), overlay('net2')] });
  t.is(n1.next(), undefined);
});

test('resume: an agent that changes managers is told what it missed, and nothing when it missed nothing', async (t) => {
  await using at = await cluster(nodeReady('n1'), nodeReady('n2'), overlay('net1'), service('web', ['net1']));
  await placeTask(at, { service: 'web', slot: 1, node: 'n1', networks: ['net1'] });
  const n1 = new Listener(at, 'n1');
  n1.lose();
  n1.resume();
  t.is(n1.next(), undefined);
  n1.lose();
  const far = await placeTask(at, { service: 'web', slot: 2, node: 'n2', networks: ['net1'] });
  n1.resume();
  const missed = n1.next();
  t.deepEqual(
    missed?.putEndpoints.map(({ taskId }) => taskId),
    [far],
  );
  t.is(
    (missed?.putPeers.length ?? 0) + (missed?.putServices.length ?? 0) + (missed?.putTasks.length ?? 0),
    0,
  );
});

test('network: a diff of tasks alone needs no acknowledgement of the data plane', async (t) => {
  await using at = await cluster(nodeReady('n1'), overlay('net1'), service('s1'), service('s2', ['net1']));
  const n1 = new Listener(at, 'n1');
  await placeTask(at, { service: 's1', slot: 1, node: 'n1' });
  t.false(concernsNetwork(n1.next() as AssignmentDiff));
  await placeTask(at, { service: 's2', slot: 1, node: 'n1', networks: ['net1'] });
  t.true(concernsNetwork(n1.next() as AssignmentDiff));
});

const NODES = ['n1', 'n2', 'n3'];
const NETWORKS = ['net1', 'net2', 'net3'];
const SERVICES = ['s1', 's2', 's3'];
const STATES = [TaskState.Starting, TaskState.Running, TaskState.Failed, TaskState.Orphaned];
const DESIRED: DesiredState[] = [TaskState.Running, TaskState.Shutdown, TaskState.Remove];

/** One random thing that may happen in a cluster. */
async function happen(at: TestStore, random: Random): Promise<void> {
  const one = <T>(list: readonly T[]): T => list[randomInt(random, list.length)] as T;
  const some = (): string[] => NETWORKS.filter(() => random.next() < 0.4);
  const tasks = [...at.store.view().tasks.all()];
  const task = tasks.length > 0 ? (one(tasks).id as TaskId) : undefined;
  const change = (...changes: Change[]): Promise<unknown> => at.store.update({ changes });
  switch (randomInt(random, 11)) {
    case 0:
      return void (await change(service(one(SERVICES), some(), `i${randomInt(random, 9)}`)));
    case 1:
      return void (await change(allocated(one(SERVICES), some(), random.next() < 0.4)));
    case 2:
      return void (await change(nodeState(one(NODES), one(['ready', 'down', 'unknown'] as const))));
    case 3:
      return void (await change(overlay(one(NETWORKS), `10.0.${randomInt(random, 200)}.0/24`)));
    case 4:
      return void (await change(nodeReady(one(NODES), { meshIndex: randomInt(random, 5) })));
    case 5:
      return void (await change({
        kind: 'delete',
        table: one(['network', 'service'] as const),
        id: one([...NETWORKS, ...SERVICES]),
      }));
    case 6:
      if (task) await change({ kind: 'delete', table: 'task', id: task });
      return;
    case 7:
      if (task) await change({ kind: 'setDesired', taskId: task, desired: one(DESIRED) });
      return;
    case 8:
      if (task) await change(taskStatusIs(task, one(STATES)));
      return;
    default: {
      const name = one(SERVICES);
      if (at.store.view().services.get(name as ServiceId) === undefined) return;
      await placeTask(at, { service: name, slot: tasks.length, node: one(NODES), networks: some() });
    }
  }
}

/** All that is known, less what a node is never told again: the version, and what the agent reported itself. */
function comparable(known: Assigned): unknown {
  const { version: _version, tasks, ...rest } = known;
  const own = [...tasks.values()].map(({ state: _state, ...task }) => task);
  const sorted = Object.entries(rest).map(([name, rows]) =>
    rows instanceof Map ? [name, [...rows].sort(([a], [b]) => (a < b ? -1 : 1))] : [name, rows],
  );
  return [...sorted, own.sort((a, b) => (a.id < b.id ? -1 : 1))];
}

for (let seed = 1; seed <= 30; seed++) {
  test(`history ${seed}: changes told one by one lead to what a newcomer is told at once`, async (t) => {
    const random = seededRandom(seed);
    await using at = await cluster(
      ...NODES.map((node) => nodeReady(node)),
      ...NETWORKS.map((net) => overlay(net)),
    );
    const listeners = NODES.map((node) => new Listener(at, node));
    for (let step = 0; step < 150; step++) {
      await happen(at, random);
      for (const listener of listeners) {
        if (random.next() < 0.05) listener.lose();
        if (random.next() < 0.1) listener.resume();
        if (random.next() < 0.3) listener.next();
      }
    }
    for (const listener of listeners) {
      listener.resume();
      listener.next();
      const newcomer = new Listener(at, listener.nodeId);
      t.deepEqual(comparable(listener.known), comparable(newcomer.known), `seed ${seed}, ${listener.nodeId}`);
    }
  });
}
