import type { NodeId } from '#proto/types/ids.ts';
import type { Node, Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { compareAge, isActive, isDead, isLeaving, type SlotKey, slotKeyOf } from '#scheduler/slots.ts';

/** One place of a service that one task at a time is to fill: a number when replicated, a node when global. */
export interface Slot {
  readonly key: SlotKey;
  /** Oldest first, ended ones too; never empty. Those that are to be removed belong to no slot any more. */
  readonly tasks: readonly Task[];
}

/** Slots of the lists of tasks they were made from: several controllers look at one list after the other. */
const made = new WeakMap<readonly Task[], readonly Slot[]>();

/** The slots of a service in order, from all of its tasks. */
export function slotsOf(tasks: readonly Task[]): readonly Slot[] {
  const known = made.get(tasks);
  if (known !== undefined) return known;
  const kept = tasks.filter((task) => task.desired < TaskState.Remove);
  const slots = [...Map.groupBy(kept, slotKeyOf)]
    .map(([key, inSlot]) => ({ key, tasks: inSlot.sort(compareAge) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  // What can change is no sure sign of what is in it.
  if (Object.isFrozen(tasks)) made.set(tasks, slots);
  return slots;
}

export function newestOf(slot: Slot): Task {
  return slot.tasks.at(-1) as Task;
}

/** The tasks of a slot that are meant to run and have not ended; more than one while one takes over from another. */
export function activeOf(slot: Slot): readonly Task[] {
  return slot.tasks.filter(isActive);
}

/** Whether a task came to its end without being asked. */
export function endedByItself(task: Task): boolean {
  const { state } = task.status;
  return state === TaskState.Complete || state === TaskState.Failed || state === TaskState.Rejected;
}

/** No active task, and what there was did not end by itself: it was taken away, and is to be made good. */
export function isVacant(slot: Slot): boolean {
  return activeOf(slot).length === 0 && !endedByItself(newestOf(slot));
}

/** Tasks that were asked to stop and still may be running on a node that is there. */
export function stillLeaving(tasks: readonly Task[], nodes: NodeLookup): Task[] {
  return tasks.filter((task) => isLeaving(task) && !isDead(task) && !isLost(task, nodes));
}

export interface NodeLookup {
  get(id: NodeId): Node | undefined;
}

/** Whether a task's node is gone or down: nobody can tell what became of it. */
export function isLost(task: Task, nodes: NodeLookup): boolean {
  if (task.nodeId === undefined) return false;
  const node = nodes.get(task.nodeId);
  return node === undefined || node.status.state === 'down';
}

/** Whether an address or a node was looked for in vain: the reason is the status' error. */
export function isUnplaced({ status }: Task): boolean {
  return status.state < TaskState.Assigned && status.error !== undefined;
}

/** Whether a node may be given tasks. */
export function isAccepting(node: Node | undefined): node is Node {
  return node?.status.state === 'ready' && node.spec.availability === 'active';
}
