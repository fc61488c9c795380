import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ClusterNews } from '#agent/session/conversation.ts';
import { Managers } from '#agent/session/managers.ts';
import { Session } from '#agent/session/session.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { systemRandom } from '#proto/base/random.ts';
import { assignments } from '#proto/convert/assignments.ts';
import type { AgentMessage, ManagerMessage } from '#proto/gen/shoal.ts';
import { decode, encode, type Input } from '#proto/rpc/codec.ts';
import type { CallOpts, Client, RpcDialer } from '#proto/rpc/types.ts';
import type { Assigned, AssignmentDiff } from '#proto/types/assignments.ts';
import type { NodeId, TaskId } from '#proto/types/ids.ts';
import type { TaskStatus } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { descriptionOf, statusOf } from '../../../support/cluster.ts';
import { settle, VirtualClock } from '../../../support/virtual-clock.ts';

const PERIOD_MS = 5_000;

/** One session as the manager sees it. */
class Line {
  readonly addr: string;
  readonly heard: AgentMessage[] = [];
  ended = false;
  #say: (next: Input<ManagerMessage> | Error | undefined) => void = () => undefined;
  readonly #said: (Input<ManagerMessage> | Error | undefined)[] = [];

  constructor(addr: string) {
    this.addr = addr;
  }

  /** A message to the agent; a failure, or undefined for a good end, ends the session. */
  say(next: Input<ManagerMessage> | Error | undefined): void {
    this.#said.push(next);
    this.#say(next);
  }

  welcome(diff: Partial<AssignmentDiff> = { complete: true }): void {
    this.say({ welcome: { sessionId: 's', heartbeatPeriodMs: PERIOD_MS } });
    this.assign(diff);
  }

  assign(diff: Partial<AssignmentDiff>, more = false): void {
    this.say({ assignments: assignments.toWire({ ...BLANK, ...diff }), more });
  }

  async *session(
    requests: AsyncIterable<Input<AgentMessage>>,
    opts: CallOpts = {},
  ): AsyncGenerator<ManagerMessage> {
    void this.#listen(requests);
    try {
      for (;;) {
        while (this.#said.length === 0) await this.#next(opts.signal as AbortSignal);
        const next = this.#said.shift();
        if (next === undefined) return;
        if (next instanceof Error) throw next;
        yield decode('ManagerMessage', encode('ManagerMessage', next));
      }
    } finally {
      this.ended = true;
    }
  }

  #next(signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#say = resolve;
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  }

  async #listen(requests: AsyncIterable<Input<AgentMessage>>): Promise<void> {
    try {
      for await (const message of requests)
        this.heard.push(decode('AgentMessage', encode('AgentMessage', message)));
    } catch {
      // The session has ended.
    }
  }

  /** Everything heard, by kind. */
  kinds(): string[] {
    return this.heard.map((message) => Object.keys(message).find((key) => message[key as never]) ?? '');
  }
}

const BLANK: AssignmentDiff = {
  complete: false,
  appliesTo: 0,
  version: 1,
  putTasks: [],
  removeTasks: [],
  putRevisions: [],
  removeRevisions: [],
  putPeers: [],
  removePeers: [],
  putNetworks: [],
  removeNetworks: [],
  putServices: [],
  removeServices: [],
  putEndpoints: [],
  removeEndpoints: [],
};

interface Scene extends AsyncDisposable {
  readonly session: Session;
  readonly clock: VirtualClock;
  readonly managers: Managers;
  readonly lines: Line[];
  readonly assigned: Assigned[];
  readonly news: ClusterNews[];
  /** The latest session, which is waited for. */
  line(): Promise<Line>;
}

interface SceneOpts {
  readonly managers?: readonly string[];
  readonly local?: () => string | undefined;
  readonly statuses?: () => [TaskId, TaskStatus][];
}

async function scene(opts: SceneOpts = {}): Promise<Scene> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-test-session-'));
  const managers = await Managers.open(dir, { random: systemRandom, log: nullLog });
  await managers.learn((opts.managers ?? ['m1:1', 'm2:1']).map((addr) => ({ addr })));
  const clock = new VirtualClock();
  const lines: Line[] = [];
  const assigned: Assigned[] = [];
  const news: ClusterNews[] = [];
  const dialer: RpcDialer = {
    client: (_service, addr) => {
      const line = new Line(addr);
      lines.push(line);
      return line as unknown as Client<never>;
    },
  };
  const session = new Session(descriptionOf('n1'), {
    dialer,
    managers,
    clock,
    random: { next: () => 0.5, bytes: systemRandom.bytes },
    log: nullLog,
    consumer: { onAssigned: (next) => void assigned.push(next) },
    statuses: opts.statuses ?? (() => []),
    onCluster: (next) => void news.push(next),
    localAddr: opts.local ?? (() => undefined),
  });
  return {
    session,
    clock,
    managers,
    lines,
    assigned,
    news,
    async line() {
      while (lines.length === 0 || lines.at(-1)?.ended) await clock.advance(50);
      await settle();
      return lines.at(-1) as Line;
    },
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}

