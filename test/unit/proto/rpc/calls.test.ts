import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '#proto/base/clock.ts';
import { type FailureCode, ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import { nullLog } from '#proto/base/log.ts';
import { openDialer } from '#proto/rpc/client.ts';
import { listenRpc } from '#proto/rpc/server.ts';
import type { Client, Implementation, RpcServer } from '#proto/rpc/types.ts';
import { type TestNode, testCa } from '../../../support/certificates.ts';

interface Wire extends AsyncDisposable {
  readonly server: RpcServer;
  readonly addr: string;
  readonly node: TestNode;
  readonly dispatcher: Client<'Dispatcher'>;
  readonly content: Client<'Content'>;
  readonly control: Client<'Control'>;
}

async function wire(): Promise<Wire> {
  const node = await (await testCa()).node('manager');
  await using stack = new AsyncDisposableStack();
  const modules = { identity: node.identity, clock: systemClock, log: nullLog };
  const server = stack.use(await listenRpc({ host: '127.0.0.1', port: 0, stopGraceMs: 100 }, modules));
  const addr = `127.0.0.1:${server.port}`;
  const dialer = stack.use(openDialer({}, modules));
  const stop = stack.move();
  return {
    server,
    addr,
    node,
    dispatcher: dialer.client('Dispatcher', addr, 'manager'),
    content: dialer.client('Content', addr, 'node'),
    control: dialer.client('Control', addr, 'manager'),
    [Symbol.asyncDispose]: () => stop.disposeAsync(),
  };
}

/** Content whose `read` is given; the rest is not asked for. */
function contentOf(read: Implementation<'Content'>['read']): Implementation<'Content'> {
  return { read, resolve: async () => ({}), have: async () => ({}), turn: async () => ({}) };
}

function controlOf(call: Implementation<'Control'>['call']): Implementation<'Control'> {
  return { call, readIndex: async () => ({}) };
}

async function fails(
  t: ExecutionContext,
  run: Promise<unknown>,
  code: FailureCode,
  message = /./,
): Promise<void> {
  const error = await t.throwsAsync<ShoalError>(run);
  t.is(error?.code, code, error?.message);
  t.regex(error?.message ?? '', message);
}

/** What comes and goes on the same connection meanwhile: time for whoever would run ahead to do so. */
async function roundTrips({ server, control }: Wire): Promise<void> {
  server.add(
    'Control',
    'manager',
    controlOf(async () => ({})),
  );
  for (let i = 0; i < 50; i++) await control.call({});
}

/** Names as they come; `all` resolves when there are so many. */
function gathering(count: number) {
  const names: string[] = [];
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const add = (name: string): void => {
    if (names.push(name) === count) resolve();
  };
  return { names, all, add };
}

/** A source of one message that then stays open until told. */
async function* heldOpen(until: Promise<void>): AsyncGenerator<object> {
  yield { heartbeat: {} };
  await until;
}

test('answers: a stream arrives whole and in order, and its end is an end', async (t) => {
  await using net = await wire();
  net.server.add(
    'Content',
    'node',
    contentOf(async function* (request) {
      for (let i = 0; i < 300; i++) yield { data: Buffer.from(`${request.digest}${i}`) };
    }),
  );
  const chunks = await Array.fromAsync(net.content.read({ digest: 'd' }), (chunk) => chunk.data.toString());
  t.deepEqual(
    chunks,
    Array.from({ length: 300 }, (_, i) => `d${i}`),
  );
});

test('answers: a failure in the middle arrives after what was sent before it', async (t) => {
  await using net = await wire();
  net.server.add(
    'Content',
    'node',
    contentOf(async function* () {
      yield { data: Buffer.from('a') };
      throw new ShoalError('NOT_FOUND', 'no such blob: x');
    }),
  );
  const got: number[] = [];
  const read = async (): Promise<void> => {
    for await (const { data } of net.content.read({})) got.push(data.length);
  };
  await fails(t, read(), 'NOT_FOUND', /^no such blob: x$/);
  t.deepEqual(got, [1]);
});

test('answers: the server sends no more than the reader takes', async (t) => {
  await using net = await wire();
  let sent = 0;
  const ended = Promise.withResolvers<void>();
  net.server.add(
    'Content',
    'node',
    contentOf(async function* () {
      try {
        for (; sent < 4_000; sent++) yield { data: Buffer.alloc(64 * 1024) };
      } finally {
        ended.resolve();
      }
    }),
  );
  const reader = net.content.read({})[Symbol.asyncIterator]();
  await reader.next();
  await roundTrips(net);
  t.true(sent < 400, `${sent} of 4000 messages of 64 KiB were taken from a reader that took one`);
  await reader.return?.();
  await ended.promise;
});

test('answers: a reader that stops early ends the call at the server', async (t) => {
  await using net = await wire();
  const ended = Promise.withResolvers<unknown>();
  net.server.add(
    'Content',
    'node',
    contentOf(async function* (_request, call) {
      call.signal.addEventListener('abort', () => ended.resolve(call.signal.aborted));
      yield { data: Buffer.from('a') };
      await ended.promise;
    }),
  );
  for await (const { data } of net.content.read({})) {
    t.is(data.length, 1);
    break;
  }
  t.true(await ended.promise);
});

test('both ways: requests are taken in order, no faster than they are read', async (t) => {
  await using net = await wire();
  const seen: number[] = [];
  let made = 0;
  const [called, begin] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const reads: Implementation<'Dispatcher'> = {
    async *session(requests) {
      called.resolve();
      await begin.promise;
      for await (const { reports } of requests) seen.push(reports?.serial ?? -1);
      yield {};
    },
  };
  net.server.add('Dispatcher', 'node', reads);
  const source = async function* (): AsyncGenerator<object> {
    for (; made < 2_000; made++)
      yield { reports: { serial: made, reports: [{ taskId: 'x'.repeat(16 * 1024) }] } };
  };
  const answers = Array.fromAsync(net.dispatcher.session(source()));
  await called.promise;
  await roundTrips(net);
  t.true(made < 400, `${made} messages of 16 KiB were sent to a server that read none`);
  begin.resolve();
  t.is((await answers).length, 1);
  t.deepEqual(
    seen,
    Array.from({ length: 2_000 }, (_, i) => i),
  );
});

test('both ways: when the source of the requests fails, the call fails with that', async (t) => {
  await using net = await wire();
  const reads: Implementation<'Dispatcher'> = {
    async *session(requests) {
      for await (const _ of requests) yield {};
    },
  };
  net.server.add('Dispatcher', 'node', reads);
  const source = async function* (): AsyncGenerator<object> {
    yield {};
    throw new ShoalError('NOT_FOUND', 'the log is gone');
  };
  const session = Array.fromAsync(net.dispatcher.session(source()));
  await fails(t, session, 'NOT_FOUND', /^the log is gone$/);
});

test('both ways: a server that ends before the requests do releases their source', async (t) => {
  await using net = await wire();
  const ends: Implementation<'Dispatcher'> = {
    async *session() {
      yield {};
    },
  };
  net.server.add('Dispatcher', 'node', ends);
  const never = Promise.withResolvers<void>();
  t.is((await Array.fromAsync(net.dispatcher.session(heldOpen(never.promise)))).length, 1);
  never.resolve();
});

test('both ways: each direction goes on when the other has ended', async (t) => {
  await using net = await wire();
  const answers: Implementation<'Dispatcher'> = {
    async *session(requests) {
      let count = 0;
      for await (const { heartbeat } of requests) count += heartbeat ? 1 : 0;
      for (let i = 0; i < 3; i++) yield { reportsStored: { serial: count + i } };
    },
  };
  net.server.add('Dispatcher', 'node', answers);
  const beats = async function* (): AsyncGenerator<object> {
    for (let i = 0; i < 40; i++) yield { heartbeat: {} };
  };
  const serials = await Array.fromAsync(net.dispatcher.session(beats()), (m) => m.reportsStored?.serial);
  t.deepEqual(serials, [40, 41, 42]);
});

test('both ways: a failure of the server reaches a caller that is still sending', async (t) => {
  await using net = await wire();
  const refuses: Implementation<'Dispatcher'> = {
    async *session(requests) {
      for await (const { heartbeat } of requests) {
        if (heartbeat) throw new ShoalError('OUT_OF_SEQUENCE', 'too late');
        yield {};
      }
    },
  };
  net.server.add('Dispatcher', 'node', refuses);
  const never = Promise.withResolvers<void>();
  const session = Array.fromAsync(net.dispatcher.session(heldOpen(never.promise)));
  await fails(t, session, 'OUT_OF_SEQUENCE', /^too late$/);
  never.resolve();
});

test("ending: the caller's signal ends a call of every shape, at both ends", async (t) => {
  await using net = await wire();
  const [started, gone] = [gathering(3), gathering(3)];
  const wait = (name: string, signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      started.add(name);
      signal.addEventListener('abort', () => {
        gone.add(name);
        reject(signal.reason);
      });
    });
  net.server.add(
    'Control',
    'manager',
    controlOf((_request, call) => wait('one', call.signal)),
  );
  net.server.add(
    'Content',
    'node',
    contentOf(async function* (_request, call) {
      yield await wait('answers', call.signal);
    }),
  );
  const both: Implementation<'Dispatcher'> = {
    async *session(_requests, call) {
      yield await wait('both', call.signal);
    },
  };
  net.server.add('Dispatcher', 'node', both);
  const stop = new AbortController();
  const never = Promise.withResolvers<void>();
  const calls = [
    net.control.call({}, stop),
    Array.fromAsync(net.content.read({}, stop)),
    Array.fromAsync(net.dispatcher.session(heldOpen(never.promise), stop)),
  ];
  await started.all;
  stop.abort(new Error('enough'));
  for (const call of calls) await fails(t, call, 'CANCELLED', /enough/);
  await gone.all;
  t.deepEqual(gone.names.toSorted(), ['answers', 'both', 'one']);
  never.resolve();
});

