import type { AssignedTask, NetworkInfo, NetworkState, NodeSelf } from '#proto/types/assignments.ts';
import type { NodeDescription, Revision, TaskStatus } from '#proto/types/objects.ts';

/** Everything a task needs to know to run. */
export interface TaskContext {
  readonly task: AssignedTask;
  readonly revision: Revision;
  readonly node: NodeSelf & { readonly hostname: string };
  /** The networks that the task is attached to. */
  readonly networks: readonly NetworkInfo[];
}

/** Key of a task in what runs it. */
export type TaskKey = AssignedTask['id'];

/** What running things adds to a task's status: container, addresses, ports. */
export type RunInfo = Pick<TaskStatus, 'container' | 'meshAddr' | 'ports'>;

export interface TaskExit {
  readonly code: number;
  /** Why, when it was more than the process ending: killed for memory, unhealthy. */
  readonly error?: string;
}

/**
 * Runs one task. Every call is idempotent: after a restart of the daemon a new controller for the same task finds
 * what the old one made. A call that fails throws; `temporary()` errors are tried again, others end the task.
 */
export interface TaskController {
  /** Fetches the image and makes the container, not started. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Starts it, and resolves when it is healthy, or listens on its service's ports, or has no way to tell. */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when the process has ended; unhealthy containers are stopped and reported so. */
  wait(signal: AbortSignal): Promise<TaskExit>;
  /** Nobody balances to it any more: waits for its last connections, at most LIMITS.drainMsMax. */
  drain(signal: AbortSignal): Promise<void>;
  /** Stop signal, grace period, kill. Resolves when nothing runs; also when nothing ever ran. */
  shutdown(signal: AbortSignal): Promise<void>;
  /** Removes the container and everything made for it. */
  remove(signal: AbortSignal): Promise<void>;
  info(): RunInfo;
}

export interface Executor {
  /** What this node is and has; asked again every 20 s. */
  describe(): Promise<NodeDescription>;
  controller(context: TaskContext): TaskController;
  /** Removes what is left on this node of any task that is not in `keep`; throws at the end what kept some of it. */
  sweep(keep: ReadonlySet<TaskKey>, signal: AbortSignal): Promise<void>;
  /** Brings the data plane to this state; resolves when packets go that way. */
  applyNetwork(state: NetworkState): Promise<void>;
}

/** A failure worth trying again: a registry that does not answer, a peer that went away. */
export class TemporaryError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TemporaryError';
  }
}
