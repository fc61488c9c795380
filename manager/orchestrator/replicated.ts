import type { NodeId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import type { Controller } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import { type ServiceState, serviceStates } from './service-state.ts';
import { activeOf, isVacant, type Slot } from './slots.ts';
import { replacement } from './succession.ts';

/**
 * Replicated services: as many slots as replicas. Slots left empty by no fault of their task are filled again; what ended
 * by itself is the restart policy's business, and existing tasks are never touched by scaling.
 */
export const replicated: Controller = {
  name: 'replicated',
  wakesOn: ['service', 'task'],
  plan: (view, situation) => ({ changes: serviceStates(view, situation).flatMap(planService) }),
};

function planService(state: ServiceState): Change[] {
  const { mode } = state.service.spec;
  if (mode.kind !== 'replicated') return [];
  const leaving = new Set(victims(state.slots, state.slots.length - mode.replicas));
  const kept = state.slots.filter((slot) => !leaving.has(slot));
  return [
    ...[...leaving].flatMap(remove),
    ...kept.filter(isVacant).map((slot) => replacement(state, slot)),
    ...freeNumbers(kept, mode.replicas - kept.length).map((slot) => first(state, slot)),
  ];
}

function remove(slot: Slot): Change[] {
  return slot.tasks.map((task) => ({ kind: 'setDesired', taskId: task.id, desired: TaskState.Remove }));
}

function first(state: ServiceState, slot: number): Change {
  return { kind: 'createTask', serviceId: state.service.id, slot, desired: TaskState.Running };
}

/** The lowest slot numbers that are not taken. */
function freeNumbers(slots: readonly Slot[], count: number): number[] {
  const taken = new Set(slots.map((slot) => slot.key));
  const free: number[] = [];
  for (let number = 1; free.length < count; number++) if (!taken.has(number)) free.push(number);
  return free;
}

/** Who goes when there are too many: what does not run, then from the nodes with the most, then the highest number. */
function victims(slots: readonly Slot[], count: number): Slot[] {
  if (count <= 0) return [];
  const crowd = new Map<NodeId, number>();
  const ranked = slots.map((slot) => {
    const node = runningNode(slot);
    if (node === undefined) return { slot, rank: Number.POSITIVE_INFINITY };
    // The third slot of a node is the first to go of three: ranks say how even it becomes.
    const rank = (crowd.get(node) ?? 0) + 1;
    crowd.set(node, rank);
    return { slot, rank };
  });
  ranked.sort((a, b) => compareRanks(b.rank, a.rank) || Number(b.slot.key) - Number(a.slot.key));
  return ranked.slice(0, count).map(({ slot }) => slot);
}

/** Infinity minus Infinity is no number. */
function compareRanks(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

function runningNode(slot: Slot): NodeId | undefined {
  return activeOf(slot).find((task) => task.status.state === TaskState.Running)?.nodeId;
}
