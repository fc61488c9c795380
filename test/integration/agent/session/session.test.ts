import test from 'ava';
import { newPrivateKey, signingRequest } from '#agent/session/keys.ts';
import { joinToken } from '#manager/ca/tokens.ts';
import type { ShoalError } from '#proto/base/errors.ts';
import { nodeDescription } from '#proto/convert/node.ts';
import type { ManagerMessage } from '#proto/gen/shoal.ts';
import { openDialer } from '#proto/rpc/client.ts';
import type { NodeId, TaskId } from '#proto/types/ids.ts';
import type { Node } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { allocated, descriptionOf, overlay, placeTask, service, statusOf } from '../../../support/cluster.ts';
import {
  joinInto,
  openTestCluster,
  type TestAgent,
  type TestCluster,
  until,
} from '../../../support/managers.ts';

/** Long: nobody is to be found silent in these tests unless they say so. */
const PERIOD_MS = 20_000;

function nodeOf({ at }: TestCluster, { nodeId }: { nodeId: NodeId }): Node | undefined {
  return at.store.view().nodes.get(nodeId);
}

async function ready(cluster: TestCluster, agent: TestAgent): Promise<void> {
  await until('the node is ready', () => nodeOf(cluster, agent)?.status.state === 'ready');
}

function taskOf({ at }: TestCluster, taskId: TaskId): number | undefined {
  return at.store.view().tasks.get(taskId)?.status.state;
}

test('a node joins by a follower, is ready, is given a task, and what it reports is stored by the leader', async (t) => {
  await using cluster = await openTestCluster({ managers: 2, periodMs: PERIOD_MS });
  const agent = await cluster.join({ by: 1, hostname: 'front' });
  await ready(cluster, agent);
  t.is(nodeOf(cluster, agent)?.description?.hostname, 'front');
  await cluster.at.store.update({ changes: [service('s1')] });
  const task = await placeTask(cluster.at, { service: 's1', slot: 1, node: agent.nodeId });
  await until('the task arrives', () => agent.session.assigned().tasks.has(task));
  agent.session.report(task, statusOf(TaskState.Running, { message: 'started' }));
  await until('it runs', () => taskOf(cluster, task) === TaskState.Running);
  t.is(agent.session.assigned().revisions.size, 1);
});

test('an agent that loses its manager turns to another; its node stays ready, and nothing it said is lost', async (t) => {
  await using cluster = await openTestCluster({ managers: 2, periodMs: PERIOD_MS });
  const agent = await cluster.join({ by: 1 });
  await ready(cluster, agent);
  await until('it knows both managers', () => agent.managers.all().length === 2);
  await cluster.at.store.update({ changes: [service('s1')] });
  const task = await placeTask(cluster.at, { service: 's1', slot: 1, node: agent.nodeId });
  await until('the task arrives', () => agent.session.assigned().tasks.has(task));
  const [leader, follower] = cluster.managers;
  const lost = agent.session.status().manager === follower?.addr ? follower : leader;
  t.is(lost, follower);
  await lost?.[Symbol.asyncDispose]();
  agent.session.report(task, statusOf(TaskState.Running));
  await until('it is with the other one', () => agent.session.status().manager === leader?.addr);
  await until('the report is stored', () => taskOf(cluster, task) === TaskState.Running);
  const last = agent.assigned.at(-1);
  t.true(last?.tasks.has(task));
  const other = await placeTask(cluster.at, { service: 's1', slot: 2, node: agent.nodeId });
  await until('a new task arrives', () => agent.session.assigned().tasks.has(other));
  t.true(agent.session.assigned().peers === last?.peers, 'it was told what was new, not everything again');
  t.is(nodeOf(cluster, agent)?.status.state, 'ready');
});