test('ending: an aborted signal keeps a call from being made', async (t) => {
  await using net = await wire();
  let calls = 0;
  net.server.add(
    'Control',
    'manager',
    controlOf(async () => ({ status: ++calls })),
  );
  await fails(t, net.control.call({}, { signal: AbortSignal.abort(new Error('no')) }), 'CANCELLED', /no/);
  await net.control.call({});
  t.is(calls, 1);
});

test('ending: a call that takes longer than it may is DEADLINE_EXCEEDED, and ends at the server', async (t) => {
  await using net = await wire();
  const ended = Promise.withResolvers<void>();
  let started = false;
  const waits: Implementation<'Control'>['call'] = async (_request, call) => {
    started = true;
    call.signal.addEventListener('abort', () => ended.resolve());
    await ended.promise;
    return {};
  };
  net.server.add('Control', 'manager', controlOf(waits));
  while (!started) await fails(t, net.control.call({}, { timeoutMs: 50 }), 'DEADLINE_EXCEEDED');
  await ended.promise;
});

test('ending: taking a service away ends its calls with UNAVAILABLE, and no others', async (t) => {
  await using net = await wire();
  const started = Promise.withResolvers<void>();
  const never = Promise.withResolvers<void>();
  net.server.add(
    'Control',
    'manager',
    controlOf(async () => ({ status: 1 })),
  );
  net.server.add('Dispatcher', 'node', {
    session: async function* () {
      yield {};
      started.resolve();
      await never.promise;
    },
  });
  const session = Array.fromAsync(net.dispatcher.session(heldOpen(never.promise)));
  await started.promise;
  net.server.remove('Dispatcher');
  await fails(t, session, 'UNAVAILABLE', /does not offer Dispatcher/);
  t.is((await net.control.call({})).status, 1);
  never.resolve();
});

