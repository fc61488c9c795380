import { RESTART_DEFAULTS, STOP_GRACE_DEFAULT_NS } from '#proto/types/defaults.ts';
import type { Task } from '#proto/types/objects.ts';
import type { RestartPolicy } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { endedAtMs, isActive } from '#scheduler/slots.ts';
import type { Change } from '../store/changes.ts';
import type { ServiceState } from './service-state.ts';
import { activeOf, endedByItself, newestOf, type Slot, stillLeaving } from './slots.ts';

/*
 * Who follows whom in a slot, and when. All of it is read from the tasks themselves, so that a new leader decides as the
 * old one would have.
 */

const NS_PER_MS = 1_000_000;
/** How long beyond its grace period a task that was asked to stop keeps its successor waiting. */
const STOP_WAIT_MS = 60_000;

/** What a slot's restart policy says after its newest task ended by itself. */
export type Restart =
  | { readonly kind: 'never' }
  /** Not before: the task that ended was itself still waiting for its start. */
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'now'; readonly startAfterMs?: number; readonly attempt: number };

export function restartOf(state: ServiceState, slot: Slot, nowMs: number): Restart {
  const ended = newestOf(slot);
  const policy = policyOf(state, ended);
  const restarts = restartsBefore(state, slot, ended, policy);
  if (!asksForRestart(policy, ended)) return { kind: 'never' };
  if (policy.maxAttempts > 0 && restarts >= policy.maxAttempts) return { kind: 'never' };
  if (ended.startAfterMs !== undefined && nowMs < ended.startAfterMs)
    return { kind: 'wait', untilMs: ended.startAfterMs };
  const attempt = state.isOutdated(ended) ? 0 : restarts + 1;
  const delayMs = policy.delayNs / NS_PER_MS;
  return { kind: 'now', attempt, ...(delayMs > 0 ? { startAfterMs: Math.ceil(nowMs + delayMs) } : {}) };
}

function policyOf(state: ServiceState, task: Task): Required<RestartPolicy> {
  const revision = state.view.revision(task.serviceId, task.specVersion);
  return { ...RESTART_DEFAULTS, ...(revision?.task ?? state.service.spec.task).restart };
}

function asksForRestart({ condition }: Required<RestartPolicy>, ended: Task): boolean {
  return condition === 'any' || (condition === 'on-failure' && ended.status.state !== TaskState.Complete);
}

/**
 * Restarts of the slot that count against its policy when `ended` ends: all of this spec, or those within the window.
 * Where history no longer reaches back to the window's beginning, the oldest task in it knows how many were before.
 */
function restartsBefore(
  state: ServiceState,
  slot: Slot,
  ended: Task,
  { windowNs }: Required<RestartPolicy>,
): number {
  if (windowNs === 0) return ended.attempt ?? 0;
  const fromMs = endedAtMs(ended) - windowNs / NS_PER_MS;
  const sameSpec = slot.tasks.filter((task) => isSameSpec(state, task, ended));
  const within = sameSpec.filter((task) => (task.attempt ?? 0) > 0 && task.createdAtMs >= fromMs);
  const oldest = within[0];
  if (oldest === undefined) return 0;
  const reachesBack = sameSpec.some((task) => task.createdAtMs < fromMs);
  return within.length + (reachesBack ? 0 : (oldest.attempt ?? 1) - 1);
}

function isSameSpec(state: ServiceState, a: Task, b: Task): boolean {
  return a.specVersion === b.specVersion || (!state.isOutdated(a) && !state.isOutdated(b));
}

/** A task for a slot, held back until what it takes over from is out of its way. */
export function successor(
  state: ServiceState,
  slot: Slot,
  opts: { readonly startFirst: boolean; readonly startAfterMs?: number; readonly attempt?: number },
): Change {
  const { startFirst, startAfterMs, attempt } = opts;
  const inTheWay =
    stillLeaving(slot.tasks, state.view.nodes).length + (startFirst ? 0 : activeOf(slot).length);
  return {
    kind: 'createTask',
    serviceId: state.service.id,
    ...(typeof slot.key === 'number' ? { slot: slot.key } : { slot: 0, nodeId: slot.key }),
    desired: inTheWay > 0 || startAfterMs !== undefined ? TaskState.Ready : TaskState.Running,
    ...(startAfterMs === undefined ? {} : { startAfterMs }),
    ...(attempt ? { attempt } : {}),
  };
}

/** A task in place of one that was taken from its slot, by no fault of its own: at once, and no restart is counted. */
export function replacement(state: ServiceState, slot: Slot): Change {
  const taken = newestOf(slot);
  const attempt = state.isOutdated(taken) ? 0 : (taken.attempt ?? 0);
  return successor(state, slot, { startFirst: true, attempt });
}

/** When a task that is held back may start: a time, Infinity while others are in its way, 0 at once. */
export function mayStartAtMs(state: ServiceState, slot: Slot, task: Task, startFirst: boolean): number {
  const others = slot.tasks.filter((other) => other !== task);
  if (!startFirst && others.some(isActive)) return Number.POSITIVE_INFINITY;
  const dueMs = task.startAfterMs ?? 0;
  const leaving = stillLeaving(others, state.view.nodes);
  return Math.max(dueMs, ...leaving.map((other) => other.updatedAtMs + stopWaitMs(state, other)));
}

/** How long a task that was asked to stop is waited for: one that never does holds up its slot no longer. */
function stopWaitMs(state: ServiceState, task: Task): number {
  const container = state.view.revision(task.serviceId, task.specVersion)?.task.container;
  return STOP_WAIT_MS + (container?.stopGracePeriodNs ?? STOP_GRACE_DEFAULT_NS) / NS_PER_MS;
}

/** Whether the newest task of a slot ended by itself and nothing else is active: the restart policy's business. */
export function hasEnded(slot: Slot): boolean {
  return activeOf(slot).length === 0 && endedByItself(newestOf(slot));
}
