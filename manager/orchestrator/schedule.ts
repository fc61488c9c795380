import type { Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { place } from '#scheduler/place.ts';
import type { Controller } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';

/** Gives nodes to pending tasks. Why one must wait is written to its status, and again only when the reason changes. */
export const schedule: Controller = {
  name: 'schedule',
  wakesOn: ['node', 'service', 'task'],
  plan(view, { nowMs, known, services, more }) {
    const { placed, waiting } = place(view, nowMs, known, more ? services : undefined);
    return {
      changes: [
        ...placed.map(({ task, nodeId }): Change => ({ kind: 'assignTask', taskId: task.id, nodeId })),
        ...waiting
          .filter(({ task, reason }) => task.status.error !== reason)
          .map(({ task, reason }) => explained(task, reason, nowMs)),
      ],
    };
  },
};

function explained(task: Task, error: string, nowMs: number): Change {
  const { message } = task.status;
  const status = { state: TaskState.Pending, atMs: nowMs, message, error };
  return { kind: 'setTaskStatus', taskId: task.id, status };
}
