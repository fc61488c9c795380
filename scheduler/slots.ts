import type { NodeId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { isTerminal, TaskState } from '#proto/types/states.ts';

/** What only one task of a service at a time is for: a number when replicated, a node when global. */
export type SlotKey = number | NodeId;

/** The slot of a task. Global tasks have slot 0 and always a node. */
export function slotKeyOf(task: Task): SlotKey {
  return task.slot === 0 && task.nodeId !== undefined ? task.nodeId : task.slot;
}

/** Orders the tasks of one slot: who was made first comes first. */
export function compareAge(a: Task, b: Task): number {
  return (
    a.specVersion - b.specVersion ||
    a.createdAtMs - b.createdAtMs ||
    (a.attempt ?? 0) - (b.attempt ?? 0) ||
    (a.id < b.id ? -1 : 1)
  );
}

/** Nothing of the task runs, nor ever will: it ended, or it left before any node had it. */
export function isDead({ status, desired }: Pick<Task, 'status' | 'desired'>): boolean {
  return isOver({ state: status.state, desired });
}

/** The same of a task that is known by its states. */
export function isOver({ state, desired }: { state: TaskState; desired: Task['desired'] }): boolean {
  return isTerminal(state) || (isLeaving({ desired }) && state < TaskState.Assigned);
}

/** The task was asked to stop. */
export function isLeaving({ desired }: Pick<Task, 'desired'>): boolean {
  return desired > TaskState.Complete;
}

/** The task is meant to run, and has not ended. */
export function isActive(task: Task): boolean {
  return !isLeaving(task) && !isTerminal(task.status.state);
}

/**
 * When a task ended, on the managers' clock. A node's clock may be off: what it says is held between the times at
 * which managers made the task and last heard of it.
 */
export function endedAtMs(task: Task): number {
  return between(task.createdAtMs, task.status.atMs, task.updatedAtMs);
}

/** When a task came to run, on the managers' clock; undefined when it never did. */
export function runningSinceMs(task: Task): number | undefined {
  const startedAtMs = task.status.startedAtMs;
  if (startedAtMs !== undefined) return between(task.createdAtMs, startedAtMs, task.updatedAtMs);
  return task.status.state === TaskState.Running ? endedAtMs(task) : undefined;
}

function between(low: number, value: number, high: number): number {
  return Math.max(low, Math.min(value, high));
}
