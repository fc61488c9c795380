import type { Node, Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { type Amounts, amountsOf } from '#scheduler/demand.ts';
import { compareAge, isActive } from '#scheduler/slots.ts';
import type { Controller, Situation } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';
import { nodesToLookAt } from './service-state.ts';

/**
 * Nodes that have less than they had: the newest tasks that reserve what is short leave, until the rest has room.
 * (Nodes that no longer satisfy a service's placement are left in good order: see `rolling` and `global`.)
 */
export const enforcer: Controller = {
  name: 'enforcer',
  wakesOn: ['node'],
  plan(view, situation) {
    // Placing tasks never takes more than there is: only a change of nodes can.
    const nodes = nodesToLookAt(view, situation) ?? [];
    return { changes: nodes.flatMap((node) => planNode(view, node, situation)) };
  },
};

function planNode(view: StoreView, node: Node, { known }: Situation): Change[] {
  if (node.description === undefined) return [];
  const room = amountsOf(node.description.resources);
  // What all of its tasks have is at least what those have that are to be judged.
  const all = known && excess(room, [known.uses.of(node.id)?.taken ?? new Map()]);
  if (all !== undefined && ![...all.values()].some((amount) => amount > 0)) return [];
  const tasks = view.tasks.byNode(node.id).filter(holds);
  const claims = new Map(tasks.map((task) => [task, claimOf(view, task)]));
  const short = excess(room, [...claims.values()]);
  const leaving: Change[] = [];
  for (const task of tasks.sort((a, b) => b.createdAtMs - a.createdAtMs || compareAge(b, a))) {
    const claim = claims.get(task) as Amounts;
    if (![...claim].some(([name, amount]) => amount > 0 && (short.get(name) ?? 0) > 0)) continue;
    for (const [name, amount] of claim) short.set(name, (short.get(name) ?? 0) - amount);
    leaving.push({ kind: 'setDesired', taskId: task.id, desired: TaskState.Shutdown });
  }
  return leaving;
}

/** A task whose node is given but not yet agreed to (global services) takes nothing. */
function holds(task: Task): boolean {
  return isActive(task) && task.status.state >= TaskState.Assigned;
}

function claimOf(view: StoreView, task: Task): Amounts {
  return amountsOf(view.revision(task.serviceId, task.specVersion)?.task.resources?.reservations);
}

/** By how much the claims exceed the room, for each resource. */
function excess(room: Amounts, claims: readonly Amounts[]): Map<string, number> {
  const short = new Map([...room].map(([name, amount]) => [name, -amount]));
  for (const claim of claims) {
    for (const [name, amount] of claim) short.set(name, (short.get(name) ?? 0) + amount);
  }
  return short;
}
