import { X509Certificate } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { newPrivateKey, signingRequest } from '#agent/session/keys.ts';
import { foundCluster } from '#manager/ca/found.ts';
import { CaService } from '#manager/ca/service.ts';
import { joinToken } from '#manager/ca/tokens.ts';
import type { Leadership, Member } from '#manager/consensus/consensus.ts';
import type { Change } from '#manager/store/changes.ts';
import type { FailureCode, ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { systemRandom } from '#proto/base/random.ts';
import type { IssueCertificateRequest } from '#proto/gen/shoal.ts';
import { identityOf } from '#proto/rpc/tls.ts';
import type { CallInfo, Client, PeerIdentity, RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Cluster } from '#proto/types/objects.ts';
import { clusterRow, type TestCa, testCa } from '../../../support/certificates.ts';
import { openTestStoreWith, type TestStore } from '../../../support/local-log.ts';

const SELF = 'manager-here' as NodeId;
const DAY_MS = 24 * 3_600_000;

let ca: TestCa;
test.before(async () => {
  ca = await testCa();
});

interface Office extends TestStore {
  readonly service: CaService;
  readonly cluster: Cluster;
  update(...changes: Change[]): Promise<number>;
  issue(
    request: Partial<IssueCertificateRequest>,
    peer?: PeerIdentity,
  ): ReturnType<CaService['issueCertificate']>;
}

/** A leader's CA over a store with nothing but the cluster in it. */
async function office(leadership?: Partial<Leadership>, dialer?: RpcDialer): Promise<Office> {
  const opened = await openTestStoreWith([{ kind: 'putCluster', cluster: clusterRow(ca) }]);
  const { store, log, clock } = opened;
  const service = new CaService({
    store,
    consensus: { leadership: () => ({ ...log.leadership(), ...leadership }) },
    dialer: dialer ?? nobody,
    nodeId: SELF,
    clock,
    random: systemRandom,
    log: nullLog,
  });
  return Object.assign(opened, {
    service,
    cluster: store.view().cluster as Cluster,
    update: (...changes: Change[]) => store.update({ changes }),
    issue: (request: Partial<IssueCertificateRequest>, peer?: PeerIdentity) =>
      service.issueCertificate({ ...BLANK, ...request }, callFrom(peer)),
  });
}

const BLANK: IssueCertificateRequest = { csr: '', token: '', availability: '', forNode: '' };
const nobody: RpcDialer = {
  client: () => {
    throw new Error('nobody is to be called');
  },
};

function callFrom(peer?: PeerIdentity): CallInfo {
  const signal = new AbortController().signal;
  return peer === undefined ? { peerAddr: '10.0.0.9:1', signal } : { peer, peerAddr: '10.0.0.9:1', signal };
}

function peerOf(nodeId: string, role: PeerIdentity['role']): PeerIdentity {
  return { nodeId: nodeId as NodeId, role, clusterId: ca.clusterId };
}

async function refused(
  t: ExecutionContext,
  call: Promise<unknown>,
  code: FailureCode,
  message = /./,
): Promise<void> {
  const error = await t.throwsAsync<ShoalError>(call);
  t.is(error?.code, code, error?.message);
  t.regex(error?.message ?? '', message);
}

async function csr(): Promise<string> {
  return await signingRequest(newPrivateKey());
}

test('join: the token decides the role, and the node is in the store before the answer', async (t) => {
  await using ca1 = await office();
  for (const role of ['worker', 'manager'] as const) {
    const reply = await ca1.issue({ csr: await csr(), token: joinToken(ca1.cluster, role) });
    const who = identityOf(reply.certificate as string);
    t.deepEqual(who, { nodeId: reply.nodeId, role, clusterId: ca1.cluster.id });
    t.is(reply.rootCertificates, ca1.cluster.rootCa.certificate);
    const node = ca1.store.view().nodes.get(who.nodeId);
    t.deepEqual(node?.spec, { role, availability: 'active' });
    t.is(node?.role, role);
    t.is(node?.status.state, 'unknown');
  }
});

test("join: the certificate lives as long as the cluster's settings say, and the store knows until when", async (t) => {
  await using ca1 = await office();
  const reply = await ca1.issue({ csr: await csr(), token: joinToken(ca1.cluster, 'worker') });
  const expiresAtMs = new X509Certificate(reply.certificate as string).validToDate.getTime();
  t.is(expiresAtMs, ca1.clock.wallMs() + 90 * DAY_MS);
  t.is(ca1.store.view().nodes.get(reply.nodeId as NodeId)?.certificateExpiresAtMs, expiresAtMs);
});

test('join: a node may ask to start drained or paused, and nothing else', async (t) => {
  await using ca1 = await office();
  const token = joinToken(ca1.cluster, 'worker');
  const { nodeId } = await ca1.issue({ csr: await csr(), token, availability: 'drain' });
  t.is(ca1.store.view().nodes.get(nodeId as NodeId)?.spec.availability, 'drain');
  await refused(
    t,
    ca1.issue({ csr: await csr(), token, availability: 'asleep' }),
    'INVALID_ARGUMENT',
    /asleep/,
  );
  t.is(ca1.store.view().nodes.size, 1);
});

test('join: asking twice with one key makes one node', async (t) => {
  await using ca1 = await office();
  const request = { csr: await csr(), token: joinToken(ca1.cluster, 'worker') };
  const first = await ca1.issue(request);
  const second = await ca1.issue(request);
  t.is(first.nodeId, second.nodeId);
  t.is(ca1.store.view().nodes.size, 1);
});

test('join: a wrong token, or none, is refused and changes nothing', async (t) => {
  await using ca1 = await office();
  const token = joinToken(ca1.cluster, 'manager');
  for (const wrong of [`${token.slice(0, -1)}#`, 'x', '']) {
    await refused(
      t,
      ca1.issue({ csr: await csr(), token: wrong }),
      'UNAUTHENTICATED',
      /^A valid join token is necessary to join this cluster$/,
    );
  }
  t.is(ca1.store.view().nodes.size, 0);
});

test('join: a request that is no signing request changes nothing', async (t) => {
  await using ca1 = await office();
  await refused(
    t,
    ca1.issue({ csr: 'x', token: joinToken(ca1.cluster, 'worker') }),
    'INVALID_ARGUMENT',
    /CSR/,
  );
  t.is(ca1.store.view().nodes.size, 0);
});

test("renewal: the id stays, the role is what the node's spec says now, and the store follows", async (t) => {
  await using ca1 = await office();
  const { nodeId } = await ca1.issue({ csr: await csr(), token: joinToken(ca1.cluster, 'worker') });
  const node = ca1.store.view().nodes.get(nodeId as NodeId);
  await ca1.update({ kind: 'putNode', node: { ...node!, spec: { ...node!.spec, role: 'manager' } } });
  const reply = await ca1.issue({ csr: await csr() }, peerOf(nodeId as string, 'worker'));
  t.deepEqual(identityOf(reply.certificate as string), peerOf(nodeId as string, 'manager'));
  t.is(ca1.store.view().nodes.get(nodeId as NodeId)?.role, 'manager');
});

test('renewal: a demoted manager stays one until it has left the Raft group', async (t) => {
  await using ca1 = await office();
  const { nodeId } = await ca1.issue({ csr: await csr(), token: joinToken(ca1.cluster, 'manager') });
  const id = nodeId as NodeId;
  const manager = { raftId: 2, addr: 'a:1', raftAddr: 'a:2', reachability: 'reachable' } as const;
  const node = ca1.store.view().nodes.get(id);
  await ca1.update({ kind: 'putNode', node: { ...node!, manager, spec: { ...node!.spec, role: 'worker' } } });
  t.is((await ca1.issue({ csr: await csr() }, peerOf(id, 'manager'))).role, 'manager');
  await ca1.update({ kind: 'setManagerStatus', nodeId: id });
  t.is((await ca1.issue({ csr: await csr() }, peerOf(id, 'manager'))).role, 'worker');
});

test('renewal: a node that was removed gets nothing', async (t) => {
  await using ca1 = await office();
  const { nodeId } = await ca1.issue({ csr: await csr(), token: joinToken(ca1.cluster, 'worker') });
  await ca1.update({ kind: 'delete', table: 'node', id: nodeId as string });
  const call = ca1.issue({ csr: await csr() }, peerOf(nodeId as string, 'worker'));
  await refused(t, call, 'FORBIDDEN', /not part of the swarm/);
});

test('renewal: only a manager asks in the name of another', async (t) => {
  await using ca1 = await office();
  const { nodeId } = await ca1.issue({ csr: await csr(), token: joinToken(ca1.cluster, 'worker') });
  const request = { csr: await csr(), forNode: nodeId as string };
  await refused(t, ca1.issue(request, peerOf('other', 'worker')), 'FORBIDDEN', /only managers/);
  await refused(t, ca1.issue(request), 'FORBIDDEN', /only managers/);
  t.is((await ca1.issue(request, peerOf('other', 'manager'))).nodeId, nodeId);
});

/** A leader elsewhere, and what it was asked. */
function elsewhere(): {
  leadership: Partial<Leadership>;
  dialer: RpcDialer;
  asked: Partial<IssueCertificateRequest>[];
} {
  const asked: Partial<IssueCertificateRequest>[] = [];
  const leader = { nodeId: 'leader', controlAddr: '10.0.0.1:2377' } as unknown as Member;
  const client = {
    issueCertificate: async (request: Partial<IssueCertificateRequest>) => {
      asked.push(request);
      return { nodeId: 'n' };
    },
  } as unknown as Client<'Ca'>;
  const dialer = {
    client(_service: string, addr: string, expect: string) {
      if (addr !== leader.controlAddr || expect !== 'manager') throw new Error(`${addr} ${expect}`);
      return client;
    },
  } as unknown as RpcDialer;
  return { leadership: { leading: false, leader }, dialer, asked };
}

test('follower: it passes requests to the leader, naming the node that asks', async (t) => {
  const { leadership, dialer, asked } = elsewhere();
  await using ca1 = await office(leadership, dialer);
  t.is((await ca1.issue({ csr: 'c' }, peerOf('w1', 'worker'))).nodeId, 'n');
  await ca1.issue({ csr: 'c', token: 't' });
  t.deepEqual(asked, [
    { csr: 'c', token: '', availability: '', forNode: 'w1' },
    { csr: 'c', token: 't', availability: '', forNode: '' },
  ]);
});

test('follower: what was passed on already is not passed on again, but told who leads', async (t) => {
  const { leadership, dialer } = elsewhere();
  await using ca1 = await office(leadership, dialer);
  for (const request of [{ forNode: 'w1' }, { token: 't' }]) {
    await refused(t, ca1.issue(request, peerOf('m2', 'manager')), 'UNAVAILABLE', /10\.0\.0\.1:2377/);
  }
});

test('follower: without a leader, or about to lead itself, it is UNAVAILABLE', async (t) => {
  for (const leader of [undefined, { nodeId: SELF } as Member]) {
    await using ca1 = await office({ leading: false, leader: leader as Member });
    await refused(t, ca1.issue({}, peerOf('w1', 'worker')), 'UNAVAILABLE', /leader/);
  }
});

test('founding: the first manager has a certificate of the new root, and tokens for others', async (t) => {
  const modules = { clock: { wallMs: () => Date.now() }, random: systemRandom };
  const founded = await foundCluster(await csr(), { lifetimeMs: 90 * DAY_MS }, modules);
  const { nodeId, clusterId } = founded;
  t.deepEqual(identityOf(founded.certificate), { nodeId, role: 'manager', clusterId });
  t.true(
    new X509Certificate(founded.certificate).verify(
      new X509Certificate(founded.rootCa.certificate).publicKey,
    ),
  );
  t.not(founded.joinSecrets.worker, founded.joinSecrets.manager);
});