test('ending: a server that stops ends every call, and its port is free at once', async (t) => {
  const net = await wire();
  const never = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const waits: Implementation<'Control'>['call'] = async () => {
    started.resolve();
    await never.promise;
    return {};
  };
  net.server.add('Control', 'manager', controlOf(waits));
  const call = net.control.call({});
  await started.promise;
  const failed = fails(t, call, 'UNAVAILABLE');
  await net.server[Symbol.asyncDispose]();
  await failed;
  const again = { identity: net.node.identity, clock: systemClock, log: nullLog };
  const next = await listenRpc({ host: '127.0.0.1', port: net.server.port }, again);
  await next[Symbol.asyncDispose]();
  await net[Symbol.asyncDispose]();
  never.resolve();
});

test('ending: a dialer that is closed ends its calls', async (t) => {
  await using net = await wire();
  const started = Promise.withResolvers<void>();
  const never = Promise.withResolvers<void>();
  const waits: Implementation<'Control'>['call'] = async () => {
    started.resolve();
    await never.promise;
    return {};
  };
  net.server.add('Control', 'manager', controlOf(waits));
  const dialer = openDialer({}, { identity: net.node.identity });
  const call = dialer.client('Control', net.addr, 'manager').call({});
  await started.promise;
  const failed = fails(t, call, 'CANCELLED', /stopping/);
  await dialer[Symbol.asyncDispose]();
  await failed;
  never.resolve();
});

