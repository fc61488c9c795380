import type { NodeId } from '#proto/types/ids.ts';
import type { Service } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { isLeaving } from '#scheduler/slots.ts';
import type { StoreView } from '../store/view.ts';
import type { TaskCounts } from './convert/service-view.ts';

/** How many tasks of a service run on nodes that are up, and how many there should be. */
export function taskCounts(view: StoreView, { id, spec }: Service): TaskCounts {
  const tasks = view.tasks.byService(id);
  const running = tasks.filter(
    ({ status, nodeId }) => status.state === TaskState.Running && isUp(view, nodeId),
  ).length;
  const wanted = tasks.filter((task) => !isLeaving(task)).length;
  const completed = tasks.filter(({ status }) => status.state === TaskState.Complete).length;
  const desired = spec.mode.kind === 'replicated' ? spec.mode.replicas : wanted;
  const isJob = spec.mode.kind === 'replicated-job' || spec.mode.kind === 'global-job';
  return { running, desired, completed: isJob ? completed : 0 };
}

function isUp({ nodes }: StoreView, nodeId: NodeId | undefined): boolean {
  return nodeId !== undefined && nodes.get(nodeId)?.status.state !== 'down';
}