const TASK = 't1' as TaskId;

test('hello comes first, with what the node is; a change of that is told', async (t) => {
  await using at = await scene();
  const line = await at.line();
  t.deepEqual(line.kinds(), ['hello']);
  t.is(line.heard[0]?.hello?.description?.hostname, 'n1');
  line.welcome();
  at.session.describe(descriptionOf('n1'));
  at.session.describe(descriptionOf('renamed'));
  await settle();
  t.deepEqual(line.kinds(), ['hello', 'hello']);
  t.is(line.heard[1]?.hello?.description?.hostname, 'renamed');
});

test('heartbeats come as often as the manager asks', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.welcome();
  await settle();
  await at.clock.advance(3 * PERIOD_MS);
  t.deepEqual(line.kinds(), ['hello', 'heartbeat', 'heartbeat', 'heartbeat']);
});

test('assignments are handed on whole: parts only when the last is there', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.say({ welcome: { sessionId: 's', heartbeatPeriodMs: PERIOD_MS } });
  line.assign({ complete: true, version: 7, removePeers: [] }, true);
  await settle();
  t.is(at.assigned.length, 0);
  line.assign({
    appliesTo: 7,
    version: 7,
    self: { nodeId: 'n1' as NodeId, meshPool: '', meshIndex: 3, dataPathPort: 1 },
  });
  await settle();
  t.deepEqual(
    at.assigned.map(({ version, self }) => [version, self.meshIndex]),
    [[7, 3]],
  );
  line.assign({ appliesTo: 7, version: 9 });
  await settle();
  t.is(at.session.assigned().version, 9);
});

test('a gap in the assignments ends the session, and another begins with all of them', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.welcome({ complete: true, version: 7 });
  line.assign({ appliesTo: 8, version: 9 });
  await settle();
  t.true(line.ended);
  const next = await at.line();
  t.not(next.addr, line.addr);
  next.welcome({ complete: true, version: 9 });
  await settle();
  t.deepEqual(
    at.assigned.map(({ version }) => version),
    [7, 9],
  );
});

test('a manager that is behind is left for another; only one that stays behind is believed', async (t) => {
  await using at = await scene();
  const first = await at.line();
  first.welcome({ complete: true, version: 100 });
  await settle();
  first.say(new ShoalError('UNAVAILABLE', 'stopping'));
  await settle();
  const behind = await at.line();
  behind.welcome({ complete: true, version: 90 });
  await settle();
  t.true(behind.ended);
  t.is(at.session.assigned().version, 100);
  await at.clock.advance(30_000);
  const still = await at.line();
  still.welcome({ complete: true, version: 91 });
  await settle();
  t.is(at.session.assigned().version, 91);
});

test('the next manager hears what the node has been told, and goes on from there', async (t) => {
  await using at = await scene();
  const line = await at.line();
  t.falsy(line.heard[0]?.hello?.known);
  line.welcome({ complete: true, version: 7 });
  await settle();
  line.say(new ShoalError('UNAVAILABLE', 'stopping'));
  await settle();
  const next = await at.line();
  t.is(next.heard[0]?.hello?.known?.version, 7);
  next.welcome({ appliesTo: 7, version: 8 });
  await settle();
  t.is(at.session.assigned().version, 8);
});

test('a cluster that was forced anew is believed at once, however far back it begins', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.say({ welcome: { sessionId: 's', heartbeatPeriodMs: PERIOD_MS, epoch: 1 } });
  line.assign({ complete: true, version: 100 });
  await settle();
  line.say(new ShoalError('UNAVAILABLE', 'stopping'));
  await settle();
  const anew = await at.line();
  anew.say({ welcome: { sessionId: 's', heartbeatPeriodMs: PERIOD_MS, epoch: 2 } });
  anew.assign({ complete: true, version: 60 });
  await settle();
  t.is(at.session.assigned().version, 60);
});

test('where nothing of the network is different, the data plane is ready for that version too', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.welcome({ complete: true, version: 7 });
  await settle();
  line.assign({ appliesTo: 7, version: 8 });
  await settle();
  at.session.networkReady(8);
  line.assign({ appliesTo: 8, version: 9, removeTasks: [TASK] });
  await settle();
  at.session.describe(descriptionOf('again'));
  await settle();
  t.is(line.heard.findLast(({ networkReady }) => networkReady)?.networkReady?.version, 9);
});

