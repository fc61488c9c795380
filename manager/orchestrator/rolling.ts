import type { Controller, Plan } from '../leader/controller.ts';
import { joinPlans, NOTHING, waitUntil } from './plans.ts';
import { orderOf, type ServiceState, serviceStates, updateConfigOf } from './service-state.ts';
import { activeOf, endedByItself, newestOf, type Slot } from './slots.ts';
import { restartOf, successor } from './succession.ts';
import {
  fitTask,
  inMoveUntilMs,
  inUpdateUntilMs,
  isAway,
  isStillborn,
  isUp,
  outdatedSlots,
  type Progress,
} from './update-progress.ts';

/**
 * Begins to replace tasks that still run but should not go on: on nodes that are being emptied or no longer suit, and
 * those of an old spec. Never more slots at once than the service's update settings allow; `handover` does the rest.
 */
export const rolling: Controller = {
  name: 'rolling',
  wakesOn: ['service', 'task', 'node'],
  plan(view, situation) {
    return joinPlans(serviceStates(view, situation).map((state) => planService(state, situation.nowMs)));
  },
};

function planService(state: ServiceState, nowMs: number): Plan {
  const progress: Progress = { state, config: updateConfigOf(state.service), nowMs };
  const moves = planMoves(progress);
  // Moves go first: where one is planned, the next look finds it on its way and counts it.
  return moves.changes.length > 0 ? moves : joinPlans([moves, planUpdate(progress)]);
}

function planMoves(progress: Progress): Plan {
  if (progress.state.isGlobal) return NOTHING;
  const misplaced = progress.state.slots.filter((slot) => isMisplaced(progress.state, slot));
  return begin(progress, inTurn(misplaced), (slot) => inMoveUntilMs(progress, slot));
}

/** Nothing that fits, and something on a node it should leave. */
function isMisplaced(state: ServiceState, slot: Slot): boolean {
  if (fitTask(state, slot) !== undefined) return false;
  const misfits = activeOf(slot).map((task) => state.misfitOf(task));
  return misfits.includes('drained') || misfits.includes('unsuitable');
}

/** Slots of an old spec, while an update is not paused. What comes late (a node that was down) still gets its turn. */
function planUpdate(progress: Progress): Plan {
  const { state } = progress;
  const status = state.service.update;
  if (status === undefined || status.targetVersion !== state.service.specVersion) return NOTHING;
  if (status.state === 'paused' || status.state === 'rollback_paused') return NOTHING;
  return begin(progress, inTurn(outdatedSlots(state)), (slot) => inUpdateUntilMs(progress, status, slot));
}

/** What does not run first, for there is nothing to lose; then what runs; at last what found no node as it was. */
function inTurn(slots: readonly Slot[]): Slot[] {
  const turn = (slot: Slot): number => (isUp(slot) ? 1 : isStillborn(slot) ? 2 : 0);
  return [...slots].sort((a, b) => turn(a) - turn(b));
}

/**
 * Starts as many as the parallelism leaves room for, beside the slots that `busyUntilMs` says are under way. Slots that
 * are not up for another reason leave no room for more to go down, but may themselves be replaced.
 */
function begin(progress: Progress, slots: readonly Slot[], busyUntilMs: (slot: Slot) => number): Plan {
  if (slots.length === 0) return NOTHING;
  const { config, nowMs, state } = progress;
  const busy = new Set<Slot>();
  const plans: Plan[] = [];
  for (const slot of state.slots) {
    const untilMs = busyUntilMs(slot);
    if (untilMs <= nowMs) continue;
    busy.add(slot);
    plans.push(waitUntil(untilMs));
  }
  const away = new Set(state.slots.filter((slot) => !busy.has(slot) && isAway(state, slot)));
  const limit = config.parallelism === 0 ? Number.POSITIVE_INFINITY : config.parallelism;
  let begun = busy.size;
  for (const slot of slots) {
    away.delete(slot);
    if (begun + (isUp(slot) ? away.size : 0) >= limit) break;
    const plan = beginSlot(progress, slot);
    plans.push(plan);
    if (plan.changes.length > 0) begun++;
  }
  return joinPlans(plans);
}

/** A first successor at once; a further one, after one that failed, as the restart policy says. */
function beginSlot({ state, nowMs }: Progress, slot: Slot): Plan {
  const startFirst = orderOf(state.service) === 'start-first';
  const newest = newestOf(slot);
  if (!endedByItself(newest) || state.isOutdated(newest))
    return { changes: [successor(state, slot, { startFirst })] };
  const again = restartOf(state, slot, nowMs);
  if (again.kind === 'never') return NOTHING;
  if (again.kind === 'wait') return waitUntil(again.untilMs);
  const { kind: _, ...when } = again;
  return { changes: [successor(state, slot, { startFirst, ...when })] };
}
