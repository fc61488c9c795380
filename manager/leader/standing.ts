import type { TaskId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { type FindRevision, type NodeUser, NodeUses } from '#scheduler/node-uses.ts';
import { AddressUses } from '../allocator/address-uses.ts';
import type { EventBatch, StoreView } from '../store/view.ts';

/** Tasks counted in one turn of the loop: some milliseconds of work. */
const SLICE_TASKS = 500;

/**
 * What all tasks take of nodes and networks, as of the last entry that was applied: counted once, then kept by what happens.
 * It says nothing that the store does not say; to find it out there costs a look at every task.
 */
export class Standing {
  readonly uses: NodeUses;
  readonly addresses = new AddressUses();
  #version = 0;
  /** Tasks up to this one, by id, are counted: what happens to those behind it is none of our business yet. */
  #countedTo: TaskId | undefined;
  #isComplete = false;

  constructor(revision: FindRevision) {
    this.uses = new NodeUses(revision);
  }

  get version(): number {
    return this.#version;
  }

  /** All tasks are counted. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Takes in what an entry did; of every entry since the count was begun, in order. */
  note({ version, events }: EventBatch): void {
    this.#version = version;
    for (const event of events)
      if (event.table === 'task' && this.#isCounted(event.id)) this.#change(event.previous, event.row);
  }

  /** Counts some more tasks, of the store as it is now; false when there are none left. */
  count(view: StoreView, max = SLICE_TASKS): boolean {
    const tasks = view.tasks.following(this.#countedTo, max);
    for (const task of tasks) this.#change(undefined, task);
    this.#countedTo = tasks.at(-1)?.id ?? this.#countedTo;
    this.#version = view.version;
    this.#isComplete = tasks.length === 0;
    return !this.#isComplete;
  }

  #isCounted(id: string): boolean {
    return this.#isComplete || (this.#countedTo !== undefined && id <= this.#countedTo);
  }

  #change(before: Task | undefined, now: Task | undefined): void {
    this.uses.change(before && userOf(before), now && userOf(now));
    this.addresses.change(before, now);
  }
}

function userOf({ serviceId, specVersion, nodeId, status, desired }: Task): NodeUser {
  return { serviceId, specVersion, nodeId, state: status.state, desired };
}
