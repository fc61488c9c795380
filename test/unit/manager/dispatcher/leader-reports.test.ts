import test from 'ava';
import { LeaderReports } from '#manager/dispatcher/leader-reports.ts';
import type { ManagerNews, NodeNews } from '#manager/dispatcher/news.ts';
import { newsFromWire, newsToWire } from '#manager/dispatcher/news.ts';
import { PatientClock } from '#manager/dispatcher/patient-clock.ts';
import type { Change } from '#manager/store/changes.ts';
import type { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import type { NodeReports } from '#proto/gen/shoal.ts';
import { decode, encode } from '#proto/rpc/codec.ts';
import type { CallInfo } from '#proto/rpc/types.ts';
import type { NodeId, TaskId } from '#proto/types/ids.ts';
import type { TaskStatus } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { descriptionOf, nodeReady, placeTask, service, statusOf } from '../../../support/cluster.ts';
import { openTestStore, type TestStore } from '../../../support/local-log.ts';
import { VirtualClock } from '../../../support/virtual-clock.ts';

const PERIOD_MS = 5_000;
const id = (name: string): NodeId => name as NodeId;

interface Leader extends AsyncDisposable {
  readonly at: TestStore;
  readonly reports: LeaderReports;
  hear(manager: string, ...nodes: NodeNews[]): Promise<void>;
  /** Lets time pass, in which these managers keep talking. */
  pass(ms: number, ...managers: string[]): Promise<void>;
  state(node: string): string | undefined;
  taskState(taskId: TaskId): number | undefined;
}

function leader(...changes: Change[]): Promise<Leader> {
  return leaderOn(openTestStore(), ...changes);
}

async function leaderOn(at: TestStore, ...changes: Change[]): Promise<Leader> {
  if (changes.length > 0) await at.store.update({ changes });
  const stack = new AsyncDisposableStack();
  stack.use(at);
  const patient = stack.use(new PatientClock(at.clock));
  const reports = stack.use(
    new LeaderReports({
      store: at.store,
      consensus: at.log,
      periodMs: () => PERIOD_MS,
      patient,
      clock: at.clock,
      log: nullLog,
      metrics: nullMetrics,
    }),
  );
  const hear = async (managerId: string, ...nodes: NodeNews[]): Promise<void> => {
    await reports.hear({ managerId: id(managerId), settledVersion: 0, nodes });
  };
  return {
    at,
    reports,
    hear,
    async pass(ms, ...managers) {
      for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
        await at.clock.advance(Math.min(leftMs, 1_000));
        for (const manager of managers) await hear(manager);
      }
    },
    state: (node) => at.store.view().nodes.get(id(node))?.status.state,
    taskState: (taskId) => at.store.view().tasks.get(taskId)?.status.state,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function alive(node: string, ...reports: [TaskId, TaskStatus][]): NodeNews {
  return {
    nodeId: id(node),
    alive: true,
    silentMs: 0,
    addr: '10.0.0.7',
    description: descriptionOf(node),
    reports,
  };
}

function gone(node: string, more: Partial<NodeNews> = {}): NodeNews {
  return { nodeId: id(node), alive: false, silentMs: 0, addr: '', reports: [], ...more };
}

/** A node that has joined and not been heard yet. */
function joined(node: string): Change {
  return {
    kind: 'putNode',
    node: {
      id: id(node),
      spec: { role: 'worker', availability: 'active' },
      role: 'worker',
      status: { state: 'unknown' },
    },
  };
}

test('nodes: ready on the first word, with what it said of itself', async (t) => {
  await using at = await leader(joined('n1'));
  await at.hear('m1', alive('n1'));
  const node = at.at.store.view().nodes.get(id('n1'));
  t.is(node?.status.state, 'ready');
  t.is(node?.status.addr, '10.0.0.7');
  t.deepEqual(node?.description, descriptionOf('n1'));
});

test('nodes: saying the same again writes nothing', async (t) => {
  await using at = await leader(joined('n1'));
  await at.hear('m1', alive('n1'));
  const { version } = at.at.store.view();
  await at.hear('m1', alive('n1'));
  await at.pass(3_000, 'm1');
  t.is(at.at.store.view().version, version);
});

test('nodes: down three periods after the last word, since then, and ready when it returns', async (t) => {
  await using at = await leader(joined('n1'), joined('n2'));
  await at.hear('m1', alive('n1'), alive('n2'));
  await at.hear('m1', gone('n1', { silentMs: 2_000 }));
  await at.pass(3 * PERIOD_MS - 3_000, 'm1');
  t.is(at.state('n1'), 'ready');
  await at.pass(2_000, 'm1');
  t.is(at.state('n1'), 'down');
  t.is(at.at.store.view().nodes.get(id('n1'))?.status.message, 'heartbeat failure');
  t.is(at.state('n2'), 'ready');
  await at.hear('m2', alive('n1'));
  t.is(at.state('n1'), 'ready');
  t.is(at.at.store.view().nodes.get(id('n1'))?.status.message, undefined);
});

test('nodes: one that takes its leave is down at once, with its reason', async (t) => {
  await using at = await leader(joined('n1'));
  await at.hear('m1', alive('n1'));
  await at.hear('m1', gone('n1', { gone: 'the machine is going down' }));
  t.is(at.state('n1'), 'down');
  t.is(at.at.store.view().nodes.get(id('n1'))?.status.message, 'the machine is going down');
});

/** A clock whose loop can be made to stand still: time goes on, and no timer fires. */
class StallingClock extends VirtualClock {
  #stalledMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.#stalledMs;
  }

  stall(ms: number): void {
    this.#stalledMs += ms;
  }
}

test('nodes: none is down because the leader itself stood still', async (t) => {
  const clock = new StallingClock();
  await using at = await leaderOn(openTestStore({ clock }), joined('n1'), joined('n2'));
  await at.hear('m1', alive('n1'), alive('n2'));
  await at.hear('m1', gone('n1'));
  clock.stall(60_000);
  await at.pass(3 * PERIOD_MS - 2_000, 'm1');
  t.deepEqual([at.state('n1'), at.state('n2')], ['ready', 'ready']);
  await at.pass(2_000, 'm1');
  t.deepEqual([at.state('n1'), at.state('n2')], ['down', 'ready']);
});

test('nodes: a state that could not be written is written later', async (t) => {
  await using at = await leader(joined('n1'));
  await at.hear('m1', alive('n1'));
  at.at.log.drop(3);
  await at.hear('m1', gone('n1', { gone: 'bye' })).catch(() => undefined);
  await at.pass(3_000, 'm1');
  t.is(at.state('n1'), 'down');
});

test('lead: a new leader calls nodes nobody vouches for unknown, then down after twice the grace', async (t) => {
  await using at = await leader(nodeReady('n1'), nodeReady('n2'), nodeReady('n3'));
  await at.hear('m1', alive('n2'), alive('n3'));
  await at.pass(PERIOD_MS, 'm1');
  t.deepEqual([at.state('n1'), at.state('n2')], ['unknown', 'ready']);
  await at.pass(5 * PERIOD_MS - 1_000, 'm1');
  t.is(at.state('n1'), 'unknown');
  await at.pass(2_000, 'm1');
  t.deepEqual([at.state('n1'), at.state('n2')], ['down', 'ready']);
});

test('lead: who no longer leads says so and judges nobody; who leads again starts from the store', async (t) => {
  await using at = await leader(nodeReady('n1'));
  await at.hear('m1', alive('n1'));
  at.at.log.loseLeadership();
  const error = await t.throwsAsync<ShoalError>(at.hear('m1', alive('n1')));
  t.is(error?.code, 'UNAVAILABLE');
  await at.pass(20 * PERIOD_MS);
  t.is(at.reports.networkReady.size, 0);
  at.at.log.lead();
  t.is(at.state('n1'), 'ready');
  await at.pass(PERIOD_MS + 1_000);
  t.is(at.state('n1'), 'unknown');
});

test('managers: one that is not known is asked to say everything', async (t) => {
  await using at = await leader();
  const news = { managerId: id('m1'), settledVersion: 0, nodes: [] };
  t.true((await at.reports.hear(news)).resend);
  t.false((await at.reports.hear(news)).resend);
  await at.pass(PERIOD_MS + 1_000);
  t.true((await at.reports.hear(news)).resend);
});

test('managers: each speaks for itself only', async (t) => {
  await using at = await leader();
  const call = { peer: { nodeId: id('m2'), role: 'manager' } } as CallInfo;
  const error = await t.throwsAsync<ShoalError>(
    at.reports.report({ managerId: 'm1', settledVersion: 0, nodes: [] }, call),
  );
  t.is(error?.code, 'FORBIDDEN');
});

async function withTask(): Promise<{ at: Leader; task: TaskId }> {
  const at = await leader(nodeReady('n1'), nodeReady('n2'), service('s1'));
  return { at, task: await placeTask(at.at, { service: 's1', slot: 1, node: 'n1' }) };
}

test('tasks: a status is in the store when the report is answered', async (t) => {
  const { at, task } = await withTask();
  await using _ = at;
  await at.hear('m1', alive('n1', [task, statusOf(TaskState.Running, { message: 'started' })]));
  t.is(at.at.store.view().tasks.get(task)?.status.message, 'started');
});

test('tasks: states only grow, and an equal one refreshes what it says', async (t) => {
  const { at, task } = await withTask();
  await using _ = at;
  await at.hear('m1', alive('n1', [task, statusOf(TaskState.Running)]));
  await at.hear('m1', alive('n1', [task, statusOf(TaskState.Starting)]));
  t.is(at.taskState(task), TaskState.Running);
  await at.hear('m1', alive('n1', [task, statusOf(TaskState.Running, { message: 'healthy' })]));
  t.is(at.at.store.view().tasks.get(task)?.status.message, 'healthy');
});

test("tasks: a node reports its own tasks, in the agent's part of their life, and nothing else", async (t) => {
  const { at, task } = await withTask();
  await using _ = at;
  await at.hear('m1', alive('n2', [task, statusOf(TaskState.Failed)]));
  t.is(at.taskState(task), TaskState.Assigned);
  await at.hear('m1', alive('n1', [task, statusOf(TaskState.Orphaned)]));
  t.is(at.taskState(task), TaskState.Assigned);
  await at.hear('m1', alive('n1', ['nosuchtask' as TaskId, statusOf(TaskState.Running)]));
  t.is(at.at.store.view().tasks.size, 1);
});

test('tasks: everything that comes while a write is under way goes into the next one, the latest state of each', async (t) => {
  const { at, task } = await withTask();
  await using _ = at;
  const other = await placeTask(at.at, { service: 's1', slot: 2, node: 'n2' });
  await at.hear('m1', alive('n1'), alive('n2'));
  const entries = at.at.log.entries.length;
  at.at.log.hold();
  const told = [at.hear('m1', alive('n1', [task, statusOf(TaskState.Accepted)]))];
  await Promise.resolve();
  for (const state of [TaskState.Preparing, TaskState.Starting, TaskState.Running]) {
    told.push(at.hear('m1', alive('n1', [task, statusOf(state)])));
    told.push(at.hear('m2', alive('n2', [other, statusOf(state)])));
  }
  await at.at.log.release();
  await Promise.all(told);
  t.deepEqual([at.taskState(task), at.taskState(other)], [TaskState.Running, TaskState.Running]);
  t.true(at.at.log.entries.length - entries <= 3, `${at.at.log.entries.length - entries} entries`);
});

test('tasks: a report that could not be stored is refused, so that it is said again', async (t) => {
  const { at, task } = await withTask();
  await using _ = at;
  await at.hear('m1', alive('n1'));
  at.at.log.drop();
  await t.throwsAsync(at.hear('m1', alive('n1', [task, statusOf(TaskState.Running)])));
  t.is(at.taskState(task), TaskState.Assigned);
  await at.hear('m1', alive('n1', [task, statusOf(TaskState.Running)]));
  t.is(at.taskState(task), TaskState.Running);
});

test('readiness: known to whoever plans releases, who is told of each change', async (t) => {
  await using at = await leader(nodeReady('n1'), nodeReady('n2'));
  let told = 0;
  const stop = at.reports.onNetworkReady(() => told++);
  const news = (settledVersion: number, ...nodes: NodeNews[]): Promise<unknown> =>
    at.reports.hear({ managerId: id('m1'), settledVersion, nodes });
  await news(7, alive('n1'), { ...alive('n2'), networkReady: 4 });
  t.deepEqual(
    [...at.reports.networkReady],
    [
      [id('n1'), 7],
      [id('n2'), 4],
    ],
  );
  t.is(told, 1);
  await at.at.store.update({ changes: [{ kind: 'delete', table: 'node', id: 'n1' }] });
  t.false(at.reports.networkReady.has(id('n1')));
  stop();
});

test('wire: news comes through as it was', (t) => {
  const news: ManagerNews = {
    managerId: id('m1'),
    settledVersion: 12,
    nodes: [
      { ...alive('n1', ['t1' as TaskId, statusOf(TaskState.Failed, { error: 'exit 1' })]), networkReady: 0 },
      gone('n2', { gone: '', silentMs: 900 }),
    ],
  };
  const wire = decode('NodeReports', encode('NodeReports', newsToWire(news))) as NodeReports;
  t.deepEqual(newsFromWire(wire), news);
});
