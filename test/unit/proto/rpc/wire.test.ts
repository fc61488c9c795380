import test, { type ExecutionContext } from 'ava';
import { systemClock } from '#proto/base/clock.ts';
import { type FailureCode, ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { openDialer } from '#proto/rpc/client.ts';
import { HeldIdentity, rootsOnly } from '#proto/rpc/identity.ts';
import { listenRpc } from '#proto/rpc/server.ts';
import type { IdentitySource, Implementation, PeerIdentity, RpcDialer, RpcServer } from '#proto/rpc/types.ts';
import { type TestCa, type TestNode, testCa } from '../../../support/certificates.ts';

const DAY_MS = 24 * 3_600_000;

interface Wire extends AsyncDisposable {
  readonly server: RpcServer;
  readonly addr: string;
  /** Whom the server's one method was called by. */
  readonly seen: Seen;
  dial(identity?: IdentitySource): RpcDialer;
}

/** A server on loopback that offers Ca to anyone, Control to managers and Dispatcher to nodes. */
async function wire(node: TestNode, accepts?: (peer: PeerIdentity) => boolean): Promise<Wire> {
  await using stack = new AsyncDisposableStack();
  const modules = { identity: node.identity, clock: systemClock, log: nullLog, ...(accepts && { accepts }) };
  const server = stack.use(await listenRpc({ host: '127.0.0.1', port: 0, stopGraceMs: 100 }, modules));
  const seen: Seen = [];
  server.add('Ca', 'anyone', caOf(seen));
  server.add('Control', 'manager', controlOf(seen));
  server.add('Membership', 'node', membershipOf(seen));
  const stop = stack.move();
  return {
    server,
    seen,
    addr: `127.0.0.1:${server.port}`,
    dial: (identity) => stop.use(openDialer({}, identity === undefined ? {} : { identity })),
    [Symbol.asyncDispose]: () => stop.disposeAsync(),
  };
}

type Seen = (PeerIdentity | undefined)[];

function caOf(seen: Seen): Implementation<'Ca'> {
  return {
    async getRootCa(_request, call) {
      seen.push(call.peer);
      return { certificate: call.peerAddr };
    },
    async issueCertificate(request) {
      throw new ShoalError('CONFLICT', `not you, ${request.availability}`);
    },
  };
}

function controlOf(seen: Seen): Implementation<'Control'> {
  return {
    async call(_request, call) {
      seen.push(call.peer);
      return { status: 204 };
    },
    readIndex: async () => ({ index: 7 }),
  };
}

function membershipOf(seen: Seen): Implementation<'Membership'> {
  return {
    async join(_request, call) {
      seen.push(call.peer);
      return { raftId: 3 };
    },
    leave: async () => ({}),
  };
}

async function refused(
  t: ExecutionContext,
  call: Promise<unknown>,
  code: FailureCode,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync<ShoalError>(call);
  t.is(error?.code, code, error?.message);
  t.regex(error?.message ?? '', message);
}

let ca: TestCa;
let manager: TestNode;
let worker: TestNode;
test.before(async () => {
  ca = await testCa();
  manager = await ca.node('manager');
  worker = await ca.node('worker');
});

test('call: the answer arrives, and the server knows by the certificate who asked', async (t) => {
  await using net = await wire(manager);
  const reply = await net
    .dial(manager.identity)
    .client('Control', net.addr, 'manager')
    .call({ method: 'GET' });
  t.is(reply.status, 204);
  const { nodeId, role, clusterId } = manager;
  t.deepEqual(net.seen, [{ nodeId, role, clusterId }]);
});

test('call: a failure arrives with its code and its message', async (t) => {
  await using net = await wire(manager);
  const client = net.dial(worker.identity).client('Ca', net.addr, 'manager');
  await refused(t, client.issueCertificate({ availability: 'ann' }), 'CONFLICT', /^not you, ann$/);
});

test('call: the address of the caller is told as host:port', async (t) => {
  await using net = await wire(manager);
  const { certificate } = await net.dial().client('Ca', net.addr, 'anyone').getRootCa({});
  t.regex(certificate, /^127\.0\.0\.1:\d+$/);
});

test('access: a service for anyone is there without a certificate, and one for nodes is not', async (t) => {
  await using net = await wire(manager);
  const dialer = net.dial();
  await dialer.client('Ca', net.addr, 'anyone').getRootCa({});
  t.deepEqual(net.seen, [undefined]);
  await refused(
    t,
    dialer.client('Membership', net.addr, 'anyone').join({}),
    'UNAUTHENTICATED',
    /certificate/,
  );
  t.is(net.seen.length, 1);
});

test('access: a service for managers refuses a worker', async (t) => {
  await using net = await wire(manager);
  const dialer = net.dial(worker.identity);
  await refused(t, dialer.client('Control', net.addr, 'manager').call({}), 'FORBIDDEN', /expected a manager/);
  t.is((await dialer.client('Membership', net.addr, 'manager').join({})).raftId, 3);
});

test('access: certificates of another root, however alike, count as none', async (t) => {
  await using net = await wire(manager);
  const rogue = await (await testCa()).node('manager');
  const mixed = new HeldIdentity({ ...rogue.identity.current(), roots: ca.root.certificate });
  const dialer = net.dial(mixed);
  await refused(
    t,
    dialer.client('Membership', net.addr, 'anyone').join({}),
    'UNAUTHENTICATED',
    /certificate/,
  );
  await refused(t, dialer.client('Membership', net.addr, 'manager').join({}), 'UNAVAILABLE', /another swarm/);
  t.deepEqual(net.seen, []);
});

test('access: an expired certificate counts as none', async (t) => {
  await using net = await wire(manager);
  const expired = await ca.node('worker', 91 * DAY_MS);
  const client = net.dial(expired.identity).client('Membership', net.addr, 'manager');
  await refused(t, client.join({}), 'UNAUTHENTICATED', /none that is valid/);
});

test('access: a node that the cluster has removed is refused, its certificate notwithstanding', async (t) => {
  const removed = new Set([worker.nodeId]);
  await using net = await wire(manager, (peer) => !removed.has(peer.nodeId));
  const client = net.dial(worker.identity).client('Membership', net.addr, 'manager');
  await refused(t, client.join({}), 'FORBIDDEN', new RegExp(worker.nodeId));
  removed.clear();
  t.is((await client.join({})).raftId, 3);
});

test('client: a server of the wrong role, of another root or with an expired certificate is not spoken to', async (t) => {
  for (const [impostor, why] of [
    [worker, /expected a manager/],
    [await (await testCa()).node('manager'), /self.signed|unable to/],
    [await ca.node('manager', 91 * DAY_MS), /expired/],
  ] as const) {
    await using net = await wire(impostor);
    const client = net.dial(manager.identity).client('Ca', net.addr, 'manager');
    await refused(t, client.getRootCa({}), 'UNAVAILABLE', why);
    t.deepEqual(net.seen, []);
  }
});

test('client: a worker is spoken to where any node will do', async (t) => {
  await using net = await wire(worker);
  t.is((await net.dial(manager.identity).client('Membership', net.addr, 'node').join({})).raftId, 3);
});

test('client: with the roots alone it checks the server and shows nothing', async (t) => {
  await using net = await wire(manager);
  const dialer = net.dial(rootsOnly(ca.root.certificate));
  await dialer.client('Ca', net.addr, 'manager').getRootCa({});
  t.deepEqual(net.seen, [undefined]);
  await using other = await wire(await (await testCa()).node('manager'));
  await refused(t, dialer.client('Ca', other.addr, 'manager').getRootCa({}), 'UNAVAILABLE', /./);
});

test('rotation: a renewed certificate is shown from the next call on, without a new server or dialer', async (t) => {
  const caller = await ca.node('worker');
  await using net = await wire(manager);
  const client = net.dial(caller.identity).client('Membership', net.addr, 'manager');
  await client.join({});
  const renewed = await ca.node('worker');
  caller.identity.set(renewed.identity.current());
  await client.join({});
  t.deepEqual(
    net.seen.map((peer) => peer?.nodeId),
    [caller.nodeId, renewed.nodeId],
  );
});

test('rotation: a server changes root while it listens; who trusts both roots never notices', async (t) => {
  const next = await testCa(ca.clusterId);
  const both = `${ca.root.certificate}${next.root.certificate}`;
  const [server, prudent, behind] = [
    await ca.node('manager'),
    await ca.node('worker'),
    await ca.node('worker'),
  ];
  await using net = await wire(server);
  const renewed = await next.node('manager');
  prudent.identity.set({ ...prudent.identity.current(), roots: both });
  const call = (node: TestNode) => net.dial(node.identity).client('Membership', net.addr, 'manager').join({});
  await call(prudent);
  server.identity.set({ ...renewed.identity.current(), roots: both });
  await call(prudent);
  await refused(t, call(behind), 'UNAVAILABLE', /./);
  behind.identity.set({ ...behind.identity.current(), roots: both });
  await call(behind);
  server.identity.set({ ...renewed.identity.current(), roots: next.root.certificate });
  await refused(t, call(prudent), 'UNAUTHENTICATED', /none that is valid/);
});

test('rotation: calls under way outlive the renewal of either end', async (t) => {
  const [server, caller] = [await ca.node('manager'), await ca.node('worker')];
  await using net = await wire(server);
  const waiting = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const slow: Implementation<'Membership'> = {
    async join() {
      asked.resolve();
      await waiting.promise;
      return { raftId: 9 };
    },
    leave: async () => ({}),
  };
  net.server.add('Membership', 'node', slow);
  const client = net.dial(caller.identity).client('Membership', net.addr, 'manager');
  const call = client.join({});
  await asked.promise;
  caller.identity.set((await ca.node('worker')).identity.current());
  server.identity.set((await ca.node('manager')).identity.current());
  await client.leave({});
  waiting.resolve();
  t.is((await call).raftId, 9);
});

test('server: a service that is not offered is UNAVAILABLE before, and again after', async (t) => {
  await using net = await wire(manager);
  const client = net.dial(worker.identity).client('NodeLogs', net.addr, 'manager');
  const read = async (): Promise<void> => void (await Array.fromAsync(client.read({})));
  await refused(t, read(), 'UNAVAILABLE', /does not offer NodeLogs/);
  net.server.add('NodeLogs', 'node', { read: async function* () {} });
  await read();
  net.server.remove('NodeLogs');
  await refused(t, read(), 'UNAVAILABLE', /does not offer NodeLogs/);
});

test('server: nobody there is UNAVAILABLE and names the address', async (t) => {
  const net = await wire(manager);
  await using dialer = openDialer({}, { identity: worker.identity });
  await net[Symbol.asyncDispose]();
  const call = dialer.client('Membership', net.addr, 'manager').join({});
  await refused(t, call, 'UNAVAILABLE', new RegExp(net.addr));
});
