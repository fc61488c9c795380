import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeIdentity } from '#agent/session/identity.ts';
import { joinCluster } from '#agent/session/join.ts';
import type { Managers } from '#agent/session/managers.ts';
import { openMembership } from '#agent/session/open.ts';
import type { Session } from '#agent/session/session.ts';
import { CaService } from '#manager/ca/service.ts';
import { joinToken } from '#manager/ca/tokens.ts';
import type { Leadership, Member } from '#manager/consensus/consensus.ts';
import { type DispatcherParts, openDispatcher } from '#manager/dispatcher/open.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { systemRandom } from '#proto/base/random.ts';
import { openDialer } from '#proto/rpc/client.ts';
import { listenRpc } from '#proto/rpc/server.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { Assigned } from '#proto/types/assignments.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Cluster } from '#proto/types/objects.ts';
import type { NodeRole } from '#proto/types/states.ts';
import { clusterRow, type TestCa, testCa } from './certificates.ts';
import { descriptionOf } from './cluster.ts';
import { openTestStore, type TestStore } from './local-log.ts';
import { PATIENCE_MS } from './wait-for.ts';

/** A manager with real connections on loopback. All managers of a test share one store; the first leads. */
export interface TestManager extends AsyncDisposable {
  readonly nodeId: NodeId;
  readonly addr: string;
  readonly dialer: RpcDialer;
  readonly parts: DispatcherParts;
}

export interface TestCluster extends AsyncDisposable {
  readonly ca: TestCa;
  readonly at: TestStore;
  readonly managers: readonly TestManager[];
  cluster(): Cluster;
  /** A node that joins by one of the managers (by its place), and holds a session. */
  join(opts?: {
    readonly by?: number;
    readonly role?: NodeRole;
    readonly hostname?: string;
  }): Promise<TestAgent>;
}

export interface TestAgent extends AsyncDisposable {
  readonly nodeId: NodeId;
  readonly identity: NodeIdentity;
  readonly session: Session;
  readonly managers: Managers;
  readonly dialer: RpcDialer;
  /** Everything it was assigned, in order. */
  readonly assigned: Assigned[];
}

/** Managers on loopback, whose agents are to be heard every `periodMs`. */
export async function openTestCluster(opts: {
  readonly managers: number;
  readonly periodMs: number;
}): Promise<TestCluster> {
  await using stack = new AsyncDisposableStack();
  const ca = await testCa();
  const at = stack.use(openTestStore());
  const row = clusterRow(ca);
  const spec = { ...row.spec, heartbeatPeriodNs: opts.periodMs * 1_000_000 };
  await at.store.update({ changes: [{ kind: 'putCluster', cluster: { ...row, spec } }] });
  const managers: TestManager[] = [];
  for (let i = 0; i < opts.managers; i++) managers.push(stack.use(await openManager(ca, at, managers[0])));
  const cluster = (): Cluster => at.store.view().cluster as Cluster;
  const stop = stack.move();
  return {
    ca,
    at,
    managers,
    cluster,
    async join({ by = 0, role = 'worker', hostname = 'agent' } = {}) {
      const token = joinToken(cluster(), role);
      return stop.use(await openAgent((managers[by] as TestManager).addr, token, hostname));
    },
    [Symbol.asyncDispose]: () => stop.disposeAsync(),
  };
}

async function openManager(ca: TestCa, at: TestStore, leader: TestManager | undefined): Promise<TestManager> {
  await using stack = new AsyncDisposableStack();
  const node = await ca.node('manager');
  const shared = { identity: node.identity, clock: systemClock, log: nullLog };
  const accepts = ({ nodeId }: { nodeId: NodeId }): boolean =>
    at.store.view().nodes.get(nodeId) !== undefined;
  const server = stack.use(
    await listenRpc({ host: '127.0.0.1', port: 0, stopGraceMs: 100 }, { ...shared, accepts }),
  );
  const addr = `127.0.0.1:${server.port}`;
  const dialer = stack.use(openDialer({}, shared));
  const consensus = leader === undefined ? at.log : follower(leader);
  const modules = {
    ...shared,
    nodeId: node.nodeId,
    store: at.store,
    consensus,
    dialer,
    random: systemRandom,
    metrics: nullMetrics,
  };
  const parts = stack.use(openDispatcher(modules));
  server.add('Ca', 'anyone', new CaService(modules));
  server.add('Dispatcher', 'node', parts.dispatcher);
  server.add('LeaderReports', 'manager', parts.leaderReports);
  await at.store.update({
    changes: [
      {
        kind: 'putNode',
        node: {
          id: node.nodeId,
          spec: { role: 'manager', availability: 'active' },
          role: 'manager',
          status: { state: 'ready' },
          manager: { raftId: server.port, addr, raftAddr: addr, reachability: 'reachable' },
        },
      },
    ],
  });
  const stop = stack.move();
  return { nodeId: node.nodeId, addr, dialer, parts, [Symbol.asyncDispose]: () => stop.disposeAsync() };
}

/** What a manager that does not lead knows of consensus. */
function follower({ nodeId, addr }: TestManager): { leadership(): Leadership; onLeadership(): () => void } {
  const leader: Member = { raftId: 1, nodeId, raftAddr: addr, controlAddr: addr, learner: false };
  return { leadership: () => ({ term: 1, leader, leading: false }), onLeadership: () => () => undefined };
}

async function openAgent(addr: string, token: string, hostname: string): Promise<TestAgent> {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'shoal-test-agent-'));
  stack.defer(() => rm(dir, { recursive: true }));
  const identity = await NodeIdentity.open(dir);
  const shared = { identity, clock: systemClock, random: systemRandom, log: nullLog };
  const { nodeId } = await joinCluster({ remoteAddrs: [addr], token }, { ...shared, dir });
  const assigned: Assigned[] = [];
  const consumer = {
    onAssigned(next: Assigned): void {
      assigned.push(next);
      membership.session.networkReady(next.version);
    },
  };
  const membership = stack.use(
    await openMembership(
      { dir, managers: [{ addr }], description: descriptionOf(hostname) },
      { ...shared, consumer, statuses: () => [], localAddr: () => undefined },
    ),
  );
  const { session, managers, dialer } = membership;
  const stop = stack.move();
  return {
    nodeId,
    identity,
    session,
    managers,
    dialer,
    assigned,
    [Symbol.asyncDispose]: () => stop.disposeAsync(),
  };
}

/** Joins with a new identity that nothing is done with. */
export async function joinInto(addr: string, token: string): Promise<NodeId> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-test-join-'));
  try {
    const identity = await NodeIdentity.open(dir);
    return (await joinCluster({ remoteAddrs: [addr], token }, { identity, dir, log: nullLog })).nodeId;
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** Waits until `holds`, looking again whenever something may have happened; fails after a while, naming `what`. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + PATIENCE_MS;
  while (!holds()) {
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`waited in vain: ${what}`);
    await systemClock.sleep(10);
  }
}