test('the leader learns what data planes are ready for, of nodes that had something to do and of those that had not', async (t) => {
  await using cluster = await openTestCluster({ managers: 2, periodMs: PERIOD_MS });
  const [busy, idle] = [await cluster.join({ by: 0 }), await cluster.join({ by: 1 })];
  await Promise.all([ready(cluster, busy), ready(cluster, idle)]);
  await cluster.at.store.update({
    changes: [overlay('net1'), service('web', ['net1']), allocated('web', ['net1'])],
  });
  const task = await placeTask(cluster.at, {
    service: 'web',
    slot: 1,
    node: busy.nodeId,
    networks: ['net1'],
  });
  await cluster.at.store.update({
    changes: [{ kind: 'setTaskStatus', taskId: task, status: statusOf(TaskState.Running) }],
  });
  const idleBefore = idle.assigned.length;
  const leaving = await cluster.at.store.update({
    changes: [{ kind: 'setDesired', taskId: task, desired: TaskState.Shutdown }],
  });
  const leader = cluster.managers[0]?.parts;
  for (const agent of [busy, idle]) {
    await until(
      'the leader knows it is ready',
      () => (leader?.networkReady.get(agent.nodeId) ?? 0) >= leaving,
    );
  }
  t.false(busy.session.assigned().endpoints.get(task)?.active);
  t.is(idle.assigned.length, idleBefore, 'a node that nothing mattered to was told nothing');
});

test('a node that takes its leave is down at once, with its reason', async (t) => {
  await using cluster = await openTestCluster({ managers: 2, periodMs: PERIOD_MS });
  const agent = await cluster.join({ by: 1 });
  await ready(cluster, agent);
  await agent.session.goodbye('the machine is going down');
  await until('it is down', () => nodeOf(cluster, agent)?.status.state === 'down');
  t.is(nodeOf(cluster, agent)?.status.message, 'the machine is going down');
});

test('an agent that falls silent is down after three periods, though its connection stands', async (t) => {
  await using cluster = await openTestCluster({ managers: 1, periodMs: 200 });
  const agent = await cluster.join();
  await agent.session[Symbol.asyncDispose]();
  const hello = async function* (): AsyncGenerator<object> {
    yield { hello: { description: nodeDescription.toWire(descriptionOf('silent')) } };
    await never.promise;
  };
  const never = Promise.withResolvers<void>();
  const heard: ManagerMessage[] = [];
  const session = (async () => {
    const client = agent.dialer.client('Dispatcher', cluster.managers[0]?.addr ?? '', 'manager');
    for await (const message of client.session(hello())) heard.push(message);
  })();
  const ended = t.throwsAsync<ShoalError>(session);
  await until('it is down', () => nodeOf(cluster, agent)?.status.state === 'down');
  t.is(nodeOf(cluster, agent)?.status.message, 'heartbeat failure');
  t.is((await ended)?.message, 'heartbeat failure');
  t.is(heard[0]?.welcome?.heartbeatPeriodMs, 200);
  never.resolve();
});

test('an agent that beats stays ready for many times as long', async (t) => {
  await using cluster = await openTestCluster({ managers: 2, periodMs: 500 });
  const agents = [await cluster.join({ by: 0 }), await cluster.join({ by: 1 })];
  const down: string[] = [];
  cluster.at.store.subscribe(({ events }) => {
    for (const event of events) {
      if (event.table === 'node' && event.row?.status.state === 'down') down.push(event.id);
    }
  });
  await Promise.all(agents.map((agent) => ready(cluster, agent)));
  let beats = 0;
  const count = cluster.managers[0]?.parts.onNetworkReady(() => beats++);
  await until('the follower has spoken for many periods', () => beats > 150);
  count?.();
  t.deepEqual(down, []);
});

test('a node begins a second session: the first is ended, and the node is the same', async (t) => {
  await using cluster = await openTestCluster({ managers: 1, periodMs: PERIOD_MS });
  const agent = await cluster.join();
  await ready(cluster, agent);
  const never = Promise.withResolvers<void>();
  const hello = async function* (): AsyncGenerator<object> {
    yield { hello: { description: nodeDescription.toWire(descriptionOf('again')) } };
    await never.promise;
  };
  const client = agent.dialer.client('Dispatcher', cluster.managers[0]?.addr ?? '', 'manager');
  const second = client.session(hello())[Symbol.asyncIterator]();
  t.truthy((await second.next()).value.welcome);
  await until('the first session is over', () => agent.session.status().manager === undefined);
  t.is(nodeOf(cluster, agent)?.status.state, 'ready');
  never.resolve();
  await second.return?.();
});

