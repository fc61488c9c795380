import test from 'ava';
import { footnotes, headlines } from '#deploy/cli/swarm-status.ts';
import { type RaftView, raftView } from '#manager/api/convert/raft-view.ts';
import { clusterNetworks } from '#manager/api/networks.ts';
import { type OperatorParts, operatorRoutes } from '#manager/api/operator.ts';
import { quorumOf, quorumText } from '#manager/api/quorum.ts';
import { collectRaftReport, type RaftStatusParts, raftReportService } from '#manager/api/raft-status.ts';
import type { ConsensusStatus, Member } from '#manager/consensus/consensus.ts';
import { LeadWatch } from '#manager/consensus/lead-watch.ts';
import { systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { callApi } from '#proto/http/call.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { ApiLab, node, SELF } from './lab.ts';

const LATENCY = { count: 3, p50Ms: 0.5, p99Ms: 2 };
const signal = new AbortController().signal;

function member(raftId: number, id: string, learner = false): Member {
  const host = `10.0.0.${raftId}`;
  return { raftId, nodeId: id as NodeId, raftAddr: `${host}:2378`, controlAddr: `${host}:2377`, learner };
}

function partsOf(lab: ApiLab, members: readonly Member[], dialer: Pick<RpcDialer, 'client'>): OperatorParts {
  const { log, clock, store } = lab.opened;
  const status = async (): Promise<ConsensusStatus> => ({
    ...(await log.status()),
    members: members.map((one) => ({ member: one, reachable: true })),
  });
  return {
    nodeId: SELF,
    store,
    consensus: { leadership: () => log.leadership(), status },
    health: {
      fsync: () => LATENCY,
      tickLate: () => undefined,
      diskBytes: async () => 5_000,
      diskFull: false,
    },
    leadWatch: new LeadWatch({ consensus: log, clock }),
    dialer,
    snapshot: () => lab.opened.machine.snapshot(),
  };
}

/** Managers that answer at their address as `parts` would; the others can't be reached. */
function dialerTo(answering: Readonly<Record<string, RaftStatusParts>>): Pick<RpcDialer, 'client'> {
  const client = (_service: string, addr: string): unknown => ({
    standing: async () => {
      const parts = answering[addr];
      if (parts === undefined) throw new ShoalError('UNAVAILABLE', `${addr} does not answer`);
      return raftReportService(parts).standing({}, { peerAddr: 'x', signal });
    },
  });
  return { client } as Pick<RpcDialer, 'client'>;
}

const nobody = dialerTo({});
const refuse = async (): Promise<never> => {
  throw new ShoalError('UNAVAILABLE', 'this node is in a swarm');
};
const lifecycle = { recover: async () => SELF, restore: refuse, rotateKey: async () => undefined };

test('status: a manager asks all others, and shows each with what it says of itself', async (t) => {
  await using lab = await ApiLab.open();
  await using other = await ApiLab.open();
  await lab.write(node('m2', { role: 'manager' }));
  const members = [member(1, SELF), member(2, 'm2')];
  const there = { ...partsOf(other, members, nobody), nodeId: 'm2' as NodeId };
  const report = await collectRaftReport(partsOf(lab, members, dialerTo({ '10.0.0.2:2377': there })), signal);
  const view = raftView(report);
  t.like(view, {
    NodeID: SELF,
    Stale: false,
    Quorum: { Kept: true, Voters: 2, Needed: 2, Reachable: 2, Message: '' },
  });
  t.like(view.Members[0], {
    NodeID: SELF,
    Leader: true,
    Lag: 0,
    DiskBytes: 5_000,
    Fsync: { Count: 3, P50Ms: 0.5, P99Ms: 2 },
  });
  t.like(view.Members[1], { NodeID: 'm2', Hostname: 'm2', Leader: false, Reachable: true });
  t.is(view.Members[1]?.Lag, lab.view.version - other.view.version);
});

test('status: without a quorum it says since when, who is missing and what to do, and that the list is old', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('m2', { role: 'manager' }));
  const members = [member(1, SELF), member(2, 'm2'), member(3, 'm3')];
  const parts = partsOf(lab, members, nobody);
  lab.opened.log.loseLeadership();
  const routes = operatorRoutes({ manager: () => parts, lifecycle, clock: lab.opened.clock });
  const call = { method: 'GET', target: '/v1.51/shoal/raft', headers: {}, body: new Uint8Array() };
  const { status, body } = await callApi(routes, call, signal);
  t.is(status, 200);
  const view = JSON.parse(body.toString()) as RaftView;
  t.like(view, { Stale: true, Quorum: { Kept: false, Voters: 3, Needed: 2, Reachable: 1 } });
  t.regex(view.Quorum.Message, /^Quorum lost since 20\d\d-.*: 1 of 3 managers is reachable and 2 are needed/);
  t.regex(view.Quorum.Message, /not reachable: m2 \(10\.0\.0\.2:2377\), m3 \(10\.0\.0\.3:2377\)/);
  t.regex(view.Quorum.Message, /shoal swarm recover/);
  t.like(view.Members[1], { Reachable: false, Error: '10.0.0.2:2377 does not answer' });
  t.is(view.Members[1]?.Term, undefined);
  const lines = headlines(view, Date.parse(view.Quorum.LostSince ?? '') + 180_000);
  t.regex(lines[0] ?? '', /NO LEADER for 3 minutes, 1 of 3 managers reachable, 2 needed/);
});

