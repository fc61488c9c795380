import type { TaskStatus } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';

/** What users read beside the state; Swarm's own words. */
const MESSAGES: Partial<Record<TaskState, string>> = {
  [TaskState.Assigned]: 'assigned',
  [TaskState.Accepted]: 'accepted',
  [TaskState.Preparing]: 'preparing',
  [TaskState.Ready]: 'prepared',
  [TaskState.Starting]: 'starting',
  [TaskState.Running]: 'started',
  [TaskState.Complete]: 'finished',
  [TaskState.Shutdown]: 'shutdown',
};

/** The status after moving on to `state`: what ran stays known, an old error goes. */
export function movedTo(
  status: TaskStatus,
  state: TaskState,
  atMs: number,
  info: Partial<TaskStatus> = {},
): TaskStatus {
  const { error: _gone, ...kept } = status;
  const startedAtMs = state === TaskState.Running ? atMs : status.startedAtMs;
  return {
    ...kept,
    ...info,
    state,
    atMs,
    message: MESSAGES[state] ?? '',
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
  };
}

/**
 * The status of a task that could not go on. Before anything was started it is Rejected, afterwards Failed; the message
 * stays that of the state it was in, as in Swarm.
 */
export function failedWith(
  status: TaskStatus,
  error: string,
  atMs: number,
  info: Partial<TaskStatus> = {},
): TaskStatus {
  const state = status.state < TaskState.Starting ? TaskState.Rejected : TaskState.Failed;
  return { ...status, ...info, state, atMs, error };
}

/** How a process that ended by itself is told: `task: non-zero exit (1)`. */
export function exitError(code: number, reason: string | undefined): string | undefined {
  if (code === 0 && reason === undefined) return undefined;
  return `task: non-zero exit (${code})${reason === undefined ? '' : `: ${reason}`}`;
}
