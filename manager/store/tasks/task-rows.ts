import { assert } from '#proto/base/assert.ts';
import type { TaskPage } from '#proto/gen/shoal.ts';
import { revisionKey } from '#proto/types/assignments.ts';
import type { NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import type { TaskState } from '#proto/types/states.ts';
import { compareTexts } from '../tree.ts';
import type { TaskGlance, TaskRevision, TaskTable } from '../view.ts';
import { type Before, compareSlots, Layer } from './layer.ts';
import { isUnsettled, LiveTasks } from './live-tasks.ts';
import { PageLoader } from './page-loader.ts';
import { type WalkStart, walkPages } from './page-walk.ts';
import type { Past } from './past.ts';

/** Tasks looked at in one go while walking over all of them. */
const STRIDE_ROWS = 512;

/**
 * Tasks as the store has them, in one of two lives: the live table itself, which entries change, or a copy of it, which
 * stays as it was when it was made, but for what is done to the copy.
 */
export class TaskRows implements TaskTable {
  readonly #live: LiveTasks;
  /** Of a copy: what is different here. */
  readonly #layer: Layer | undefined;
  /** Of a copy: the part of the past that it does not know yet. */
  #past: Past | undefined;
  #size: number | undefined;
  #isUsedUp = false;
  /** Of a draft: tasks of services that were asked for, as they still are. */
  #asked: Map<ServiceId, readonly Task[]> | undefined;

  constructor(live = new LiveTasks(), layer?: Layer, past?: Past, size?: number) {
    this.#live = live;
    this.#layer = layer;
    this.#past = past;
    this.#size = size;
  }

  get size(): number {
    return this.#size ?? this.#live.size;
  }

  /** In O(1); neither sees what is changed in the other. */
  copy(): TaskRows {
    return new TaskRows(this.#live, new Layer(this.#caughtUp()), this.#live.past(), this.size);
  }

  get(id: TaskId): Task | undefined {
    const here = this.#caughtUp()?.get(id);
    return here === undefined ? this.#live.get(id) : (here ?? undefined);
  }

  /** From now on what byService() gives is kept, as long as it is right: for who asks for the same again and again. */
  keepAsked(): void {
    this.#asked ??= new Map();
  }

  byService(serviceId: ServiceId): readonly Task[] {
    const layer = this.#caughtUp();
    const known = this.#asked?.get(serviceId);
    if (known !== undefined) return known;
    const live = this.#live.byService(serviceId);
    const tasks = layer === undefined ? live : merged(layer, live, layer.byService(serviceId), compareSlots);
    this.#asked?.set(serviceId, Object.freeze(tasks));
    return tasks;
  }

  glance(serviceId: ServiceId, see: (task: TaskGlance) => void): void {
    const layer = this.#caughtUp();
    if (layer === undefined || !layer.touches(serviceId)) return this.#live.glance(serviceId, see);
    for (const { specVersion, slot, nodeId, status, desired } of this.byService(serviceId))
      see({ serviceId, specVersion, slot, nodeId, state: status.state, desired });
  }

  revisions(): TaskRevision[] {
    const layer = this.#caughtUp();
    const keys = new Set([...this.#live.revisions(), ...(layer?.revisions() ?? [])]);
    return [...keys].flatMap((key) => {
      const live = this.#live.countOf(key);
      const tasks = layer?.countOf(key, live) ?? live;
      return tasks === 0 ? [] : [{ ...revisionOf(key), tasks }];
    });
  }

  servicesOn(nodeId: NodeId): ReadonlySet<ServiceId> {
    const layer = this.#caughtUp();
    if (layer === undefined || layer.isEmpty) return this.#live.servicesOn(nodeId);
    return new Set(this.byNode(nodeId).map(({ serviceId }) => serviceId));
  }

  nodeIds(): ReadonlySet<NodeId> {
    const here = this.#caughtUp()?.tasks() ?? [];
    return new Set([...this.#live.nodes.all(), ...here.flatMap(({ nodeId }) => nodeId ?? [])]);
  }

  sizeOf(serviceId: ServiceId): number {
    const layer = this.#caughtUp();
    const live = this.#live.sizeOf(serviceId);
    if (layer === undefined || !layer.touches(serviceId)) return live;
    const more = layer.moreOf(serviceId);
    return more === undefined ? this.byService(serviceId).length : live + more;
  }

  following(id: TaskId | undefined, max: number): readonly Task[] {
    const layer = this.#caughtUp();
    for (let last = id; ; ) {
      const rows = this.#live.rowsAfter(last, max);
      const ended = rows.length < max;
      const end = ended ? undefined : this.#idOf(rows.at(-1) as number);
      const here = layer === undefined || layer.isEmpty ? [] : layer.between(last, end);
      const items = layer === undefined || layer.isEmpty ? rows : this.#joined(layer, rows, here);
      if (items.length > 0 || ended)
        return items.map((item) => (typeof item === 'number' ? this.#live.taskOf(item, false) : item));
      last = end;
    }
  }

  startingWith(prefix: string): readonly Task[] {
    const layer = this.#caughtUp();
    const live = this.#live.startingWith(prefix);
    if (layer === undefined || layer.isEmpty) return live;
    const here = layer.tasks().filter(({ id }) => id.startsWith(prefix));
    return merged(layer, live, here, compareTaskIds);
  }

  byNode(nodeId: NodeId): readonly Task[] {
    const layer = this.#caughtUp();
    const live = this.#live.byNode(nodeId);
    if (layer === undefined) return live;
    return merged(layer, live, layer.byNode(nodeId), compareTaskIds);
  }

  unsettled(state?: TaskState): readonly Task[] {
    const layer = this.#caughtUp();
    const live = this.#live.allUnsettled(state);
    if (layer === undefined || layer.isEmpty) return live;
    const here = layer
      .tasks()
      .filter(({ status, desired }) => isUnsettled(status.state, desired))
      .filter(({ status }) => state === undefined || status.state === state);
    return merged(layer, live, here, compareTaskIds);
  }

  countByState(): ReadonlyMap<TaskState, number> {
    const counts = new Map(this.#live.countByState);
    const count = (task: Before | undefined, by: number): void => {
      if (task) counts.set(task.status.state, (counts.get(task.status.state) ?? 0) + by);
    };
    this.#caughtUp()?.forEach((task, id) => {
      count(this.#live.get(id), -1);
      count(task, 1);
    });
    return new Map([...counts].filter(([, tasks]) => tasks > 0));
  }

  *all(): Iterable<Task> {
    // Of the live table, as it is now: later changes don't disturb the iteration.
    const tasks = this.#layer === undefined ? this.copy() : this;
    const keep = this.#live.isSmall;
    for (const stride of tasks.#strides())
      yield* stride.map((item) => (typeof item === 'number' ? this.#live.taskOf(item, keep) : item));
  }

  /**
   * The same as pages of a snapshot. The live table may change between one page and the next. A copy is used up by it:
   * nothing else is to be asked of it from then on, so that it keeps nothing of what the walk has passed.
   */
  pages(): Iterable<TaskPage> {
    // Not a copy of a copy: that would keep all that changes meanwhile for the first one, which asks for none of it.
    return walkPages((this.#layer === undefined ? this.copy() : this).#useUp());
  }

  #useUp(): WalkStart {
    const layer = this.#layer;
    const past = this.#past ?? this.#live.past();
    this.#isUsedUp = true;
    this.#past = undefined;
    const different = layer === undefined || layer.isEmpty ? undefined : layer.packed(this.#live.words);
    return { live: this.#live, different, past };
  }

  /** Fills an empty table from pages; finished when the generator has ended, which can be stepped with pauses. */
  loader(): PageLoader {
    return new PageLoader(this.#live);
  }

  /** All tasks by id, some at a time, by their rows in the live table where they are there unchanged. */
  *#strides(): Generator<(number | Task)[]> {
    for (let last: TaskId | undefined, ended = false; !ended; ) {
      const layer = this.#caughtUp();
      const rows = this.#live.rowsAfter(last, STRIDE_ROWS);
      ended = rows.length < STRIDE_ROWS;
      const end = ended ? undefined : this.#idOf(rows.at(-1) as number);
      yield layer === undefined || layer.isEmpty ? rows : this.#joined(layer, rows, layer.between(last, end));
      last = end;
    }
  }

  /** Rows that the layer knows nothing of, and tasks, by id. */
  #joined(layer: Layer, rows: readonly number[], tasks: readonly Task[]): (number | Task)[] {
    const joined: (number | Task)[] = [];
    let next = 0;
    for (const row of rows) {
      const id = this.#idOf(row);
      while (next < tasks.length && (tasks[next] as Task).id <= id) joined.push(tasks[next++] as Task);
      if (layer.get(id) === undefined) joined.push(row);
    }
    return [...joined, ...tasks.slice(next)];
  }

  #idOf(row: number): TaskId {
    return this.#live.columns.id(row) as TaskId;
  }

  /** How many tasks run this revision. */
  countOf(serviceId: ServiceId, specVersion: number): number {
    const revision = revisionKey(serviceId, specVersion);
    const live = this.#live.countOf(revision);
    return this.#caughtUp()?.countOf(revision, live) ?? live;
  }

  put(id: TaskId, task: Task): void {
    const layer = this.#caughtUp();
    if (layer === undefined) return this.#live.put(id, task);
    if (this.get(id) === undefined) this.#count(layer, task, 1);
    this.#asked?.delete(task.serviceId);
    layer.set(id, task, task.serviceId);
  }

  remove(id: TaskId): void {
    const layer = this.#caughtUp();
    if (layer === undefined) return this.#live.remove(id);
    const task = this.get(id);
    if (task === undefined) return;
    this.#count(layer, task, -1);
    this.#asked?.delete(task.serviceId);
    layer.set(id, null, task.serviceId);
  }

  #count(layer: Layer, task: Task, by: number): void {
    layer.count(task, by);
    this.#size = this.size + by;
  }

  /** A copy's layer, with everything in it that the live table has changed since. */
  #caughtUp(): Layer | undefined {
    assert(!this.#isUsedUp, 'this copy of the tasks was written as pages, and is used up');
    if (this.#past === undefined || (this.#past.isEmpty && this.#past.next === undefined)) return this.#layer;
    const now = this.#live.past();
    this.#asked?.clear();
    for (let past: Past | undefined = this.#past; past !== undefined && past !== now; past = past.next)
      this.#layer?.absorb(past);
    this.#past = now;
    return this.#layer;
  }
}

function revisionOf(key: string): Pick<TaskRevision, 'serviceId' | 'specVersion'> {
  const [serviceId, specVersion] = key.split('/');
  return { serviceId: serviceId as ServiceId, specVersion: Number(specVersion) };
}

function compareTaskIds(a: Task, b: Task): number {
  return compareTexts(a.id, b.id);
}

/** Tasks of the live table, but for those that the layer knows better, and `here`, what it has in their place. */
function merged(
  layer: Layer,
  live: Task[],
  here: readonly Task[],
  compare: (a: Task, b: Task) => number,
): Task[] {
  if (layer.isEmpty) return live;
  const others = live.filter(({ id }) => layer.get(id) === undefined);
  return here.length === 0 ? others : [...others, ...here].sort(compare);
}
