import type { Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { compareAge } from '#scheduler/slots.ts';
import type { Controller, Plan } from '../leader/controller.ts';
import { joinPlans, NOTHING, waitUntil } from './plans.ts';
import { orderOf, type ServiceState, serviceStates } from './service-state.ts';
import { activeOf, isUnplaced, type Slot } from './slots.ts';
import { fitTask } from './update-progress.ts';

/**
 * Where a slot has several active tasks, one takes over from the others: start-first when it runs, stop-first as soon as
 * it is prepared (so that a missing image stops nothing), or found no node beside what it replaces.
 */
export const handover: Controller = {
  name: 'handover',
  wakesOn: ['service', 'task', 'node'],
  plan(view, situation) {
    const states = serviceStates(view, situation);
    return joinPlans(
      states.flatMap((state) => state.slots.map((slot) => planSlot(state, slot, situation.nowMs))),
    );
  },
};

function planSlot(state: ServiceState, slot: Slot, nowMs: number): Plan {
  const active = activeOf(slot);
  if (active.length < 2) return NOTHING;
  const heir = fitTask(state, slot);
  const others = active.filter((task) => task !== heir);
  // One is enough to bridge the time until the heir takes over, or is there at all.
  const bridge = mostAdvanced(others);
  return joinPlans(
    others.map((task): Plan => {
      const fromMs = task === bridge ? mayLeaveAtMs(state, task, heir) : 0;
      if (fromMs > nowMs) return waitUntil(fromMs);
      return { changes: [{ kind: 'setDesired', taskId: task.id, desired: TaskState.Shutdown }] };
    }),
  );
}

function mostAdvanced(tasks: readonly Task[]): Task {
  const [first] = [...tasks].sort((a, b) => b.status.state - a.status.state || compareAge(a, b));
  return first as Task;
}

/** When a task may leave to its heir: 0 now, Infinity when that is up to the heir. */
function mayLeaveAtMs(state: ServiceState, task: Task, heir: Task | undefined): number {
  if (heir === undefined) return Number.POSITIVE_INFINITY;
  if (task.status.state !== TaskState.Running || heir.status.state === TaskState.Running) return 0;
  if (orderOf(state.service) === 'start-first') {
    // A node that no longer suits is not stayed on for want of another one.
    const mustGo = isUnplaced(heir) && state.misfitOf(task) === 'unsuitable';
    return mustGo ? 0 : Number.POSITIVE_INFINITY;
  }
  if (heir.desired === TaskState.Running || isUnplaced(heir)) return 0;
  return heir.status.state >= TaskState.Ready ? (heir.startAfterMs ?? 0) : Number.POSITIVE_INFINITY;
}
