import type { Node, Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { type Amounts, amountsOf } from '#scheduler/demand.ts';
import { compareAge, isActive } from '#scheduler/slots.ts';
import type { Controller } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';
import { NOTHING } from './plans.ts';

/**
 * Nodes that have less than they had: the newest tasks that reserve what is short leave, until the rest has room.
 * (Nodes that no longer satisfy a service's placement are left in good order: see `rolling` and `global`.)
 */
export const enforcer: Controller = {
  name: 'enforcer',
  wakesOn: ['node'],
  plan(view, { services }) {
    // Placing tasks never takes more than there is: only a change of nodes can, and then everything is looked at.
    if (services !== undefined) return NOTHING;
    return { changes: [...view.nodes.all()].flatMap((node) => planNode(view, node)) };
  },
};

function planNode(view: StoreView, node: Node): Change[] {
  if (node.description === undefined) return [];
  const room = amountsOf(node.description.resources);
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
