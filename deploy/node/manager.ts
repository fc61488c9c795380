import { type ClusterEvent, ClusterEvents } from '#manager/api/events.ts';
import { raftReportService } from '#manager/api/raft-status.ts';
import { CaService } from '#manager/ca/service.ts';
import type { Consensus, KeepsFiles, Leadership } from '#manager/consensus/consensus.ts';
import { RaftHealth } from '#manager/consensus/health.ts';
import { startConsensus } from '#manager/consensus/host.ts';
import { LeadWatch } from '#manager/consensus/lead-watch.ts';
import { MembershipService } from '#manager/consensus/membership-service.ts';
import type { StartOpts } from '#manager/consensus/opts.ts';
import { observeCluster } from '#manager/dashboard/cluster-metrics.ts';
import { Feed } from '#manager/dashboard/feed.ts';
import { type DispatcherParts, openDispatcher } from '#manager/dispatcher/open.ts';
import { LEADER_LOOP_OPTS, LeaderLoop } from '#manager/leader/loop.ts';
import { keepRoles } from '#manager/leader/role-keeper.ts';
import { LogBroker } from '#manager/logs/broker.ts';
import type { Change } from '#manager/store/changes.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import type { StoreView } from '#manager/store/view.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { Random } from '#proto/base/random.ts';
import { listenRpc } from '#proto/rpc/server.ts';
import type { IdentitySource, Implementation, RpcDialer, RpcServer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { type HostPort, textOf } from './addresses.ts';
import { takePrecedence } from './precedence.ts';
import { followSnapshotPolicy } from './snapshot-policy.ts';

export interface ManagerOpts {
  /** Of this manager alone. */
  readonly stateDir: string;
  readonly nodeId: NodeId;
  /** Where the control service listens, and where Raft does. */
  readonly listen: HostPort;
  readonly raftPort: number;
  /** What the others are told instead of the listening address. */
  readonly advertiseHost: string;
  readonly beginning: Beginning;
  /** What its keys are locked with, where they are. */
  readonly lock?: Uint8Array;
}

/** How a manager comes to be, and what it does before anybody may ask anything of it. */
export interface Beginning {
  readonly start: StartOpts;
  /** The other managers are gone for good. */
  readonly forceNewCluster?: boolean;
  /** What it writes first, when it leads; for one that is alone. */
  readonly firstChanges?: (view: StoreView) => readonly Change[];
}

export interface ManagerModules {
  readonly identity: IdentitySource;
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Something that can't be gone on with: the node should end. */
  readonly onFailure: (error: Error) => void;
  /** Told of what happens to the cluster. */
  readonly onEvent: (event: ClusterEvent) => void;
}

/** The manager of this node, running: it remembers for the cluster, speaks with agents, and leads when it is elected. */
export interface ManagerPart extends AsyncDisposable {
  readonly nodeId: NodeId;
  readonly store: ReplicatedStore;
  readonly consensus: Consensus & KeepsFiles;
  readonly health: RaftHealth;
  readonly leadWatch: LeadWatch;
  readonly logs: LogBroker;
  readonly feed: Feed;
  /** The whole state, as it is when the first chunk is asked for. */
  readonly snapshot: () => AsyncIterable<Uint8Array>;
  /** host:port of its control service, as others reach it. */
  readonly addr: string;
  /** Services that come later: the Engine API of other managers' clients. */
  readonly server: RpcServer;
}

/** Address of a manager's control service, as other nodes are told. */
export function controlAddrOf({
  advertiseHost,
  listen,
}: Pick<ManagerOpts, 'advertiseHost' | 'listen'>): string {
  return textOf({ host: advertiseHost, port: listen.port });
}

/** Starts everything a manager is made of; stopped in reverse. */
export async function startManager(
  opts: ManagerOpts,
  modules: ManagerModules,
  signal: AbortSignal,
): Promise<ManagerPart> {
  await using stack = new AsyncDisposableStack();
  const { clock, random, log, metrics, dialer } = modules;
  takePrecedence(log);
  const machine = new StoreMachine();
  const health = new RaftHealth(opts.stateDir, modules);
  const consensus = stack.use(await openConsensus(opts, machine, { ...modules, metrics: health.metrics }));
  const leadWatch = stack.use(new LeadWatch({ consensus, clock }));
  const store = stack.use(new ReplicatedStore(PROPOSER_OPTS, { machine, consensus, clock, random, metrics }));
  stack.use(followSnapshotPolicy({ store, consensus }));
  await writeFirst(opts.beginning, { store, consensus }, signal);
  const dispatcher = stack.use(
    openDispatcher({ nodeId: opts.nodeId, store, consensus, dialer, clock, random, log, metrics }),
  );
  const feed = stack.use(new Feed({ clock, store, leader: () => consensus.leadership().leader?.nodeId }));
  stack.use(new ClusterEvents({ store, clock, tell: modules.onEvent }));
  stack.use(observeCluster({ store, consensus, metrics }));
  const server = stack.use(await serveManager(opts, modules, { store, consensus, dispatcher }));
  const { nodeId } = opts;
  server.add('RaftReport', 'manager', raftReportService({ nodeId, store, consensus, health, leadWatch }));
  stack.use(leadWhenElected({ store, consensus, dispatcher }, modules));
  const running = stack.move();
  return {
    nodeId: opts.nodeId,
    store,
    consensus,
    health,
    leadWatch,
    logs: new LogBroker({ store, dialer, clock, random }),
    feed,
    snapshot: () => machine.snapshot(),
    server,
    addr: controlAddrOf(opts),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

interface Parts {
  readonly store: ReplicatedStore;
  readonly consensus: Consensus;
  readonly dispatcher: DispatcherParts;
}

function openConsensus(
  opts: ManagerOpts,
  machine: StoreMachine,
  modules: ManagerModules,
): Promise<Consensus & KeepsFiles> {
  const { nodeId, stateDir, beginning, advertiseHost, raftPort, listen, lock } = opts;
  const raftAddr = textOf({ host: advertiseHost, port: raftPort });
  return startConsensus(
    {
      stateDir,
      self: { nodeId, raftAddr, controlAddr: controlAddrOf(opts) },
      listen: { host: listen.host, port: raftPort },
      start: beginning.start,
      forceNewCluster: beginning.forceNewCluster ?? false,
      ...(lock && { lock }),
    },
    {
      identity: modules.identity,
      stateMachine: machine,
      log: modules.log.child('raft'),
      metrics: modules.metrics,
      onFailure: modules.onFailure,
    },
  );
}

async function writeFirst(
  { firstChanges }: Beginning,
  { store, consensus }: Pick<Parts, 'store' | 'consensus'>,
  signal: AbortSignal,
): Promise<void> {
  if (firstChanges === undefined) return;
  await untilLeading(consensus, signal);
  await store.readBarrier(signal);
  await store.update({ changes: firstChanges(store.view()) });
}

async function serveManager(opts: ManagerOpts, modules: ManagerModules, parts: Parts): Promise<RpcServer> {
  const { store, consensus, dispatcher } = parts;
  const knows = (nodeId: NodeId): boolean => store.view().nodes.get(nodeId) !== undefined;
  const server = await listenRpc(opts.listen, { ...modules, accepts: ({ nodeId }) => knows(nodeId) });
  const ca: Implementation<'Ca'> = new CaService({ ...modules, nodeId: opts.nodeId, store, consensus });
  const membership: Implementation<'Membership'> = new MembershipService({
    consensus,
    mayManage: (nodeId) => store.view().nodes.get(nodeId)?.spec.role === 'manager',
  });
  server.add('Ca', 'anyone', ca);
  server.add('Membership', 'manager', membership);
  server.add('Dispatcher', 'node', dispatcher.dispatcher);
  server.add('LeaderReports', 'manager', dispatcher.leaderReports);
  return server;
}

/** Does a leader's work for as long as this manager leads, each time it does. */
function leadWhenElected({ store, consensus, dispatcher }: Parts, modules: ManagerModules): AsyncDisposable {
  let term: AbortController | undefined;
  let working: Promise<unknown> = Promise.resolve();
  const network = {
    versions: () => dispatcher.networkReady,
    subscribe: (changed: () => void) => dispatcher.onNetworkReady(changed),
  };
  const follow = ({ leading }: Leadership): void => {
    if (leading === (term !== undefined)) return;
    term?.abort(new Error('another manager leads'));
    term = leading ? new AbortController() : undefined;
    if (term === undefined) return;
    const { signal } = term;
    const loop = new LeaderLoop(LEADER_LOOP_OPTS, { ...modules, store, network });
    const duties = (): Promise<unknown> =>
      Promise.all([loop.run(signal), keepRoles({ ...modules, store, consensus }, signal)]);
    working = working.then(duties);
  };
  const unfollow = consensus.onLeadership(follow);
  follow(consensus.leadership());
  return {
    async [Symbol.asyncDispose]() {
      unfollow();
      term?.abort(new Error('the manager is stopping'));
      await working;
    },
  };
}

/** Waits until this manager leads: a new cluster's first one does so at once. */
async function untilLeading(consensus: Consensus, signal: AbortSignal): Promise<void> {
  const led = Promise.withResolvers<void>();
  const look = ({ leading }: Leadership): void => {
    if (leading) led.resolve();
  };
  const unfollow = consensus.onLeadership(look);
  const abort = (): void => led.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  look(consensus.leadership());
  try {
    await led.promise;
  } finally {
    unfollow();
    signal.removeEventListener('abort', abort);
  }
}
