import { assert } from '#proto/base/assert.ts';
import { revisionKey } from '#proto/types/assignments.ts';
import type { NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Task, TaskStatus } from '#proto/types/objects.ts';
import { type DesiredState, TaskState } from '#proto/types/states.ts';
import type { TaskGlance } from '../view.ts';
import { Columns, PROBE } from './columns.ts';
import { Names, Words } from './names.ts';
import { OrderedRows } from './ordered-rows.ts';
import type { RowSource } from './packed-tasks.ts';
import { Past } from './past.ts';
import { RowHash } from './row-hash.ts';
import { Slab } from './slab.ts';
import { decodeTask, encodeBody } from './task-body.ts';

/**
 * Tasks made into objects are kept, so that what is looked at often is made once: of a small table all of them, of a
 * large one those that were looked at lately. Powers of two.
 */
const KEPT_OF_SMALL = 16_384;
const KEPT_OF_LARGE = 256;
/** The newest part of the past is ended at this size: nobody may need it. */
const PAST_ROWS_MAX = 1_000;
/** Sorts before every id. */
const FIRST_ID = '0'.repeat(25);

type Seen = { -readonly [Key in keyof TaskGlance]: TaskGlance[Key] };

const UNSEEN: Omit<TaskGlance, 'serviceId'> = {
  specVersion: 0,
  slot: 0,
  nodeId: undefined,
  state: TaskState.New,
  desired: TaskState.Running,
};

/** See TaskTable.unsettled. */
export function isUnsettled(state: number, desired: number): boolean {
  return state < TaskState.Running || (state === TaskState.Running && desired >= TaskState.Shutdown);
}

/** The task table that entries are applied to: columns, bodies and indexes, changed in place. */
export class LiveTasks implements RowSource {
  readonly columns = new Columns();
  readonly bodies = new Slab();
  readonly words = new Words();
  readonly services = new Names<ServiceId>();
  readonly nodes = new Names<NodeId>();
  /** Rows by id: to find one, and to go through all in order. */
  readonly found = new RowHash(this.columns.hashId, this.columns.sameId);
  readonly ids = new OrderedRows(this.columns.compareIds);
  readonly slots = new OrderedRows(this.columns.compareSlots);
  readonly places = new OrderedRows(this.columns.comparePlaces);
  /** Rows that isUnsettled(), by state, then id. */
  readonly unsettled = new OrderedRows(this.columns.compareStates);
  /** Tasks of each revision, by its key. */
  readonly #counts = new Map<string, number>();
  readonly #states = new Map<TaskState, number>();
  readonly #kept: (Task | undefined)[] = [];
  readonly #keptRows = new Uint32Array(KEPT_OF_SMALL);
  #past = new Past(this.words);
  #size = 0;
  /** The task that was found last. */
  #lastId = '';
  #lastRow = 0;

  get size(): number {
    return this.#size;
  }

