import { ContentPeers } from '#agent/core/image/content-peers.ts';
import { contentService } from '#agent/core/image/content-service.ts';
import type { Peer } from '#agent/core/image/keepers.ts';
import { Turns } from '#agent/core/image/turns.ts';
import { taskLogs } from '#agent/exec/container/task-logs.ts';
import type { NodeIdentity } from '#agent/session/identity.ts';
import type { KnownManager } from '#agent/session/managers.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { Random } from '#proto/base/random.ts';
import { listenRpc } from '#proto/rpc/server.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import { type AgentPart, startAgent } from './agent.ts';
import { describeNode } from './describe.ts';
import type { DaemonOpts } from './flags.ts';
import type { Machine } from './machine.ts';
import type { Beginning, ManagerPart } from './manager.ts';
import { ManagerSwitch } from './manager-switch.ts';
import type { PeersSwitch } from './peers-switch.ts';
import type { SwarmFolder, SwarmSettings } from './swarm-settings.ts';

/** Everything that runs while this node is part of a swarm. */
export interface Standing extends AsyncDisposable {
  readonly settings: SwarmSettings;
  readonly agent: AgentPart;
  readonly manager: ManagerSwitch;
}

export interface StandOpts {
  readonly daemon: DaemonOpts;
  readonly settings: SwarmSettings;
  /** Managers that the node joined by. */
  readonly remoteAddrs: readonly string[];
  /** Of its manager, where that is not as it was. */
  readonly beginning?: Beginning;
}

export interface StandModules {
  readonly identity: NodeIdentity;
  readonly folder: SwarmFolder;
  readonly machine: Machine;
  /** Told of the other nodes, as a source of images, while there are any. */
  readonly peers: Pick<PeersSwitch, 'set'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Something that can't be gone on with: the daemon should end. */
  readonly onFailure: (error: Error) => void;
  /** A manager has started here: adds what it offers beyond its own services. */
  readonly onManager: (manager: ManagerPart, dialer: RpcDialer) => void;
}

/** Starts everything: what others fetch from this node, the manager if it is one, and its hands. */
export async function stand(opts: StandOpts, modules: StandModules): Promise<Standing> {
  await using stack = new AsyncDisposableStack();
  const { daemon, settings, remoteAddrs, beginning } = opts;
  const { identity, folder, machine, log, clock } = modules;
  const listen = { host: settings.listen.host, port: settings.peerPort };
  const peers = stack.use(await listenRpc(listen, { identity, clock, log: log.child('peers') }));
  const turns = new Turns({ clock });
  peers.add('Content', 'node', contentService({}, { images: machine.images, turns }));
  peers.add('NodeLogs', 'manager', taskLogs(machine.engine.containers));
  const manager = stack.use(
    new ManagerSwitch(settings, {
      ...modules,
      onStarted: modules.onManager,
      onEvent: ({ type, action, id, attributes }) =>
        machine.engine.parts.events.emit(type, action, id, attributes, 'swarm'),
      managers: () => agent?.membership.managers.all().map(({ addr }) => addr) ?? remoteAddrs,
    }),
  );
  let agent: AgentPart | undefined;
  // Who makes a swarm or joins one is told what went wrong; who was in one before goes on without its manager.
  if (beginning === undefined && remoteAddrs.length === 0) await manager.resume();
  else await manager.start(beginning);
  const { advertiseHost, dataPathAddr } = settings;
  const reached = { peer: { host: advertiseHost, port: peers.port }, dataPathAddr };
  const { hostname, executor } = daemon;
  const managers = knownManagers(manager.current, remoteAddrs);
  agent = stack.use(
    await startAgent(
      { dir: folder.path, hostname, executor, managers },
      {
        ...modules,
        describe: () => describeNode(daemon, reached),
        localAddr: () => localManager(manager.current),
      },
    ),
  );
  manager.followRole();
  stack.use(offerPeers(agent, turns, modules));
  const running = stack.move();
  return { settings, agent, manager, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Images are fetched from the other nodes for as long as this one stands. */
function offerPeers(
  { membership, assigned }: AgentPart,
  turns: Turns,
  { peers, clock, random }: StandModules,
): Disposable {
  const others = (): Peer[] => {
    const up = [...assigned().peers.values()].filter((peer) => peer.up);
    return up.map(({ nodeId, peerAddr }) => ({ nodeId, address: peerAddr }));
  };
  const nodeId = (): string => assigned().self.nodeId;
  const { dialer } = membership;
  peers.set(new ContentPeers({ dialer, nodeId, turns, peers: others, clock, random }));
  return { [Symbol.dispose]: () => peers.set(undefined) };
}

/** The manager on this very node, once it has caught up so far that it knows this node. */
function localManager(own: ManagerPart | undefined): string | undefined {
  return own?.store.view().nodes.get(own.nodeId) === undefined ? undefined : own.addr;
}

/** Managers that a node knows before any of them has told it: its own and what that knows of others, or those it joined by. */
function knownManagers(own: ManagerPart | undefined, remoteAddrs: readonly string[]): KnownManager[] {
  if (own === undefined) return remoteAddrs.map((addr) => ({ addr }));
  const others = own.consensus.members().filter(({ nodeId }) => nodeId !== own.nodeId);
  return [
    { nodeId: own.nodeId, addr: own.addr },
    ...others.map(({ nodeId, controlAddr }) => ({ nodeId, addr: controlAddr })),
  ];
}
