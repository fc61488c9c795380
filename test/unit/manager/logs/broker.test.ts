import test from 'ava';
import { LogBroker, type LogPiece } from '#manager/logs/broker.ts';
import { framed } from '#manager/logs/frames.ts';
import { type LogOpts, nanoseconds } from '#manager/logs/records.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { ServiceId, TaskId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { nodeReady, nodeState, placeTask, service, taskStatusIs } from '#test/support/cluster.ts';
import { openTestStoreWith, type TestStore } from '#test/support/local-log.ts';
import { settle } from '#test/support/virtual-clock.ts';

const WEB = 'web' as ServiceId;
const ALL: LogOpts = { stdout: true, stderr: true, follow: false };
const FOLLOW = { ...ALL, follow: true };

interface Record_ {
  readonly at: string;
  readonly text: string;
  readonly stderr?: boolean;
}
interface Request {
  readonly addr: string;
  readonly taskId: string;
  readonly sinceNs: string;
  readonly untilNs: string;
  readonly tail: number;
  readonly follow: boolean;
}
/** What a node answers: batches, in the end a failure, or silence. */
type Script = (request: Request, signal: AbortSignal) => AsyncIterable<readonly Record_[]>;

const line = (second: number, text: string, stderr = false): Record_ => ({
  at: `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000000Z`,
  text: `${text}\n`,
  stderr,
});

/** Nodes that say what they are told to, by host:port. */
class FakeNodes implements Pick<RpcDialer, 'client'> {
  readonly requests: Request[] = [];
  readonly scripts = new Map<string, Script>();
  readonly client: RpcDialer['client'];

  constructor() {
    this.client = ((_service: string, addr: string) => ({
      read: (request: Omit<Request, 'addr'>, { signal }: { signal: AbortSignal }) =>
        this.#read({ ...request, addr }, signal),
    })) as unknown as RpcDialer['client'];
  }

  says(addr: string, ...records: readonly Record_[]): void {
    this.scripts.set(addr, async function* () {
      for (const record of records) yield [record];
    });
  }

  async *#read(request: Request, signal: AbortSignal): AsyncGenerator<unknown> {
    this.requests.push(request);
    const script = this.scripts.get(request.addr);
    if (script === undefined) throw new ShoalError('UNAVAILABLE', `${request.addr} does not answer`);
    for await (const batch of script(request, signal))
      yield {
        records: batch.map(({ at, text, stderr = false }) => ({ at, stderr, data: Buffer.from(text) })),
      };
  }
}

async function setUp(): Promise<{
  nodes: FakeNodes;
  opened: TestStore;
  broker: LogBroker;
  web1: TaskId;
  web2: TaskId;
}> {
  const opened = await openTestStoreWith([nodeReady('n1'), nodeReady('n2'), service('web')]);
  const nodes = new FakeNodes();
  const modules = { store: opened.store, dialer: nodes, clock: opened.clock, random: seededRandom(1) };
  const web1 = await placeTask(opened, { service: 'web', slot: 1, node: 'n1' });
  const web2 = await placeTask(opened, { service: 'web', slot: 2, node: 'n2' });
  for (const task of [web1, web2])
    await opened.store.update({ changes: [taskStatusIs(task, TaskState.Running)] });
  return { nodes, opened, broker: new LogBroker(modules), web1, web2 };
}

function textOf(piece: LogPiece): string {
  return 'gaps' in piece ? `gaps: ${piece.gaps.join(' | ')}` : Buffer.from(piece.data).toString().trimEnd();
}

async function allOf(pieces: AsyncIterable<LogPiece>): Promise<string[]> {
  const told: string[] = [];
  for await (const piece of pieces) told.push(textOf(piece));
  return told;
}

/** Reads in the background; what has been told so far. */
function reading(pieces: AsyncIterable<LogPiece>): { told: string[]; ended: Promise<void> } {
  const told: string[] = [];
  const ended = (async () => {
    for await (const piece of pieces) told.push(textOf(piece));
  })();
  return { told, ended };
}

test("the output of a service's tasks is told in order of time, and ends", async (t) => {
  const { nodes, broker } = await setUp();
  nodes.says('n1:2378', line(1, 'a1'), line(4, 'a2'));
  nodes.says('n2:2378', line(2, 'b1'), line(3, 'b2', true), line(5, 'b3'));
  t.deepEqual(await allOf(broker.read({ serviceId: WEB }, ALL)), ['a1', 'b1', 'b2', 'a2', 'b3']);
});