test('a node that is removed loses its session, and gets no other', async (t) => {
  await using cluster = await openTestCluster({ managers: 2, periodMs: PERIOD_MS });
  const agent = await cluster.join();
  await ready(cluster, agent);
  await cluster.at.store.update({ changes: [{ kind: 'delete', table: 'node', id: agent.nodeId }] });
  await until('it is told', () => /not part of the swarm/.test(agent.session.status().error ?? ''));
  t.is(nodeOf(cluster, agent), undefined);
});

test('a node that is promoted renews its certificate at once, and is a manager to all', async (t) => {
  await using cluster = await openTestCluster({ managers: 2, periodMs: PERIOD_MS });
  const agent = await cluster.join({ by: 1 });
  await ready(cluster, agent);
  const node = nodeOf(cluster, agent) as Node;
  await cluster.at.store.update({
    changes: [{ kind: 'putNode', node: { ...node, spec: { ...node.spec, role: 'manager' } } }],
  });
  await until('its certificate says so', () => agent.identity.peer().role === 'manager');
  t.is(nodeOf(cluster, agent)?.role, 'manager');
  const client = agent.dialer.client('LeaderReports', cluster.managers[0]?.addr ?? '', 'manager');
  t.true((await client.report({ managerId: agent.nodeId })).resend);
});

test('walls: without a certificate there is no session, and a worker reports for nobody', async (t) => {
  await using cluster = await openTestCluster({ managers: 1, periodMs: PERIOD_MS });
  const agent = await cluster.join();
  const addr = cluster.managers[0]?.addr ?? '';
  await using stranger = openDialer({}, {});
  const session = Array.fromAsync(
    stranger.client('Dispatcher', addr, 'anyone').session((async function* () {})()),
  );
  t.is((await t.throwsAsync<ShoalError>(session))?.code, 'UNAUTHENTICATED');
  const report = agent.dialer.client('LeaderReports', addr, 'manager').report({ managerId: agent.nodeId });
  t.is((await t.throwsAsync<ShoalError>(report))?.code, 'FORBIDDEN');
});

test("joining: another cluster's token stops before the token is shown, a wrong secret after", async (t) => {
  await using cluster = await openTestCluster({ managers: 1, periodMs: PERIOD_MS });
  await using other = await openTestCluster({ managers: 1, periodMs: PERIOD_MS });
  const addr = cluster.managers[0]?.addr ?? '';
  const foreign = await t.throwsAsync<ShoalError>(joinInto(addr, joinToken(other.cluster(), 'worker')));
  t.regex(foreign?.message ?? '', /remote CA does not match fingerprint/);
  const token = joinToken(cluster.cluster(), 'worker');
  const wrong = `${token.slice(0, -2)}${token.endsWith('00') ? '11' : '00'}`;
  const refused = await t.throwsAsync<ShoalError>(joinInto(addr, wrong));
  t.is(refused?.message, 'A valid join token is necessary to join this cluster');
  t.is(cluster.at.store.view().nodes.size, 1);
});

test('joining: a node that never heard the answer joins again as the same', async (t) => {
  await using cluster = await openTestCluster({ managers: 1, periodMs: PERIOD_MS });
  const addr = cluster.managers[0]?.addr ?? '';
  await using dialer = openDialer({}, {});
  const key = newPrivateKey();
  const token = joinToken(cluster.cluster(), 'worker');
  const client = dialer.client('Ca', addr, 'anyone');
  const first = await client.issueCertificate({ csr: await signingRequest(key), token });
  const second = await client.issueCertificate({ csr: await signingRequest(key), token });
  t.is(first.nodeId, second.nodeId);
  t.is(cluster.at.store.view().nodes.size, 2);
});