test('limits: a message above the bound is refused, and the connection goes on', async (t) => {
  await using net = await wire();
  net.server.add(
    'Control',
    'manager',
    controlOf(async ({ body }) => ({ status: body.length })),
  );
  const call = net.control.call({ body: Buffer.alloc(LIMITS.grpcMessageBytesMax + 1) });
  await fails(t, call, 'RESOURCE_EXHAUSTED');
  t.is((await net.control.call({ body: Buffer.alloc(1_000_000) })).status, 1_000_000);
});

test('limits: what a handler throws by mistake is INTERNAL and stays here', async (t) => {
  await using net = await wire();
  const breaks: Implementation<'Control'>['call'] = async () => {
    throw new TypeError('secret of the server');
  };
  net.server.add('Control', 'manager', controlOf(breaks));
  await fails(t, net.control.call({}), 'INTERNAL', /^internal error$/);
});

test('listening: a port that is taken is UNAVAILABLE and says which', async (t) => {
  await using net = await wire();
  const modules = { identity: net.node.identity, clock: systemClock, log: nullLog };
  await fails(
    t,
    listenRpc({ host: '127.0.0.1', port: net.server.port }, modules),
    'UNAVAILABLE',
    new RegExp(net.addr),
  );
});

test('threads: a worker thread calls with an identity it was sent', async (t) => {
  await using net = await wire();
  net.server.add(
    'Control',
    'manager',
    controlOf(async ({ target }) => ({ headers: { target } })),
  );
  const worker = new Worker(
    `const { workerData, parentPort } = require('node:worker_threads');
     (async () => {
       const { openDialer } = await import(workerData.client);
       const { HeldIdentity } = await import(workerData.identity);
       await using dialer = openDialer({}, { identity: new HeldIdentity(workerData.own) });
       const reply = await dialer.client('Control', workerData.addr, 'manager').call({ target: 'from a thread' });
       parentPort.postMessage(reply.headers.target);
     })();`,
    {
      eval: true,
      workerData: {
        client: import.meta.resolve('#proto/rpc/client.ts'),
        identity: import.meta.resolve('#proto/rpc/identity.ts'),
        own: net.node.identity.current(),
        addr: net.addr,
      },
    },
  );
  const said = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  t.is(said, 'from a thread');
  await worker.terminate();
});
