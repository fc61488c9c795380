import { getEventListeners } from 'node:events';
import test from 'ava';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { HeldIdentity } from '#proto/rpc/identity.ts';
import type { Line } from '#proto/rpc/line.ts';
import { lineDialer, listenLines } from '#proto/rpc/lines.ts';
import type { IdentitySource } from '#proto/rpc/types.ts';
import { type TestCa, type TestNode, testCa } from '../../../support/certificates.ts';
import { VirtualClock } from '../../../support/virtual-clock.ts';

/** What one end of a line was told, for whoever waits for it. */
class Heard {
  readonly frames: Buffer[] = [];
  readonly ended = Promise.withResolvers<Error | undefined>();
  drains = 0;
  #changed = Promise.withResolvers<void>();

  readonly events = {
    frame: (content: Buffer): void => {
      this.frames.push(Buffer.from(content));
      this.#tell();
    },
    drained: (): void => {
      this.drains += 1;
      this.#tell();
    },
    ended: (error?: Error): void => this.ended.resolve(error),
  };

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }

  #tell(): void {
    const changed = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    changed.resolve();
  }
}

interface Wire extends AsyncDisposable {
  readonly addr: string;
  /** Lines that arrived, and what was heard on each. */
  readonly arrived: { readonly line: Line; readonly heard: Heard }[];
  dial(identity: IdentitySource, heard?: Heard, signal?: AbortSignal): Promise<Line>;
}

let ca: TestCa;
let manager: TestNode;
let worker: TestNode;
test.before(async () => {
  ca = await testCa();
  manager = await ca.node('manager');
  worker = await ca.node('worker');
});

const never = new AbortController().signal;

