import type { NodeId } from '#proto/types/ids.ts';
import type { Service } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { isLeaving } from '#scheduler/slots.ts';
import type { StoreView } from '../store/view.ts';
import type { TaskCounts } from './convert/service-view.ts';

/** How many tasks of a service run on nodes that are up, and how many there should be. */
export function taskCounts(view: StoreView, { id, spec }: Service): TaskCounts {
  let running = 0;
  let wanted = 0;
  let completed = 0;
  view.tasks.glance(id, (task) => {
    const { state, nodeId } = task;
    if (state === TaskState.Running && isUp(view, nodeId)) running++;
    if (!isLeaving(task)) wanted++;
    if (state === TaskState.Complete) completed++;
  });
  const isJob = spec.mode.kind === 'replicated-job' || spec.mode.kind === 'global-job';
  return {
    running,
    desired: spec.mode.kind === 'replicated' ? spec.mode.replicas : wanted,
    completed: isJob ? completed : 0,
  };
}

function isUp({ nodes }: StoreView, nodeId: NodeId | undefined): boolean {
  return nodeId !== undefined && nodes.get(nodeId)?.status.state !== 'down';
}
