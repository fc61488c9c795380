import type { NetworkId, NodeId } from '#proto/types/ids.ts';
import type { Node, Task } from '#proto/types/objects.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { isDead, isLeaving } from '#scheduler/slots.ts';
import type { Controller, Situation } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';
import { NOTHING } from './plans.ts';

/**
 * Lets tasks stop that were asked to: when every node that balances to a task has taken it out, so that no request is on
 * its way to it. A node's word counts from the version at which the task began to leave.
 */
export const release: Controller = {
  name: 'release',
  wakesOn: ['node', 'task'],
  plan(view, situation) {
    const leaving = view.tasks.unsettled().filter(waitsForRelease);
    if (leaving.length === 0) return NOTHING;
    const users = networkUsers(view);
    return { changes: leaving.filter((task) => isReleased(view, situation, users, task)).map(letGo) };
  },
};

/** Requests go to tasks that run; one that does not run yet never will get any, and stops by itself. */
function waitsForRelease(task: Task): boolean {
  return isLeaving(task) && !task.released && task.status.state === TaskState.Running;
}

function letGo(task: Task): Change {
  return { kind: 'releaseTask', taskId: task.id };
}

type NetworkUsers = ReadonlyMap<NetworkId, ReadonlySet<NodeId>>;

/** The nodes with tasks on each network: those that balance to its addresses. */
function networkUsers(view: StoreView): NetworkUsers {
  const users = new Map<NetworkId, Set<NodeId>>();
  for (const task of view.tasks.all()) {
    if (task.nodeId === undefined || isDead(task)) continue;
    for (const { networkId, addresses } of task.networks) {
      if (addresses.length === 0) continue;
      users.set(networkId, (users.get(networkId) ?? new Set<NodeId>()).add(task.nodeId));
    }
  }
  return users;
}

function isReleased(view: StoreView, situation: Situation, users: NetworkUsers, task: Task): boolean {
  const balancing = balancingNodes(view, users, task);
  if (balancing.length === 0) return true;
  // A version that only this draft knows is not final.
  if (task.leavingVersion === undefined || task.leavingVersion > view.version) return false;
  const leavingVersion = task.leavingVersion;
  return balancing.every((node) => (situation.networkReady.get(node.id) ?? 0) >= leavingVersion);
}

function balancingNodes(view: StoreView, users: NetworkUsers, task: Task): Node[] {
  const everywhere = publishes(view, task);
  const near = new Set(task.networks.flatMap(({ networkId }) => [...(users.get(networkId) ?? [])]));
  return [...view.nodes.all()].filter((node) => isBalancing(node) && (everywhere || near.has(node.id)));
}

/** A node that has not spoken up yet since the lead changed goes on balancing; one without mesh addresses cannot. */
function isBalancing(node: Node): boolean {
  const up = node.status.state === 'ready' || node.status.state === 'unknown';
  return up && node.meshIndex !== undefined;
}

function publishes(view: StoreView, task: Task): boolean {
  const revision = view.revision(task.serviceId, task.specVersion);
  const endpoint = view.services.get(task.serviceId)?.endpoint;
  return [...(revision?.ports ?? []), ...(endpoint?.ports ?? [])].some(isIngress);
}

function isIngress(port: PortConfig): boolean {
  return port.publishMode === 'ingress';
}