async function wire(
  node: TestNode = manager,
  clock: Pick<VirtualClock, 'timer'> = systemClock,
): Promise<Wire> {
  const modules = { identity: node.identity, clock, log: nullLog };
  const server = await listenLines({ host: '127.0.0.1', port: 0 }, modules);
  const arrived: Wire['arrived'] = [];
  server.accept((line) => {
    const heard = new Heard();
    arrived.push({ line, heard });
    return heard.events;
  });
  const addr = `127.0.0.1:${server.port}`;
  return {
    addr,
    arrived,
    dial: (identity, heard = new Heard(), signal = never) =>
      lineDialer({ identity, clock }).dial(addr, 'manager', heard.events, signal),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A line on which the other end was heard, and that other end. */
async function talk(net: Wire, heard = new Heard()) {
  const line = await net.dial(manager.identity, heard);
  line.send(Buffer.from('hello'));
  while (net.arrived.length === 0 || net.arrived[0]?.heard.frames.length === 0) await systemClock.sleep(1);
  return { line, heard, there: net.arrived[0] as Wire['arrived'][number] };
}

test('frames pass both ways in order, and each end knows by the certificate who is at the other', async (t) => {
  await using net = await wire();
  const { line, heard, there } = await talk(net);
  t.is(line.peer.nodeId, manager.nodeId);
  t.deepEqual(there.line.peer, { nodeId: manager.nodeId, role: 'manager', clusterId: manager.clusterId });
  for (let count = 0; count < 100; count += 1) there.line.send(Buffer.alloc(count * 500, count));
  line.send(Buffer.from('answer me'));
  await heard.until(() => heard.frames.length === 99);
  t.true(heard.frames.every((frame, at) => frame.length === (at + 1) * 500 && frame[0] === at + 1));
});

test('a worker is not listened to', async (t) => {
  await using net = await wire();
  const heard = new Heard();
  await net.dial(worker.identity, heard).catch((error: Error) => heard.events.ended(error));
  await heard.ended.promise;
  t.deepEqual(net.arrived, []);
});

test('a manager of another swarm is not listened to, nor spoken to', async (t) => {
  await using net = await wire();
  const stranger = await (await testCa()).node('manager');
  await t.throwsAsync(net.dial(stranger.identity));
  const sameRoot = new HeldIdentity({ ...stranger.identity.current(), roots: ca.root.certificate });
  await t.throwsAsync(net.dial(sameRoot), { message: /another swarm/ });
  t.deepEqual(net.arrived, []);
});

test('who expects a manager and finds a worker says nothing', async (t) => {
  await using net = await wire(worker);
  await t.throwsAsync(net.dial(manager.identity), { message: /expected a manager/ });
});

test('lines that nobody takes are closed', async (t) => {
  const modules = { identity: manager.identity, clock: systemClock, log: nullLog };
  await using server = await listenLines({ host: '127.0.0.1', port: 0 }, modules);
  const heard = new Heard();
  const addr = `127.0.0.1:${server.port}`;
  await lineDialer(modules).dial(addr, 'manager', heard.events, never);
  t.is(await heard.ended.promise.then(() => 'closed'), 'closed');
});

test('what was sent before the end arrives, and both ends are told once', async (t) => {
  await using net = await wire();
  const { line, heard, there } = await talk(net);
  line.send(Buffer.alloc(3_000_000, 7));
  line.end();
  await Promise.all([there.heard.ended.promise, heard.ended.promise]);
  t.is(there.heard.frames.at(-1)?.length, 3_000_000);
});

test('the signal breaks a line, also one that is being opened', async (t) => {
  await using net = await wire();
  const stop = new AbortController();
  const heard = new Heard();
  const line = await net.dial(manager.identity, heard, stop.signal);
  const opening = net.dial(manager.identity, new Heard(), stop.signal);
  stop.abort(new Error('enough'));
  await t.throwsAsync(opening, { message: 'enough' });
  await heard.ended.promise;
  line.send(Buffer.from('nobody hears this, and it does no harm'));
});

test('lines that ended leave nothing behind on the signal', async (t) => {
  await using net = await wire();
  const stop = new AbortController();
  const [ended, refused] = [new Heard(), new Heard()];
  const line = await net.dial(manager.identity, ended, stop.signal);
  line.end();
  await ended.ended.promise;
  const nobody = lineDialer({ identity: manager.identity, clock: systemClock });
  await t.throwsAsync(nobody.dial('127.0.0.1:1', 'manager', refused.events, stop.signal));
  while (getEventListeners(stop.signal, 'abort').length > 0) await systemClock.sleep(1);
  t.pass();
});

test('a line tells when what it was given has left', async (t) => {
  await using net = await wire();
  const { line, heard } = await talk(net);
  line.send(Buffer.alloc(4_000_000));
  t.true(line.unsentBytes > 0);
  await heard.until(() => heard.drains > 0);
  t.is(line.unsentBytes, 0);
});

test('what a listener throws breaks the line', async (t) => {
  await using net = await wire();
  const heard = new Heard();
  const events = {
    ...heard.events,
    frame: () => {
      throw new Error('not for me');
    },
  };
  const modules = { identity: manager.identity, clock: systemClock };
  await lineDialer(modules).dial(net.addr, 'manager', events, never);
  while (net.arrived.length === 0) await systemClock.sleep(1);
  net.arrived[0]?.line.send(Buffer.from('x'));
  t.is((await heard.ended.promise)?.message, 'not for me');
});

test('a new certificate is shown on new lines, and old ones go on', async (t) => {
  const renewed = await ca.node('manager');
  const held = new HeldIdentity(manager.identity.current());
  await using net = await wire({ ...manager, identity: held });
  const { line, there } = await talk(net);
  held.set(renewed.identity.current());
  t.is((await net.dial(manager.identity)).peer.nodeId, renewed.nodeId);
  line.send(Buffer.from('still here'));
  await there.heard.until(() => there.heard.frames.length === 2);
});

test('an end that says nothing for long is taken for gone', async (t) => {
  const clock = new VirtualClock();
  await using net = await wire(manager, clock);
  const modules = { identity: manager.identity, clock: { timer: () => () => undefined } };
  const heard = new Heard();
  await lineDialer(modules).dial(net.addr, 'manager', heard.events, never);
  while (net.arrived.length === 0) await systemClock.sleep(1);
  await clock.advance(60_000);
  const error = await net.arrived[0]?.heard.ended.promise;
  t.is(error?.message, 'nothing was heard for too long');
  await heard.ended.promise;
});

test('a port that is taken is said to be', async (t) => {
  const modules = { identity: manager.identity, clock: systemClock, log: nullLog };
  await using server = await listenLines({ host: '127.0.0.1', port: 0 }, modules);
  const error = await t.throwsAsync(listenLines({ host: '127.0.0.1', port: server.port }, modules));
  t.regex(error?.message ?? '', /^can't listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
});