test('status: spares are named, with how long they wait, and whether managers lock themselves', async (t) => {
  await using lab = await ApiLab.open();
  const labels = { 'shoal.spare-manager': '60' };
  await lab.write(node('w1', { labels }), node('w2', {}), node('m2', { role: 'manager', labels }));
  const view = raftView(await collectRaftReport(partsOf(lab, [member(1, SELF)], nobody), signal));
  t.deepEqual(view.Spares, [{ NodeID: 'w1', Hostname: 'w1', Ready: true, AfterSeconds: 60 }]);
  t.is(view.AutoLock, false);
  t.deepEqual(footnotes(view), ['', 'Spares for a manager that is lost: w1 (after 60 s).']);
  t.deepEqual(footnotes({ ...view, Spares: [], AutoLock: true }), [
    '',
    'Managers lock themselves: each needs the unlock key after a restart.',
  ]);
  t.deepEqual(footnotes({ ...view, Spares: [] }), []);
});

test('status: a manager whose disk is full is named, with what that means', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('m2', { role: 'manager' }));
  const members = [member(1, SELF), member(2, 'm2')];
  const health = { ...partsOf(lab, members, nobody).health, diskFull: true };
  const there = { ...partsOf(lab, members, nobody), nodeId: 'm2' as NodeId, health };
  const report = await collectRaftReport(partsOf(lab, members, dialerTo({ '10.0.0.2:2377': there })), signal);
  const view = raftView(report);
  t.deepEqual(
    view.Members.map(({ DiskFull }) => DiskFull),
    [undefined, true],
  );
  t.regex(footnotes(view)[1] ?? '', /^No room on disk: m2\. Until there is, .* takes no changes/);
});

test('status: who answers at an address of another manager is not taken for it', async (t) => {
  await using lab = await ApiLab.open();
  const members = [member(1, SELF), member(2, 'm2')];
  const stranger = { ...partsOf(lab, members, nobody), nodeId: 'm9' as NodeId };
  const report = await collectRaftReport(
    partsOf(lab, members, dialerTo({ '10.0.0.2:2377': stranger })),
    signal,
  );
  t.is(report.members[1]?.error, 'manager m9 answers at 10.0.0.2:2377');
  t.is(report.quorum.reachable, 1);
});

test('status: a node that manages nothing says so as for any question about the swarm', async (t) => {
  const routes = operatorRoutes({ manager: () => 'worker', lifecycle, clock: systemClock });
  const call = { method: 'GET', target: '/shoal/raft', headers: {}, body: new Uint8Array() };
  const { status, body } = await callApi(routes, call, signal);
  t.is(status, 503);
  t.regex(body.toString(), /This node is not a swarm manager/);
});

test('quorum: learners neither count nor are missed', async (t) => {
  await using lab = await ApiLab.open();
  const members = [member(1, 'a'), member(2, 'b'), member(3, 'c', true)];
  const quorum = quorumOf(members, (id) => id === 'a', lab.view);
  t.deepEqual(quorum, { voters: 2, needed: 2, reachable: 1, missing: ['b (10.0.0.2:2377)'] });
  t.regex(quorumText(quorum, undefined), /^Quorum lost: 1 of 2/);
});

test('reads and writes that fail for want of a quorum say so behind the words of Docker', async (t) => {
  await using base = await ApiLab.open();
  const { log } = base.opened;
  const members = [member(1, SELF), member(2, 'm2'), member(3, 'm3')];
  const statuses = members.map((one) => ({ member: one, reachable: one.nodeId === SELF }));
  const before = await log.status();
  const status = async (): Promise<ConsensusStatus> => ({ ...before, members: statuses });
  Object.assign(log, { status });
  log.loseLeadership();
  Object.assign(base.parts, { leaderless: () => ({ sinceMs: 0, forMs: 60_000 }) });
  const expected = /^The swarm does not have a leader\. .* are online\. Quorum lost since 1970-01-01.*1 of 3/;
  for (const answer of [await base.get('/nodes'), await base.call('POST', '/services/create', {})]) {
    t.is(answer.status, 503);
    t.regex((answer.body as { message: string }).message, expected);
  }
  const networks = clusterNetworks(base.modules);
  const asked = [networks.list(), networks.create({ Name: 'front' }), networks.remove('front')];
  await Promise.all(asked.map((one) => t.throwsAsync(one, { code: 'UNAVAILABLE', message: expected })));
});

test('reads that may be stale need nobody, and are marked', async (t) => {
  await using lab = await ApiLab.open();
  lab.opened.log.loseLeadership();
  const call = { method: 'GET', target: '/nodes?stale=1', headers: {}, body: new Uint8Array() };
  const { status, headers, body } = await callApi(lab.router, call, signal);
  t.is(status, 200);
  t.is(headers['shoal-stale'], 'true');
  t.is((JSON.parse(body.toString()) as unknown[]).length, 1);
});
