import test from 'ava';
import type { Leadership, Member } from '#manager/consensus/consensus.ts';
import type { AgentSession } from '#manager/dispatcher/agent-session.ts';
import type { ManagerNews } from '#manager/dispatcher/news.ts';
import { PatientClock } from '#manager/dispatcher/patient-clock.ts';
import { type LeaderReply, Reporter } from '#manager/dispatcher/reporter.ts';
import { Sessions } from '#manager/dispatcher/sessions.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { Client, RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId, TaskId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { descriptionOf, nodeReady, placeTask, service, statusOf } from '../../../support/cluster.ts';
import { openTestStore, type TestStore } from '../../../support/local-log.ts';
import { settle } from '../../../support/virtual-clock.ts';

const id = (name: string): NodeId => name as NodeId;

interface Scene extends AsyncDisposable {
  readonly at: TestStore;
  readonly reporter: Reporter;
  /** What the leader was told. */
  readonly heard: ManagerNews[];
  /** What the leader answers; by default that all is well. */
  set answer(answer: (news: ManagerNews) => Promise<LeaderReply>);
  session(node: string): { behind: number | undefined };
  end(node: string): void;
}

async function scene(leadership?: () => Leadership, dialer?: RpcDialer): Promise<Scene> {
  const at = openTestStore();
  const stack = new AsyncDisposableStack();
  stack.use(at);
  const sessions = new Sessions();
  const heard: ManagerNews[] = [];
  const held = new Map<string, AgentSession>();
  const leader = { answer: async (_: ManagerNews): Promise<LeaderReply> => ({ version: 1, resend: false }) };
  const reporter = new Reporter({
    nodeId: id('m1'),
    store: at.store,
    consensus: {
      leadership: leadership ?? (() => at.log.leadership()),
      onLeadership: (f) => at.log.onLeadership(f),
    },
    dialer: dialer as RpcDialer,
    sessions,
    intake: {
      hear(news) {
        heard.push(news);
        return leader.answer(news);
      },
    },
    periodMs: () => 5_000,
    patient: stack.use(new PatientClock(at.clock)),
    clock: at.clock,
    random: seededRandom(1),
    log: nullLog,
  });
  stack.use(reporter);
  const found: Scene = {
    at,
    reporter,
    heard,
    set answer(answer: Scene['answer']) {
      leader.answer = answer;
    },
    session(node) {
      const state = { behind: undefined as number | undefined };
      const session = {
        opts: { nodeId: id(node), addr: '10.0.0.1' },
        description: descriptionOf(node),
        networks: new Set(),
        get behind() {
          return state.behind;
        },
      } as unknown as AgentSession;
      sessions.add(session);
      held.set(node, session);
      reporter.changed(id(node));
      return state;
    },
    end: (node) => void sessions.remove(held.get(node) as AgentSession),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  await settle();
  heard.length = 0;
  return found;
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await settle();
}

test('what comes in one turn goes in one message: of each node how it stands, of each task the latest', async (t) => {
  await using at = await scene();
  at.session('n1');
  at.session('n2');
  const stored: string[] = [];
  at.reporter.deliver(id('n1'), [['t1' as TaskId, statusOf(TaskState.Accepted)]], () => stored.push('a'));
  at.reporter.deliver(id('n1'), [['t1' as TaskId, statusOf(TaskState.Running)]], () => stored.push('b'));
  at.reporter.deliver(id('n1'), [['t1' as TaskId, statusOf(TaskState.Preparing)]], () => stored.push('c'));
  await settled();
  t.is(at.heard.length, 1);
  const [n1, n2] = at.heard[0]?.nodes ?? [];
  t.deepEqual([n1?.nodeId, n1?.alive, n1?.description?.hostname], [id('n1'), true, 'n1']);
  t.deepEqual(n1?.reports, [['t1' as TaskId, statusOf(TaskState.Running)]]);
  t.deepEqual([n2?.nodeId, n2?.reports.length], [id('n2'), 0]);
  t.deepEqual(stored, ['a', 'b', 'c']);
});

test('one message at a time: what comes meanwhile is in the next', async (t) => {
  await using at = await scene();
  const answered = Promise.withResolvers<LeaderReply>();
  at.answer = () => answered.promise;
  at.session('n1');
  await settled();
  at.session('n2');
  at.session('n3');
  await settled();
  t.is(at.heard.length, 1);
  at.answer = async () => ({ version: 1, resend: false });
  answered.resolve({ version: 1, resend: false });
  await settled();
  t.deepEqual(
    at.heard[1]?.nodes.map(({ nodeId }) => nodeId),
    [id('n2'), id('n3')],
  );
});

test('a message that failed is said again, with what is newer by then, until it is heard', async (t) => {
  await using at = await scene();
  let failures = 3;
  at.answer = async () => {
    if (failures-- > 0) throw new ShoalError('UNAVAILABLE', 'no');
    return { version: 1, resend: false };
  };
  at.session('n1');
  let stored = false;
  at.reporter.deliver(id('n1'), [['t1' as TaskId, statusOf(TaskState.Accepted)]], () => {
    stored = true;
  });
  await settled();
  t.false(stored);
  at.reporter.deliver(id('n1'), [['t1' as TaskId, statusOf(TaskState.Running)]], () => undefined);
  at.end('n1');
  at.reporter.departed(id('n1'), { heardMs: 0, gone: 'bye' });
  await at.at.clock.advance(3_000);
  t.true(stored);
  const last = at.heard.findLast(({ nodes }) => nodes.length > 0)?.nodes[0];
  t.deepEqual(last?.reports, [['t1' as TaskId, statusOf(TaskState.Running)]]);
  t.deepEqual([last?.alive, last?.gone], [false, 'bye']);
});

test('a node that went, and one that returned before that was heard', async (t) => {
  await using at = await scene();
  at.session('n1');
  at.session('n2');
  await settled();
  at.heard.length = 0;
  at.end('n1');
  at.reporter.departed(id('n1'), { heardMs: 0 });
  at.end('n2');
  at.reporter.departed(id('n2'), { heardMs: 0 });
  at.session('n2');
  await settled();
  t.deepEqual(
    at.heard[0]?.nodes.map(({ nodeId, alive }) => [nodeId, alive]),
    [
      [id('n2'), true],
      [id('n1'), false],
    ],
  );
});

test('it is heard five times a period, if only to say that it is there', async (t) => {
  await using at = await scene();
  await at.at.clock.advance(10_000);
  t.is(at.heard.length, 10);
  t.true(at.heard.every(({ nodes }) => nodes.length === 0));
});

test('a new leader, or one that asks, is told of every node', async (t) => {
  await using at = await scene();
  at.session('n1');
  at.session('n2');
  await settled();
  at.heard.length = 0;
  at.at.log.lead();
  await settled();
  t.deepEqual(
    at.heard[0]?.nodes.map(({ nodeId }) => nodeId),
    [id('n1'), id('n2')],
  );
  at.heard.length = 0;
  at.answer = async (news) => ({ version: 1, resend: news.nodes.length === 0 });
  await at.at.clock.advance(1_000);
  await settled();
  t.deepEqual(
    at.heard.map(({ nodes }) => nodes.length),
    [0, 2],
  );
});

test('while somebody else leads, news goes to that manager', async (t) => {
  const told: unknown[] = [];
  const client = {
    async report(news: unknown) {
      told.push(news);
      return { version: 1, resend: false };
    },
  };
  const dialer = {
    client: (service: string, addr: string, expect: string) => {
      t.deepEqual([service, addr, expect], ['LeaderReports', '10.0.0.2:1', 'manager']);
      return client as unknown as Client<'LeaderReports'>;
    },
  } as unknown as RpcDialer;
  const leader = { nodeId: 'm2', controlAddr: '10.0.0.2:1' } as unknown as Member;
  await using at = await scene(() => ({ term: 2, leading: false, leader }), dialer);
  told.length = 0;
  at.session('n1');
  await settled();
  t.is(told.length, 1);
  t.is(at.heard.length, 0);
});

test('readiness: told while a task leaves, of those that are behind, until they are not', async (t) => {
  await using at = await scene();
  await at.at.store.update({ changes: [nodeReady('n1'), service('s1')] });
  const task = await placeTask(at.at, { service: 's1', slot: 1, node: 'n1' });
  at.session('n1');
  const n2 = at.session('n2');
  await settled();
  at.heard.length = 0;
  n2.behind = 3;
  at.reporter.readinessChanged(id('n2'));
  await settled();
  t.is(at.heard.length, 0, 'nobody waits for it');
  const leaving = await at.at.store.update({
    changes: [{ kind: 'setDesired', taskId: task, desired: TaskState.Shutdown }],
  });
  await settled();
  t.is(at.heard.length, 1);
  t.is(at.heard[0]?.settledVersion, leaving);
  t.deepEqual(
    at.heard[0]?.nodes.map(({ nodeId, networkReady }) => [nodeId, networkReady]),
    [[id('n2'), 3]],
  );
  n2.behind = undefined;
  at.reporter.readinessChanged(id('n2'));
  await settled();
  t.is(at.heard.length, 2);
  t.deepEqual(
    at.heard[1]?.nodes.map(({ nodeId, networkReady }) => [nodeId, networkReady]),
    [[id('n2'), undefined]],
  );
  t.true((at.heard[1]?.settledVersion ?? 0) >= leaving);
});

test('readiness: a node with a new session is ready for nothing until it has said so', async (t) => {
  await using at = await scene();
  const n1 = at.session('n1');
  n1.behind = 0;
  await settled();
  t.is(at.heard[0]?.nodes[0]?.networkReady, 0);
  n1.behind = undefined;
  at.reporter.readinessChanged(id('n1'));
  await settled();
  t.is(at.heard.at(-1)?.nodes[0]?.networkReady, undefined);
  t.is(at.heard.at(-1)?.nodes[0]?.nodeId, id('n1'));
});

test('many at once go in several messages, and the common version only with the last', async (t) => {
  await using at = await scene();
  for (let i = 0; i < 4_500; i++) at.session(`n${i}`);
  await settled();
  t.deepEqual(
    at.heard.map(({ nodes }) => nodes.length),
    [2_000, 2_000, 500],
  );
});
