import { isTerminal, TaskState } from '#proto/types/states.ts';
import { isActive, isLeaving } from '#scheduler/slots.ts';
import type { Controller, Plan } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import { joinPlans, NOTHING, waitUntil } from './plans.ts';
import { orderOf, type ServiceState, serviceStates } from './service-state.ts';
import { isAccepting, type Slot } from './slots.ts';
import { hasEnded, mayStartAtMs, restartOf, successor } from './succession.ts';

/**
 * The restart policy: a task that ended is succeeded by a new one in its slot, prepared at once and started after the
 * policy's delay; and tasks that were held back are started when their time has come and their predecessor has gone.
 */
export const restart: Controller = {
  name: 'restart',
  wakesOn: ['service', 'task', 'node'],
  plan(view, { nowMs, ...situation }) {
    const states = serviceStates(view, { nowMs, ...situation });
    return joinPlans(states.flatMap((state) => state.slots.map((slot) => planSlot(state, slot, nowMs))));
  },
};

function planSlot(state: ServiceState, slot: Slot, nowMs: number): Plan {
  return joinPlans([
    { changes: retireEnded(slot) },
    restartEnded(state, slot, nowMs),
    promote(state, slot, nowMs),
  ]);
}

function retireEnded(slot: Slot): Change[] {
  return slot.tasks
    .filter((task) => !isLeaving(task) && isTerminal(task.status.state))
    .map((task) => ({ kind: 'setDesired', taskId: task.id, desired: TaskState.Shutdown }));
}

function restartEnded(state: ServiceState, slot: Slot, nowMs: number): Plan {
  if (!hasEnded(slot) || !isOpen(state, slot)) return NOTHING;
  const decision = restartOf(state, slot, nowMs);
  if (decision.kind === 'never') return NOTHING;
  if (decision.kind === 'wait') return waitUntil(decision.untilMs);
  const { kind: _, ...when } = decision;
  return { changes: [successor(state, slot, { startFirst: true, ...when })] };
}

/** A node that takes no tasks gets no new one of a global service either. */
function isOpen(state: ServiceState, slot: Slot): boolean {
  if (!state.isGlobal) return true;
  const node = state.node(slot);
  return isAccepting(node) && state.suits(node);
}

function promote(state: ServiceState, slot: Slot, nowMs: number): Plan {
  const startFirst = orderOf(state.service) === 'start-first';
  const held = slot.tasks.filter((task) => isActive(task) && task.desired === TaskState.Ready);
  return joinPlans(
    held.map((task): Plan => {
      const fromMs = mayStartAtMs(state, slot, task, startFirst);
      if (fromMs > nowMs) return waitUntil(fromMs);
      return { changes: [{ kind: 'setDesired', taskId: task.id, desired: TaskState.Running }] };
    }),
  );
}