test('reports are kept until they are stored, and said again to the next manager', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.welcome();
  at.session.report(TASK, statusOf(TaskState.Running));
  await settle();
  const sent = line.heard.at(-1)?.reports;
  t.deepEqual(
    sent?.reports.map(({ taskId, status }) => [taskId, status?.state]),
    [[TASK, TaskState.Running]],
  );
  line.say(new ShoalError('UNAVAILABLE', 'gone'));
  await settle();
  const next = await at.line();
  next.welcome();
  await settle();
  const again = next.heard.at(-1)?.reports;
  t.is(again?.reports[0]?.status?.state, TaskState.Running);
  next.say({ reportsStored: { serial: again?.serial ?? 0 } });
  await settle();
  at.session.report(TASK, statusOf(TaskState.Failed));
  await settle();
  t.is(next.heard.at(-1)?.reports?.reports[0]?.status?.state, TaskState.Failed);
});

test('every manager that takes the node in hears what the node knows of its tasks', async (t) => {
  await using at = await scene({ statuses: () => [[TASK, statusOf(TaskState.Running)]] });
  const line = await at.line();
  t.deepEqual(line.kinds(), ['hello']);
  line.welcome();
  await settle();
  t.is(line.heard.at(-1)?.reports?.reports[0]?.taskId, TASK);
});

test("the data plane's version is told when it grows", async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.welcome({ complete: true, version: 7 });
  await settle();
  at.session.networkReady(7);
  at.session.networkReady(6);
  await settle();
  t.deepEqual(
    line.heard.flatMap(({ networkReady }) => (networkReady ? [networkReady.version] : [])),
    [7],
  );
});

test('a manager that does not answer is left; ever longer waits, up to eight seconds', async (t) => {
  await using at = await scene({ managers: ['m1:1'] });
  const starts: number[] = [];
  for (let i = 0; i < 10; i++) {
    const line = await at.line();
    starts.push(at.clock.monotonicMs());
    line.say(new ShoalError('UNAVAILABLE', 'no'));
    await settle();
  }
  const waits = starts.slice(1).map((ms, i) => ms - (starts[i] as number));
  t.true(
    waits.every((ms) => ms <= 8_000),
    `${waits}`,
  );
  t.true((waits.at(-1) ?? 0) > 4_000 && (waits[0] ?? 0) <= 100, `${waits}`);
  const silent = await at.line();
  await at.clock.advance(10_000);
  t.true(silent.ended);
  t.regex(at.session.status().error ?? '', /did not answer/);
});

test('a manager that served for a while and is lost is replaced at once by another', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.welcome();
  await settle();
  await at.clock.advance(60_000);
  t.deepEqual(at.session.status(), { manager: line.addr });
  line.say(new ShoalError('UNAVAILABLE', 'gone'));
  await settle();
  const lostMs = at.clock.monotonicMs();
  const next = await at.line();
  t.not(next.addr, line.addr);
  t.true(at.clock.monotonicMs() - lostMs <= 100);
});

test('the manager on this very node is preferred, unless it is the one just left', async (t) => {
  await using at = await scene({ local: () => '127.0.0.1:9' });
  const line = await at.line();
  t.is(line.addr, '127.0.0.1:9');
  line.say(new ShoalError('UNAVAILABLE', 'not yet'));
  await settle();
  t.not((await at.line()).addr, '127.0.0.1:9');
});

test('what the managers say of themselves is learned, and handed on', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.welcome();
  const managers = [{ nodeId: 'm9', addr: 'm9:1' }];
  line.say({ cluster: { managers, role: 'manager', rootCertificates: 'PEM' } });
  await settle();
  t.deepEqual(at.managers.all(), [{ nodeId: 'm9' as NodeId, addr: 'm9:1' }]);
  t.is(at.news[0]?.role, 'manager');
  t.is(at.news[0]?.roots, 'PEM');
});

test('goodbye comes last, after what was reported has been stored, and there is no further session', async (t) => {
  await using at = await scene();
  const line = await at.line();
  line.welcome();
  await settle();
  at.session.report(TASK, statusOf(TaskState.Shutdown));
  await settle();
  const left = at.session.goodbye('the machine is going down');
  await settle();
  t.is(line.kinds().at(-1), 'reports');
  line.say({ reportsStored: { serial: line.heard.at(-1)?.reports?.serial ?? 0 } });
  await settle();
  t.is(line.heard.at(-1)?.goodbye?.reason, 'the machine is going down');
  line.say(undefined);
  await left;
  await at.clock.advance(60_000);
  t.is(at.lines.length, 1);
});

test('goodbye does not wait for ever', async (t) => {
  await using at = await scene();
  const line = await at.line();
  const left = at.session.goodbye('bye');
  await at.clock.advance(2_000);
  await left;
  t.true(line.ended);
});
