/**
 * The life of a task. Numbers leave gaps for states not thought of yet, and their order is the order of life: a
 * task's state only grows. One writer per state:
 *   New: orchestrator · Pending: allocator · Assigned: scheduler · Accepted to Shutdown: the agent ·
 *   Orphaned: node-down handling · Remove: only ever a desired state.
 */
export const TaskState = {
  New: 0,
  Pending: 64,
  Assigned: 192,
  Accepted: 256,
  Preparing: 320,
  Ready: 384,
  /** Lasts until the task is healthy, or listens on the ports its service names. */
  Starting: 448,
  Running: 512,
  Complete: 576,
  Shutdown: 640,
  Failed: 704,
  Rejected: 768,
  Remove: 800,
  Orphaned: 832,
} as const;
export type TaskState = (typeof TaskState)[keyof typeof TaskState];

const taskStateNames = new Map(
  Object.entries(TaskState).map(([name, state]) => [state as TaskState, name.toLowerCase()]),
);

/** The state as the Engine API spells it: `running`. */
export function taskStateName(state: TaskState): string {
  return taskStateNames.get(state) ?? 'unknown';
}

/** Ended for good: nothing of the task runs any more. */
export function isTerminal(state: TaskState): boolean {
  return state > TaskState.Running;
}

/** What the agent aims at. Ready: prepared but held back; Complete: run to the end (jobs); it only grows. */
export type DesiredState =
  | typeof TaskState.Ready
  | typeof TaskState.Running
  | typeof TaskState.Complete
  | typeof TaskState.Shutdown
  | typeof TaskState.Remove;

export type NodeState = 'unknown' | 'down' | 'ready' | 'disconnected';
export type NodeRole = 'worker' | 'manager';
export type NodeAvailability = 'active' | 'pause' | 'drain';
export type Reachability = 'unknown' | 'unreachable' | 'reachable';

export type UpdateState =
  | 'updating'
  | 'paused'
  | 'completed'
  | 'rollback_started'
  | 'rollback_paused'
  | 'rollback_completed';
