import type { NetworkId, NodeId, ServiceId } from '#proto/types/ids.ts';
import { networkIdsOf } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { isDead, isOver } from '#scheduler/slots.ts';
import type { StoreView, TaskGlance } from '../store/view.ts';

/*
 * Who is on a network, without a look at every task: on which a task is follows from what it runs, and there are few
 * revisions for many tasks.
 */

/** The services, and of each the versions of its spec, that put tasks on a network. */
function revisionsOn(view: StoreView, network: NetworkId): Map<ServiceId, Set<number>> {
  const found = new Map<ServiceId, Set<number>>();
  for (const { serviceId, specVersion } of view.tasks.revisions()) {
    const revision = view.revision(serviceId, specVersion);
    if (revision === undefined || !networkIdsOf(revision.task).includes(network)) continue;
    found.set(serviceId, (found.get(serviceId) ?? new Set<number>()).add(specVersion));
  }
  return found;
}

/** Whether tasks that are not over are on a network. */
export function hasTasksOn(view: StoreView, network: NetworkId): boolean {
  for (const serviceId of revisionsOn(view, network).keys())
    for (const task of view.tasks.byService(serviceId))
      if (!isDead(task) && task.networks.some(({ networkId }) => networkId === network)) return true;
  return false;
}

/** The nodes with tasks that have addresses of an overlay network: those that balance to its addresses. */
export function nodesOn(view: StoreView, network: NetworkId): ReadonlySet<NodeId> {
  const nodes = new Set<NodeId>();
  for (const [serviceId, versions] of revisionsOn(view, network))
    view.tasks.glance(serviceId, (task) => {
      if (task.nodeId !== undefined && versions.has(task.specVersion) && hasAddresses(task))
        nodes.add(task.nodeId);
    });
  return nodes;
}

/** A task gets its addresses when it becomes pending, and keeps them until it is over. */
function hasAddresses(task: TaskGlance): boolean {
  return task.state > TaskState.New && !isOver(task);
}
