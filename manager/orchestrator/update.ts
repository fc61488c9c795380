import type { Task, UpdateStatus } from '#proto/types/objects.ts';
import type { FailureAction } from '#proto/types/specs.ts';
import type { Controller, Plan } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import { joinPlans, NOTHING, waitUntil } from './plans.ts';
import { isRollback, type ServiceState, serviceStates, updateConfigOf } from './service-state.ts';
import { failuresOf, isOpenSlot, outdatedSlots, type Progress, settledAtMs } from './update-progress.ts';

/**
 * The state of updates: begun when tasks run an old spec, ended when every slot has had its say, paused or rolled back
 * when too many failed. `rolling` replaces the tasks meanwhile; messages are Swarm's.
 */
export const update: Controller = {
  name: 'update',
  wakesOn: ['service', 'task', 'node'],
  plan(view, situation) {
    const states = serviceStates(view, situation)
      // The version of a spec that only this draft knows is not final: it has its turn when it is committed.
      .filter((state) => state.service.specVersion <= view.version);
    return joinPlans(states.map((state) => planService(state, situation.nowMs)));
  },
};

function planService(state: ServiceState, nowMs: number): Plan {
  const { update: status, specVersion } = state.service;
  if (status === undefined) return maybeBegin(state, nowMs);
  if (status.targetVersion === specVersion) return goOn(state, status, nowMs);
  if (!isUnfinished(status) || !state.runsTheSame(status.targetVersion)) return maybeBegin(state, nowMs);
  // The spec changed in nothing that concerns tasks: it was scaled, say, in the middle of an update.
  return { changes: [write(state, { ...status, targetVersion: specVersion })] };
}

function isUnfinished({ state }: UpdateStatus): boolean {
  return state !== 'completed' && state !== 'rollback_completed';
}

function maybeBegin(state: ServiceState, nowMs: number): Plan {
  if (outdatedSlots(state).length === 0) return NOTHING;
  const { specVersion: targetVersion } = state.service;
  const status: UpdateStatus = {
    state: 'updating',
    startedAtMs: nowMs,
    message: 'update in progress',
    targetVersion,
  };
  return { changes: [write(state, status)] };
}

function goOn(state: ServiceState, status: UpdateStatus, nowMs: number): Plan {
  if (status.state !== 'updating' && status.state !== 'rollback_started') return NOTHING;
  const progress: Progress = { state, config: updateConfigOf(state.service), nowMs };
  const failures = failuresOf(progress, status);
  const [first] = failures;
  const tooMany = failures.length > progress.config.maxFailureRatio * state.slots.length;
  if (first !== undefined && tooMany && progress.config.failureAction !== 'continue')
    return { changes: [stop(state, status, first, progress.config.failureAction)] };
  return maybeComplete(progress, status);
}

function stop(state: ServiceState, status: UpdateStatus, failed: Task, action: FailureAction): Change {
  const because = `due to failure or early termination of task ${failed.id}`;
  if (isRollback(status))
    return write(state, { ...status, state: 'rollback_paused', message: `rollback paused ${because}` });
  if (action === 'pause' || state.service.previousSpec === undefined)
    return write(state, { ...status, state: 'paused', message: `update paused ${because}` });
  return {
    kind: 'rollBackService',
    serviceId: state.service.id,
    update: { ...status, state: 'rollback_started', message: `update rolled back ${because}` },
  };
}

function maybeComplete(progress: Progress, status: UpdateStatus): Plan {
  const { state, nowMs } = progress;
  const open = state.slots.filter((slot) => isOpenSlot(state, slot));
  const settledMs = open.reduce((last, slot) => Math.max(last, settledAtMs(progress, status, slot)), 0);
  if (settledMs > nowMs) return waitUntil(settledMs);
  const completed = isRollback(status)
    ? { state: 'rollback_completed' as const, message: 'rollback completed' }
    : { state: 'completed' as const, message: 'update completed' };
  return { changes: [write(state, { ...status, ...completed, completedAtMs: nowMs })] };
}

function write(state: ServiceState, status: UpdateStatus): Change {
  return { kind: 'setUpdateStatus', serviceId: state.service.id, update: status };
}