  /** From here on, what changes is put aside for whoever asks for this now. */
  past(): Past {
    if (!this.#past.isEmpty) this.#endPast();
    return this.#past;
  }

  get(id: TaskId): Task | undefined {
    const row = this.#find(id);
    return row === 0 ? undefined : this.taskOf(row);
  }

  byService(serviceId: ServiceId): Task[] {
    const service = this.services.numberOf(serviceId);
    if (service === 0) return [];
    this.#probe(FIRST_ID);
    this.columns.setService(PROBE, service);
    this.columns.setSlot(PROBE, 0);
    const fits = (row: number): boolean => this.columns.service(row) === service;
    return this.slots.from(PROBE, fits).map((row) => this.taskOf(row));
  }

  byNode(nodeId: NodeId): Task[] {
    const node = this.nodes.numberOf(nodeId);
    if (node === 0) return [];
    this.#probe(FIRST_ID);
    this.columns.setNode(PROBE, node);
    const fits = (row: number): boolean => this.columns.node(row) === node;
    return this.places.from(PROBE, fits).map((row) => this.taskOf(row));
  }

  /** By id; only those in one state, where one is given. */
  allUnsettled(state?: TaskState): Task[] {
    this.#probe(FIRST_ID);
    this.columns.setState(PROBE, state ?? 0);
    const fits = (row: number): boolean => state === undefined || this.columns.state(row) === state;
    const rows = this.unsettled.from(PROBE, fits);
    if (state === undefined) rows.sort(this.columns.compareIds);
    return rows.map((row) => this.taskOf(row));
  }

  /** Shows every task of a service, in order of (slot, id), by what its columns hold. */
  glance(serviceId: ServiceId, see: (task: TaskGlance) => void): void {
    const { columns } = this;
    const service = this.services.numberOf(serviceId);
    if (service === 0) return;
    this.#probe(FIRST_ID);
    columns.setService(PROBE, service);
    columns.setSlot(PROBE, 0);
    const glance: Seen = { ...UNSEEN, serviceId };
    this.slots.forEachFrom(PROBE, (row) => {
      if (columns.service(row) !== service) return false;
      glance.specVersion = columns.specVersion(row);
      glance.slot = columns.slot(row);
      glance.nodeId = this.nodes.nameOf(columns.node(row));
      glance.state = columns.state(row) as TaskState;
      glance.desired = columns.desired(row) as DesiredState;
      see(glance);
      return true;
    });
  }

  /** The services that have tasks on a node. */
  servicesOn(nodeId: NodeId): Set<ServiceId> {
    const node = this.nodes.numberOf(nodeId);
    const services = new Set<ServiceId>();
    if (node === 0) return services;
    this.#probe(FIRST_ID);
    this.columns.setNode(PROBE, node);
    this.places.forEachFrom(PROBE, (row) => {
      if (this.columns.node(row) !== node) return false;
      services.add(this.services.nameOf(this.columns.service(row)) as ServiceId);
      return true;
    });
    return services;
  }

  /** Tasks whose id begins so, by id. */
  startingWith(prefix: string): Task[] {
    if (!this.#probe(prefix.padEnd(FIRST_ID.length, '0'))) return [];
    const fits = (row: number): boolean => this.columns.id(row).startsWith(prefix);
    return this.ids.from(PROBE, fits).map((row) => this.taskOf(row, false));
  }

  /** The keys of the revisions that tasks run. */
  revisions(): Iterable<string> {
    return this.#counts.keys();
  }

  isUnsettled(row: number): boolean {
    return isUnsettled(this.columns.state(row), this.columns.desired(row));
  }

  /** Rows of the tasks that come after this one by id (from the first on: undefined), in order, at most so many. */
  rowsAfter(id: TaskId | undefined, max: number): number[] {
    this.#probe(id ?? FIRST_ID);
    // One more, for the task itself may be there still.
    const rows = this.ids.from(PROBE, () => true, max + 1);
    if (id !== undefined && rows[0] !== undefined && this.columns.id(rows[0]) === id) rows.shift();
    return rows.slice(0, max);
  }

  sizeOf(serviceId: ServiceId): number {
    return this.services.usersOf(this.services.numberOf(serviceId));
  }

  countOf(revision: string): number {
    return this.#counts.get(revision) ?? 0;
  }

  /** Whether objects of all tasks are kept, once made. */
  get isSmall(): boolean {
    return this.#size < KEPT_OF_SMALL;
  }

  get countByState(): ReadonlyMap<TaskState, number> {
    return this.#states;
  }

  /** The task of a row, as a frozen object; not to be kept when many others are looked at as well. */
  taskOf(row: number, keep = true): Task {
    const place = this.#placeOf(row);
    const kept = this.#keptRows[place] === row ? this.#kept[place] : undefined;
    if (kept !== undefined) return kept;
    const task = this.#read(row);
    if (keep) this.#keep(row, task);
    return task;
  }

  /** Adds or replaces a task, which must be frozen. Its service, slot and spec version never change. */
  put(id: TaskId, task: Task): void {
    const row = this.#find(id);
    if (row === 0) return this.#add(id, task);
    this.#past.tasks.addRow(this, row);
    this.#setNode(row, task.nodeId);
    this.#setStates(row, task);
    const { bytes, length } = encodeBody(task, this.words);
    this.columns.setBody(row, this.bodies.replace(this.columns.body(row), bytes, 0, length));
    this.#keep(row, task);
    this.#maybeEndPast();
  }

  remove(id: TaskId): void {
    const row = this.#find(id);
    if (row === 0) return;
    const task = this.taskOf(row);
    this.#remember('', 0);
    this.#past.tasks.addRow(this, row);
    if (this.isUnsettled(row)) this.unsettled.remove(row);
    this.countState(task.status.state, -1);
    this.found.remove(row);
    this.ids.remove(row);
    this.slots.remove(row);
    this.#setNode(row, undefined);
    this.services.leave(this.columns.service(row));
    this.bodies.remove(this.columns.body(row));
    this.columns.remove(row);
    this.#kept[this.#placeOf(row)] = undefined;
    this.#count(task, -1);
    this.#maybeEndPast();
  }

  /** Takes over that there are so many tasks of a revision more, whose rows were written one by one. */
  noteLoaded(serviceId: ServiceId, specVersion: number, count: number): void {
    this.#count({ serviceId, specVersion }, count);
  }

  /** Counts tasks of a state. */
  countState(state: TaskState, by: number): void {
    const count = (this.#states.get(state) ?? 0) + by;
    if (count === 0) this.#states.delete(state);
    else this.#states.set(state, count);
  }

  #add(id: TaskId, task: Task): void {
    const row = this.columns.add();
    assert(this.columns.setId(row, id), `${id} is no task's id`);
    this.#past.tasks.addNone(id);
    this.columns.setService(row, this.services.use(task.serviceId));
    this.columns.setSpecVersion(row, task.specVersion);
    this.columns.setSlot(row, task.slot);
    this.columns.setNode(row, 0);
    this.columns.setState(row, task.status.state);
    this.columns.setDesired(row, task.desired);
    if (this.isUnsettled(row)) this.unsettled.add(row);
    this.countState(task.status.state, 1);
    const { bytes, length } = encodeBody(task, this.words);
    this.columns.setBody(row, this.bodies.add(bytes, 0, length));
    this.#setNode(row, task.nodeId);
    this.found.add(row);
    this.ids.add(row);
    this.slots.add(row);
    this.#keep(row, task);
    this.#count(task, 1);
    this.#maybeEndPast();
  }

  #setStates(row: number, { status, desired }: Task): void {
    const state = this.columns.state(row) as TaskState;
    const before = this.isUnsettled(row);
    const after = isUnsettled(status.state, desired);
    const moves = before !== after || state !== status.state;
    if (before && moves) this.unsettled.remove(row);
    this.countState(state, -1);
    this.countState(status.state, 1);
    this.columns.setState(row, status.state);
    this.columns.setDesired(row, desired);
    if (after && moves) this.unsettled.add(row);
  }

  #setNode(row: number, nodeId: NodeId | undefined): void {
    const before = this.columns.node(row);
    if (this.nodes.nameOf(before) === nodeId) return;
    if (before !== 0) {
      this.places.remove(row);
      this.nodes.leave(before);
    }
    this.columns.setNode(row, nodeId === undefined ? 0 : this.nodes.use(nodeId));
    if (nodeId !== undefined) this.places.add(row);
  }