test('what is asked for is asked of the nodes', async (t) => {
  const { nodes, broker, web2 } = await setUp();
  nodes.says('n2:2378', line(1, 'b1'));
  const opts = { ...ALL, stderr: false, tail: 10, sinceNs: 5n, untilNs: 9n };
  t.deepEqual(await allOf(broker.read({ taskId: web2 }, opts)), ['b1']);
  t.like(nodes.requests, [
    { addr: 'n2:2378', taskId: web2, tail: 10, sinceNs: '5', untilNs: '9', follow: false },
  ]);
});

test('a node that does not answer, is down, or falls silent leaves a gap that is told of; the rest is told', async (t) => {
  const { nodes, broker, opened } = await setUp();
  nodes.says('n1:2378', line(1, 'a1'));
  t.deepEqual(await allOf(broker.read({ serviceId: WEB }, ALL)), [
    'a1',
    'gaps: node n2 is not available: n2:2378 does not answer',
  ]);
  await opened.store.update({ changes: [nodeState('n2', 'down')] });
  t.deepEqual(await allOf(broker.read({ serviceId: WEB }, ALL)), ['a1', 'gaps: node n2 is not available']);
  await opened.store.update({ changes: [nodeState('n2', 'ready')] });
  nodes.scripts.set('n2:2378', async function* (_request, signal) {
    yield [line(2, 'b1')];
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  const { told, ended } = reading(broker.read({ serviceId: WEB }, ALL));
  await opened.clock.advance(60_000);
  await ended;
  t.deepEqual(told, ['a1', 'b1', 'gaps: node n2 is not available: the node said nothing for 10000 ms']);
});

test('tasks that have said nothing yet, and those whose container is gone, are no gap', async (t) => {
  const { nodes, broker, opened } = await setUp();
  nodes.says('n1:2378', line(1, 'a1'));
  nodes.scripts.set('n2:2378', async function* () {
    yield* [];
    throw new ShoalError('NOT_FOUND', 'no such container');
  });
  await placeTask(opened, { service: 'web', slot: 3, node: 'n1' });
  t.deepEqual(await allOf(broker.read({ serviceId: WEB }, ALL)), ['a1']);
  t.is(nodes.requests.length, 2, 'who has not begun is not asked');
});

test('followed, tasks that come later join from their beginning, and it ends with the service', async (t) => {
  const { nodes, broker, opened, web1, web2 } = await setUp();
  nodes.says('n1:2378', line(1, 'a1'));
  nodes.says('n2:2378', line(2, 'b1'));
  const { told, ended } = reading(broker.read({ serviceId: WEB }, { ...FOLLOW, tail: 1 }));
  await opened.clock.advance(2_000);
  t.deepEqual(told, ['a1', 'b1']);
  const third = await placeTask(opened, { service: 'web', slot: 3, node: 'n1' });
  nodes.says('n1:2378', line(3, 'c1'));
  await opened.clock.advance(2_000);
  t.deepEqual(told, ['a1', 'b1'], 'it has not begun');
  await opened.store.update({ changes: [taskStatusIs(third, TaskState.Running)] });
  await opened.clock.advance(2_000);
  t.deepEqual(told, ['a1', 'b1', 'c1']);
  t.is(nodes.requests.at(-1)?.tail, -1);
  const removals = [web1, web2, third].map((id) => ({ kind: 'delete', table: 'task', id }) as const);
  await opened.store.update({ changes: [...removals, { kind: 'delete', table: 'service', id: WEB }] });
  await ended;
  t.pass();
});

test('followed, a broken connection is taken up again behind what was told', async (t) => {
  const { nodes, broker, opened, web1 } = await setUp();
  let times = 0;
  nodes.scripts.set('n1:2378', async function* () {
    times++;
    yield [line(times, `part ${times}`)];
    if (times < 3) throw new ShoalError('UNAVAILABLE', 'broken');
  });
  const { told, ended } = reading(broker.read({ taskId: web1 }, { ...FOLLOW, tail: 5 }));
  await opened.clock.advance(20_000);
  await ended;
  t.deepEqual(told, ['part 1', 'part 2', 'part 3']);
  t.deepEqual(
    nodes.requests.map(({ sinceNs, tail }) => [sinceNs, tail]),
    [
      ['', 5],
      [String(nanoseconds(line(1, '').at) + 1n), -1],
      [String(nanoseconds(line(2, '').at) + 1n), -1],
    ],
  );
});

test('followed, a node that stays away is told of in a line of its own, and tries end', async (t) => {
  const { nodes, broker, opened, web1 } = await setUp();
  const { told, ended } = reading(broker.read({ taskId: web1 }, FOLLOW));
  await opened.clock.advance(120_000);
  await ended;
  t.deepEqual(told, [
    "shoal: the output of this task can't be read: node n1 is not available: n1:2378 does not answer",
  ]);
  t.true(nodes.requests.length < 10);
});

test('a reader that leaves is left alone: nothing is asked any more', async (t) => {
  const { nodes, broker, opened } = await setUp();
  const left: string[] = [];
  for (const addr of ['n1:2378', 'n2:2378'])
    nodes.scripts.set(addr, async function* (_request, signal) {
      yield [line(1, addr)];
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      left.push(addr);
    });
  const client = new AbortController();
  const { told, ended } = reading(broker.read({ serviceId: WEB }, FOLLOW, client.signal));
  await opened.clock.advance(2_000);
  t.is(told.length, 2);
  client.abort();
  await ended;
  await settle();
  t.deepEqual(left.sort(), ['n1:2378', 'n2:2378']);
  const asked = nodes.requests.length;
  await placeTask(opened, { service: 'web', slot: 9, node: 'n1' });
  await opened.clock.advance(60_000);
  t.is(nodes.requests.length, asked);
});

test('moments are compared to the nanosecond', (t) => {
  t.is(nanoseconds('1970-01-01T00:00:01.000000002Z'), 1_000_000_002n);
  t.is(nanoseconds('1970-01-01T01:00:00.5+01:00'), 500_000_000n);
  t.is(nanoseconds('1970-01-01T00:00:01Z'), 1_000_000_000n);
  t.is(nanoseconds('soon'), 0n);
});

const record = (text: string, more: object = {}): LogPiece => ({
  taskId: 't1' as TaskId,
  serviceId: WEB,
  nodeId: 'n1' as never,
  stderr: false,
  at: '2026-01-01T00:00:00Z',
  atNs: 0n,
  data: Buffer.from(text),
  ...more,
});

async function bytesOf(pieces: readonly LogPiece[], shape: Parameters<typeof framed>[1]): Promise<Buffer> {
  const source = (async function* () {
    yield* pieces;
  })();
  const chunks: Uint8Array[] = [];
  for await (const chunk of framed(source, shape)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('pieces are framed by stream; the gaps come as an error', async (t) => {
  const shape = { multiplexed: true, timestamps: false, details: false };
  const bytes = await bytesOf(
    [record('out\n'), record('err\n', { stderr: true }), { gaps: ['a', 'b'] }],
    shape,
  );
  const gaps =
    'Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream. some logs could not be ' +
    'retrieved for the following reasons: a, b\n';
  const head = (stream: number, length: number): Buffer => Buffer.from([stream, 0, 0, 0, 0, 0, 0, length]);
  t.deepEqual(
    bytes,
    Buffer.concat([
      head(1, 4),
      Buffer.from('out\n'),
      head(2, 4),
      Buffer.from('err\n'),
      head(3, gaps.length),
      Buffer.from(gaps),
    ]),
  );
});

test('each line says when and by whom, if that is asked; the parts of one line say it once', async (t) => {
  const shape = { multiplexed: false, timestamps: true, details: true };
  const who = 'com.docker.swarm.node.id=n1,com.docker.swarm.service.id=web,com.docker.swarm.task.id=';
  const other = { taskId: 't2' as TaskId };
  const pieces = [record('half '), record('other\n', other), record('whole\n'), record('next\n')];
  t.is(
    (await bytesOf(pieces, shape)).toString(),
    `2026-01-01T00:00:00Z ${who}t1 half 2026-01-01T00:00:00Z ${who}t2 other\nwhole\n2026-01-01T00:00:00Z ${who}t1 next\n`,
  );
});
