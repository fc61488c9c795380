import type { AssignedTask } from '#proto/types/assignments.ts';
import { isTerminal, TaskState } from '#proto/types/states.ts';

/**
 * What a task needs next, as a value. `mark` only moves the state; `perform` calls the controller and moves on when it
 * succeeds; `rest` has nothing to do until something changes, or until a time comes.
 */
export type Step =
  | { readonly kind: 'mark'; readonly to: TaskState }
  | { readonly kind: 'perform'; readonly action: TaskAction; readonly to: TaskState }
  | { readonly kind: 'rest'; readonly untilMs?: number };

/** Calls of the executor's TaskController. `leave` = drain, then shutdown. */
export type TaskAction = 'prepare' | 'start' | 'wait' | 'leave' | 'shutdown';

export interface StepInput {
  readonly observed: TaskState;
  readonly task: Pick<AssignedTask, 'desired' | 'released'>;
  /** Since when the task has been asked to leave, on this node's clock; absent while it is not. */
  readonly leavingSinceMs?: number;
  /** How long it waits for every balancing node to let go of it. */
  readonly releaseWaitMs: number;
  readonly nowMs: number;
}

const REST: Step = { kind: 'rest' };

/** One step at a time, always forward: the agent's half of the life of a task (TaskState). */
export function nextStep(input: StepInput): Step {
  if (isTerminal(input.observed)) return REST;
  if (input.task.desired >= TaskState.Shutdown) return leavingStep(input);
  return runningStep(input);
}

function runningStep({ observed, task }: StepInput): Step {
  switch (observed) {
    case TaskState.Assigned:
      return { kind: 'mark', to: TaskState.Accepted };
    case TaskState.Accepted:
      return { kind: 'mark', to: TaskState.Preparing };
    case TaskState.Preparing:
      return { kind: 'perform', action: 'prepare', to: TaskState.Ready };
    case TaskState.Ready:
      return task.desired === TaskState.Ready ? REST : { kind: 'mark', to: TaskState.Starting };
    case TaskState.Starting:
      return { kind: 'perform', action: 'start', to: TaskState.Running };
    case TaskState.Running:
      return { kind: 'perform', action: 'wait', to: TaskState.Complete };
    default:
      return REST;
  }
}

/**
 * A task that others may be sending requests to is stopped only when all of them have let go of it, or have had
 * their time; its last connections are then waited for (`leave`). One that never ran has nobody to wait for.
 */
function leavingStep({ observed, task, leavingSinceMs, releaseWaitMs, nowMs }: StepInput): Step {
  if (observed !== TaskState.Running) return { kind: 'perform', action: 'shutdown', to: TaskState.Shutdown };
  const overdueMs = (leavingSinceMs ?? nowMs) + releaseWaitMs;
  if (task.released || nowMs >= overdueMs)
    return { kind: 'perform', action: 'leave', to: TaskState.Shutdown };
  return { kind: 'rest', untilMs: overdueMs };
}