  #count({ serviceId, specVersion }: Pick<Task, 'serviceId' | 'specVersion'>, by: number): void {
    const revision = revisionKey(serviceId, specVersion);
    const count = this.#counts.get(revision) ?? 0;
    this.#past.noteCount(revision, count);
    if (count + by === 0) this.#counts.delete(revision);
    else this.#counts.set(revision, count + by);
    this.#size += by;
  }

  /** What is looked up is looked up again soon: to read it, to write it. */
  #find(id: string): number {
    if (id === this.#lastId) return this.#lastRow;
    const row = this.#probe(id) ? this.found.find(PROBE) : 0;
    if (row !== 0) this.#remember(id, row);
    return row;
  }

  #remember(id: string, row: number): void {
    this.#lastId = id;
    this.#lastRow = row;
  }

  #probe(id: string): boolean {
    return this.columns.setId(PROBE, id);
  }

  #read(row: number): Task {
    const { columns } = this;
    const block = columns.body(row);
    const head = {
      id: columns.id(row) as TaskId,
      serviceId: this.services.nameOf(columns.service(row)) as ServiceId,
      specVersion: columns.specVersion(row),
      slot: columns.slot(row),
      nodeId: this.nodes.nameOf(columns.node(row)),
      desired: columns.desired(row) as DesiredState,
      state: columns.state(row) as TaskStatus['state'],
    };
    return decodeTask(head, this.bodies.bytesOf(block), this.bodies.startOf(block), this.words);
  }

  #keep(row: number, task: Task): void {
    if (!this.isSmall && this.#kept.length > KEPT_OF_LARGE) this.#kept.length = 0;
    const place = this.#placeOf(row);
    this.#kept[place] = task;
    this.#keptRows[place] = row;
  }

  #placeOf(row: number): number {
    return row & ((this.isSmall ? KEPT_OF_SMALL : KEPT_OF_LARGE) - 1);
  }

  #maybeEndPast(): void {
    if (this.#past.tasks.size >= PAST_ROWS_MAX) this.#endPast();
  }

  #endPast(): void {
    this.#past.tasks.trim();
    const next = new Past(this.words);
    this.#past.next = next;
    this.#past = next;
  }
}
