import type { Node } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import type { Controller } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import { NOTHING } from './plans.ts';
import { type ServiceState, serviceStates } from './service-state.ts';
import { activeOf, isAccepting, isVacant } from './slots.ts';
import { replacement } from './succession.ts';

/**
 * Global services: one task on every node that takes tasks and satisfies the placement. A paused node keeps what it has;
 * a drained one, or one that no longer satisfies the placement, loses it.
 */
export const global: Controller = {
  name: 'global',
  wakesOn: ['service', 'task', 'node'],
  plan(view, situation) {
    const states = serviceStates(view, situation).filter((state) => state.isGlobal);
    if (states.length === 0) return NOTHING;
    const nodes = [...view.nodes.all()].filter(isAccepting);
    return { changes: states.flatMap((state) => [...leave(state), ...fill(state, nodes)]) };
  },
};

function leave(state: ServiceState): Change[] {
  return state.slots.flatMap(activeOf).flatMap((task): Change[] => {
    const misfit = state.misfitOf(task);
    if (misfit !== 'drained' && misfit !== 'unsuitable') return [];
    return [{ kind: 'setDesired', taskId: task.id, desired: TaskState.Shutdown }];
  });
}

function fill(state: ServiceState, nodes: readonly Node[]): Change[] {
  const slots = new Map(state.slots.map((slot) => [slot.key, slot]));
  return nodes
    .filter((node) => state.suits(node))
    .flatMap((node): Change[] => {
      const slot = slots.get(node.id);
      if (slot === undefined) return [first(state, node)];
      return isVacant(slot) ? [replacement(state, slot)] : [];
    });
}

function first(state: ServiceState, node: Node): Change {
  const { id: serviceId } = state.service;
  return { kind: 'createTask', serviceId, slot: 0, nodeId: node.id, desired: TaskState.Running };
}
