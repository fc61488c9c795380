import type { Task, UpdateStatus } from '#proto/types/objects.ts';
import type { UpdateConfig } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { compareAge, endedAtMs, runningSinceMs } from '#scheduler/slots.ts';
import type { ServiceState } from './service-state.ts';
import { activeOf, endedByItself, isAccepting, isUnplaced, type Slot } from './slots.ts';

/*
 * How far the replacing of a service's tasks has come, read from the tasks alone. An update is made of tasks that fit
 * and were made since it began.
 */

const NS_PER_MS = 1_000_000;

export interface Progress {
  readonly state: ServiceState;
  readonly config: Required<UpdateConfig>;
  readonly nowMs: number;
}

/** The newest active task of a slot that is what its service wants. */
export function fitTask(state: ServiceState, slot: Slot): Task | undefined {
  return activeOf(slot).findLast((task) => state.misfitOf(task) === undefined);
}

/** Whether a slot can be changed now: nodes of a global service that take no tasks keep what they have. */
export function isOpenSlot(state: ServiceState, slot: Slot): boolean {
  return !state.isGlobal || isAccepting(state.node(slot));
}

/** Slots whose tasks, running or resting, all run an old spec. */
export function outdatedSlots(state: ServiceState): Slot[] {
  return state.slots.filter((slot) => isOpenSlot(state, slot) && isOutdatedSlot(state, slot));
}

function isOutdatedSlot(state: ServiceState, slot: Slot): boolean {
  const active = activeOf(slot);
  const judged = active.length > 0 ? active : slot.tasks.slice(-1);
  return judged.every((task) => state.isOutdated(task));
}

/** Whether a task was made by the update. A beginning that lies ahead of us was told by another clock. */
export function isOfUpdate(status: UpdateStatus, task: Task, nowMs: number): boolean {
  return task.createdAtMs >= status.startedAtMs || status.startedAtMs > nowMs;
}

/**
 * Whether a task counts against the update it is of: it ended without being asked, before it came to run or within the
 * monitored time after. Both times are its node's own.
 */
export function isFailure(progress: Progress, status: UpdateStatus, task: Task): boolean {
  if (!endedByItself(task) || !isOfUpdate(status, task, progress.nowMs)) return false;
  if (progress.state.isOutdated(task)) return false;
  const { startedAtMs, atMs } = task.status;
  return startedAtMs === undefined || atMs - startedAtMs <= progress.config.monitorNs / NS_PER_MS;
}

/** The first failure of each slot that has one, the earliest slot first. */
export function failuresOf(progress: Progress, status: UpdateStatus): Task[] {
  return progress.state.slots
    .flatMap((slot) => slot.tasks.find((task) => isFailure(progress, status, task)) ?? [])
    .sort((a, b) => endedAtMs(a) - endedAtMs(b) || compareAge(a, b));
}

/**
 * When the last word about a slot will have been said: 0 when it has been, Infinity while that is up to its tasks. A
 * slot that failed has had its say, and so has one that the update did not touch.
 */
export function settledAtMs(progress: Progress, status: UpdateStatus, slot: Slot): number {
  const { state, config, nowMs } = progress;
  if (slot.tasks.some((task) => isFailure(progress, status, task))) return 0;
  if (isOutdatedSlot(state, slot)) return Number.POSITIVE_INFINITY;
  const fit = fitTask(state, slot);
  if (fit === undefined) return 0;
  if (!isOfUpdate(status, fit, nowMs)) return 0;
  const sinceMs = fit.status.state === TaskState.Running ? runningSinceMs(fit) : undefined;
  return sinceMs === undefined ? Number.POSITIVE_INFINITY : sinceMs + config.monitorNs / NS_PER_MS;
}

/**
 * Until when a slot counts as being replaced: Infinity while its new task is on its way; 0 when it is not. A task that
 * failed here before is no longer waited for: the failure was counted, and the slot must not hold up the others.
 */
export function inFlightUntilMs({ state }: Pick<Progress, 'state'>, slot: Slot): number {
  const fit = fitTask(state, slot);
  if (fit === undefined || fit.status.state === TaskState.Running) return 0;
  return (fit.attempt ?? 0) > 0 ? 0 : Number.POSITIVE_INFINITY;
}

/** The same in an update, which also pauses after each slot. */
export function inUpdateUntilMs(progress: Progress, status: UpdateStatus, slot: Slot): number {
  const fit = fitTask(progress.state, slot);
  const sinceMs = fit?.status.state === TaskState.Running ? runningSinceMs(fit) : undefined;
  if (fit === undefined || sinceMs === undefined) return inFlightUntilMs(progress, slot);
  return isOfUpdate(status, fit, progress.nowMs) ? sinceMs + progress.config.delayNs / NS_PER_MS : 0;
}

/** The same when tasks are moved from a node that is being emptied: there nobody waits for what finds no other node. */
export function inMoveUntilMs(progress: Pick<Progress, 'state'>, slot: Slot): number {
  const fit = fitTask(progress.state, slot);
  return fit !== undefined && isUnplaced(fit) ? 0 : inFlightUntilMs(progress, slot);
}

/** Whether some task of the slot is up now. */
export function isUp(slot: Slot): boolean {
  return activeOf(slot).some((task) => task.status.state === TaskState.Running);
}

/** Whether the slot never was any good yet: its task found no node, and none before it ran. */
export function isStillborn(slot: Slot): boolean {
  const active = activeOf(slot);
  if (active.length === 0 || active.some((task) => task.status.state >= TaskState.Assigned)) return false;
  return slot.tasks.every((task) => task.status.startedAtMs === undefined);
}

/**
 * Whether a slot is not up now but is expected to be soon, so that others must not go down meanwhile. One that is over,
 * fails again and again, or never found a node, says nothing about when.
 */
export function isAway(state: ServiceState, slot: Slot): boolean {
  const active = activeOf(slot);
  if (active.length === 0 || isUp(slot) || isStillborn(slot) || !isOpenSlot(state, slot)) return false;
  return active.every((task) => !task.attempt && !isUnplaced(task));
}
