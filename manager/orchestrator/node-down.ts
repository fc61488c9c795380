import type { Node, Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { isDead, isLeaving } from '#scheduler/slots.ts';
import type { Controller, Plan, Situation } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';
import { joinPlans, NOTHING, waitUntil } from './plans.ts';
import { nodesToLookAt } from './service-state.ts';

/** After so long a node that is down is taken to be gone, and what its tasks held is given back (Swarm's 24 hours). */
const ORPHANED_AFTER_MS = 24 * 3_600_000;

/**
 * Tasks that went away with their node: they are to stop, wherever they may be, and their slots are filled anew. When the
 * node was removed, or has been down for a day, they are over.
 */
export const nodeDown: Controller = {
  name: 'node-down',
  wakesOn: ['node', 'task'],
  plan(view, situation) {
    const { nowMs } = situation;
    // Only a change of nodes, or time, makes anything new here.
    const nodes = nodesToLookAt(view, situation);
    if (nodes === undefined) return NOTHING;
    const down = nodes.filter((node) => node.status.state === 'down');
    return joinPlans([
      ...down.map((node) => planDown(view, node, nowMs)),
      { changes: planRemoved(view, situation) },
    ]);
  },
};

function planDown(view: StoreView, node: Node, nowMs: number): Plan {
  const tasks = view.tasks.byNode(node.id).filter((task) => !isDead(task));
  const changes = tasks.filter((task) => !isLeaving(task)).map(stop);
  if (tasks.length === 0) return NOTHING;
  const overMs = (node.status.sinceMs ?? node.updatedAtMs) + ORPHANED_AFTER_MS;
  if (nowMs < overMs) return joinPlans([{ changes }, waitUntil(overMs)]);
  const lost = tasks.map((task) =>
    orphan(task, nowMs, 'Task belonged to a node that has been down for 24 hours'),
  );
  return { changes: [...changes, ...lost] };
}

function planRemoved(view: StoreView, { nodes, nowMs }: Situation): Change[] {
  const removed = [...(nodes ?? view.tasks.nodeIds())].filter((id) => view.nodes.get(id) === undefined);
  const tasks = removed.sort().flatMap((id) => view.tasks.byNode(id));
  return tasks
    .filter((task) => !isDead(task))
    .flatMap((task) => {
      const over = orphan(task, nowMs, 'Task belonged to a node that has been deleted');
      return isLeaving(task) ? [over] : [stop(task), over];
    });
}

function stop(task: Task): Change {
  return { kind: 'setDesired', taskId: task.id, desired: TaskState.Shutdown };
}

function orphan(task: Task, nowMs: number, message: string): Change {
  const { startedAtMs, container } = task.status;
  return {
    kind: 'setTaskStatus',
    taskId: task.id,
    status: {
      state: TaskState.Orphaned,
      atMs: nowMs,
      message,
      ...(startedAtMs === undefined ? {} : { startedAtMs }),
      ...(container === undefined ? {} : { container }),
    },
  };
}
