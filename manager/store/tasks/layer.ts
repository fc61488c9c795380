import { revisionKey } from '#proto/types/assignments.ts';
import type { NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { compareTexts, Tree } from '../tree.ts';
import type { Words } from './names.ts';
import { unpackId } from './packed-id.ts';
import { PackedTasks } from './packed-tasks.ts';
import type { Past } from './past.ts';

/** A task there was, or that there was none. */
export type Before = Task | null;

type SlotKey = Pick<Task, 'serviceId' | 'slot' | 'id'>;
type PlaceKey = Pick<Task, 'id'> & { readonly nodeId?: NodeId };

export function compareSlots(a: SlotKey, b: SlotKey): number {
  return compareTexts(a.serviceId, b.serviceId) || a.slot - b.slot || compareTexts(a.id, b.id);
}

function comparePlaces(a: PlaceKey, b: PlaceKey): number {
  return compareTexts(a.nodeId ?? '', b.nodeId ?? '') || compareTexts(a.id, b.id);
}

/** Sorts before and after every task id. */
const FIRST_ID = '' as TaskId;
const LAST_ID = '\uffff' as TaskId;

/**
 * What is different from the live table, for a view of an earlier moment or a draft: tasks as they are here, and the names
 * of those that are not here. Copied in O(1).
 */
export class Layer {
  readonly #rows: Tree<TaskId, Before>;
  readonly #slots: Tree<SlotKey, Task>;
  readonly #places: Tree<PlaceKey, Task>;
  /** Numbers of tasks of revisions, as they were in the live table; and how many more there are here. */
  readonly #counts: Tree<string, number>;
  readonly #more: Tree<string, number>;
  /** Services of which something is different here; undefined: of any of them. */
  #services: ReadonlySet<ServiceId> | undefined;

  constructor(from?: Layer) {
    this.#rows = from ? from.#rows.copy() : new Tree<TaskId, Before>(compareTexts);
    this.#slots = from ? from.#slots.copy() : new Tree(compareSlots);
    this.#places = from ? from.#places.copy() : new Tree(comparePlaces);
    this.#counts = from ? from.#counts.copy() : new Tree(compareTexts);
    this.#more = from ? from.#more.copy() : new Tree(compareTexts);
    this.#services = from ? from.#services : new Set();
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  /** The task here, null where there is none; undefined where the live table is right. */
  get(id: TaskId): Before | undefined {
    return this.#rows.get(id);
  }

  /** Whether any task of a service may be different here. */
  touches(serviceId: ServiceId): boolean {
    return this.#services?.has(serviceId) ?? true;
  }

  /** How many tasks more a service has here; undefined where that is not known. */
  moreOf(serviceId: ServiceId): number | undefined {
    if (this.#counts.size > 0) return undefined;
    return this.#more.between(`${serviceId}/`, `${serviceId}/\uffff`).reduce((sum, more) => sum + more, 0);
  }

  /** Keys of revisions of which there may be another number of tasks here. */
  revisions(): string[] {
    const keys: string[] = [];
    for (const counts of [this.#counts, this.#more]) counts.forEach((_, key) => void keys.push(key));
    return keys;
  }

  byService(serviceId: ServiceId): Task[] {
    return this.#slots.between(
      { serviceId, slot: 0, id: FIRST_ID },
      { serviceId, slot: Number.POSITIVE_INFINITY, id: LAST_ID },
    );
  }

  byNode(nodeId: NodeId): Task[] {
    return this.#places.between({ nodeId, id: FIRST_ID }, { nodeId, id: LAST_ID });
  }

  /** Tasks that are here, by id, after `after` and up to `last`. */
  between(after: TaskId | undefined, last: TaskId | undefined): Task[] {
    const found = this.#rows.between(after ?? FIRST_ID, last ?? LAST_ID);
    return found.filter((task) => task !== null && task.id !== after) as Task[];
  }

  /** All tasks that are here, by id. */
  tasks(): Task[] {
    return this.between(undefined, undefined);
  }

  /** All that is different here, packed. */
  packed(words: Words): PackedTasks {
    const packed = new PackedTasks(words);
    this.#rows.forEach((task, id) => {
      if (task === null) packed.addNone(id);
      else packed.addTask(task);
    });
    return packed;
  }

  /** Calls back with everything that is different here. */
  forEach(use: (task: Before, id: TaskId) => void): void {
    this.#rows.forEach(use);
  }

  /** What a part of the past knows and this does not know better. */
  absorb({ tasks, counts }: Past): void {
    for (const packed of tasks.all()) {
      const id = unpackId(packed.id, 0) as TaskId;
      if (this.#rows.get(id) === undefined) this.set(id, tasks.taskOf(packed), packed.row?.serviceId);
    }
    for (const [revision, count] of counts)
      if (this.#counts.get(revision) === undefined) this.#counts.set(revision, count);
  }

  /** `serviceId`: whose task it is or was, where that is known. */
  set(id: TaskId, task: Before, serviceId: ServiceId | undefined): void {
    this.#touch(serviceId);
    const known = this.#rows.get(id);
    if (known) {
      this.#slots.delete(known);
      this.#places.delete(known);
    }
    this.#rows.set(id, task);
    if (task === null) return;
    this.#slots.set(task, task);
    if (task.nodeId !== undefined) this.#places.set(task, task);
  }

  /** `live`: the number of tasks of that revision in the live table. */
  countOf(revision: string, live: number): number {
    return (this.#counts.get(revision) ?? live) + (this.#more.get(revision) ?? 0);
  }

  count({ serviceId, specVersion }: Task, by: number): void {
    const revision = revisionKey(serviceId, specVersion);
    this.#more.set(revision, (this.#more.get(revision) ?? 0) + by);
  }

  /** Copies share a set until one of them knows another service. */
  #touch(serviceId: ServiceId | undefined): void {
    if (serviceId === undefined) this.#services = undefined;
    else if (!this.touches(serviceId)) this.#services = new Set(this.#services).add(serviceId);
  }
}
