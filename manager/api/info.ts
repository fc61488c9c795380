import { messageOf } from '#proto/base/errors.ts';
import { clusterView } from './convert/swarm-spec.ts';
import { noLeader } from './forward.ts';
import type { LocalSwarmInfo } from './lifecycle.ts';
import { type ClusterApiModules, DISK_FULL, type ManagerParts } from './manager.ts';
import { managerViews } from './nodes.ts';
import { withReason } from './quorum.ts';

const TWO_MANAGERS =
  'Running Swarm in a two-manager configuration. This configuration provides no fault tolerance, and poses a high risk ' +
  'to lose control over the cluster. Refer to https://docs.docker.com/engine/swarm/admin_guide/ to configure the Swarm ' +
  'for fault-tolerance.';

/**
 * What GET /info says of the swarm, and the header `Swarm` of a ping: on every node. Looks at what this node has, and
 * waits for nobody: it must answer most of all when something is wrong.
 */
export function swarmInfo(modules: Pick<ClusterApiModules, 'manager' | 'lifecycle'>): {
  readonly info: Promise<unknown>;
  readonly header: string;
} {
  const local = modules.lifecycle.info();
  const manager = modules.manager();
  const parts = typeof manager === 'string' ? undefined : manager;
  return { info: infoOf(local, parts), header: headerOf(local, parts !== undefined) };
}

function headerOf({ state }: LocalSwarmInfo, isManager: boolean): string {
  return state === 'active' ? `active/${isManager ? 'manager' : 'worker'}` : state;
}

async function infoOf(
  local: LocalSwarmInfo,
  parts: ManagerParts | undefined,
): Promise<Record<string, unknown>> {
  const own = {
    NodeID: local.nodeId ?? '',
    NodeAddr: local.nodeAddr ?? '',
    LocalNodeState: local.state,
    ControlAvailable: parts !== undefined,
    Error: local.error ?? '',
    RemoteManagers: remoteManagers(local.managers),
  };
  if (parts === undefined) return own;
  try {
    return { ...own, ...(await ofManager(parts)) };
  } catch (error) {
    return { ...own, Error: messageOf(error) };
  }
}

async function ofManager(parts: ManagerParts): Promise<Record<string, unknown>> {
  const { nodes, cluster } = parts.store.view();
  const managers = await managerViews(parts);
  const remote = [...managers].map(([nodeId, { addr }]) => ({ nodeId, addr }));
  return {
    ...(parts.diskFull?.() && { Error: DISK_FULL }),
    ...(parts.consensus.leadership().leader === undefined && {
      Error: messageOf(await withReason(noLeader(), parts)),
    }),
    RemoteManagers: remoteManagers(remote),
    Nodes: nodes.size,
    Managers: managers.size,
    ...(cluster && { Cluster: clusterView(cluster) }),
    ...(managers.size === 2 && { Warnings: [TWO_MANAGERS] }),
  };
}

function remoteManagers(managers: LocalSwarmInfo['managers']): unknown {
  if (managers.length === 0) return null;
  return managers.map(({ nodeId, addr }) => ({ NodeID: nodeId, Addr: addr }));
}
