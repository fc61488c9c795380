import { revisionKey } from '#proto/types/assignments.ts';
import type { ClusterId, NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Cluster, Network, Node, Revision, Service, Task } from '#proto/types/objects.ts';
import type { TableName } from './changes.ts';
import { compareTexts, Tree } from './tree.ts';
import type { NamedTable, NodeTable, TableView, TaskTable } from './view.ts';

/*
 * The rows, and how they are found. Nothing outside this file knows how rows are kept: others see TableViews, and put
 * and remove whole frozen rows.
 */

/** The row type of each table. */
export interface Rows {
  readonly cluster: Cluster;
  readonly node: Node;
  readonly service: Service;
  readonly network: Network;
  readonly revision: Revision;
  readonly task: Task;
}

/** Every table, in the order in which snapshots hold them: what is referred to comes first. */
export const TABLES: readonly TableName[] = ['cluster', 'node', 'service', 'network', 'revision', 'task'];

/** The key of a row in its table; events and expectations name rows by it. */
export function keyOf<Table extends TableName>(table: Table, row: Rows[Table]): string {
  if (table !== 'revision') return (row as Exclude<Rows[TableName], Revision>).id;
  const { serviceId, specVersion } = row as Revision;
  return revisionKey(serviceId, specVersion);
}

class RowTable<Id extends string, Row> implements TableView<Id, Row> {
  protected readonly rows: Tree<string, Row>;

  constructor(from?: RowTable<Id, Row>) {
    this.rows = from ? from.rows.copy() : new Tree(compareTexts);
  }

  get size(): number {
    return this.rows.size;
  }

  get(id: Id): Row | undefined {
    return this.rows.get(id);
  }

  all(): Iterable<Row> {
    return this.rows.values();
  }

  put(id: Id, row: Row): void {
    this.rows.set(id, row);
  }

  remove(id: Id): void {
    this.rows.delete(id);
  }

  copy(): RowTable<Id, Row> {
    return new RowTable(this);
  }
}

interface NamedRow {
  readonly id: string;
  readonly spec: { readonly name: string };
  readonly pendingDelete?: boolean;
}

class NamedRows<Id extends string, Row extends NamedRow>
  extends RowTable<Id, Row>
  implements NamedTable<Id, Row>
{
  /** Rows that are not asked to go: of these, one has a name at a time. */
  readonly #live: Tree<string, Row>;

  constructor(from?: NamedRows<Id, Row>) {
    super(from);
    this.#live = from ? from.#live.copy() : new Tree(compareTexts);
  }

  byName(name: string): Row | undefined {
    return this.#live.get(name);
  }

  override put(id: Id, row: Row): void {
    this.#forget(id);
    super.put(id, row);
    if (!row.pendingDelete) this.#live.set(row.spec.name, row);
  }

  override remove(id: Id): void {
    this.#forget(id);
    super.remove(id);
  }

  override copy(): NamedRows<Id, Row> {
    return new NamedRows(this);
  }

  #forget(id: Id): void {
    const name = this.get(id)?.spec.name;
    if (name !== undefined && this.#live.get(name)?.id === id) this.#live.delete(name);
  }
}

type SlotKey = Pick<Task, 'serviceId' | 'slot' | 'id'>;
type PlaceKey = { readonly nodeId?: NodeId; readonly id: TaskId };

function compareSlots(a: SlotKey, b: SlotKey): number {
  return compareTexts(a.serviceId, b.serviceId) || a.slot - b.slot || compareTexts(a.id, b.id);
}

function comparePlaces(a: PlaceKey, b: PlaceKey): number {
  return compareTexts(a.nodeId ?? '', b.nodeId ?? '') || compareTexts(a.id, b.id);
}

/** Sorts before and after every task id. */
const FIRST_ID = '' as TaskId;
const LAST_ID = '\uffff' as TaskId;

class TaskRows extends RowTable<TaskId, Task> implements TaskTable {
  readonly #slots: Tree<SlotKey, Task>;
  readonly #places: Tree<PlaceKey, Task>;
  /** Tasks of each revision, by its key. */
  readonly #counts: Tree<string, number>;

  constructor(from?: TaskRows) {
    super(from);
    this.#slots = from ? from.#slots.copy() : new Tree(compareSlots);
    this.#places = from ? from.#places.copy() : new Tree(comparePlaces);
    this.#counts = from ? from.#counts.copy() : new Tree(compareTexts);
  }

  byService(serviceId: ServiceId): readonly Task[] {
    return this.#slots.between(
      { serviceId, slot: 0, id: FIRST_ID },
      { serviceId, slot: Number.POSITIVE_INFINITY, id: LAST_ID },
    );
  }

  byNode(nodeId: NodeId): readonly Task[] {
    return this.#places.between({ nodeId, id: FIRST_ID }, { nodeId, id: LAST_ID });
  }

  countOf(serviceId: ServiceId, specVersion: number): number {
    return this.#counts.get(revisionKey(serviceId, specVersion)) ?? 0;
  }

  override put(id: TaskId, task: Task): void {
    const previous = this.get(id);
    if (previous === undefined) this.#count(task, 1);
    else if (previous.nodeId !== task.nodeId && previous.nodeId !== undefined) this.#places.delete(previous);
    super.put(id, task);
    this.#slots.set(task, task);
    if (task.nodeId !== undefined) this.#places.set(task, task);
  }

  override remove(id: TaskId): void {
    const previous = this.get(id);
    if (previous === undefined) return;
    super.remove(id);
    this.#slots.delete(previous);
    this.#places.delete(previous);
    this.#count(previous, -1);
  }

  override copy(): TaskRows {
    return new TaskRows(this);
  }

  #count({ serviceId, specVersion }: Task, by: number): void {
    const key = revisionKey(serviceId, specVersion);
    const count = (this.#counts.get(key) ?? 0) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}

interface AllTables {
  readonly cluster: RowTable<ClusterId, Cluster>;
  readonly node: RowTable<NodeId, Node>;
  readonly service: NamedRows<ServiceId, Service>;
  readonly network: NamedRows<NetworkId, Network>;
  readonly revision: RowTable<string, Revision>;
  readonly task: TaskRows;
}

function emptyTables(): AllTables {
  return {
    cluster: new RowTable(),
    node: new RowTable(),
    service: new NamedRows(),
    network: new NamedRows(),
    revision: new RowTable(),
    task: new TaskRows(),
  };
}

/** All tables together: what entries are applied to, and what views are copies of. */
export class Tables {
  readonly #tables: AllTables;

  constructor(tables: AllTables = emptyTables()) {
    this.#tables = tables;
  }

  /** In O(1); neither sees what is changed in the other. */
  copy(): Tables {
    const { cluster, node, service, network, revision, task } = this.#tables;
    return new Tables({
      cluster: cluster.copy(),
      node: node.copy(),
      service: service.copy(),
      network: network.copy(),
      revision: revision.copy(),
      task: task.copy(),
    });
  }

  get clusters(): TableView<ClusterId, Cluster> {
    return this.#tables.cluster;
  }

  get nodes(): NodeTable {
    return this.#tables.node;
  }

  get services(): NamedTable<ServiceId, Service> {
    return this.#tables.service;
  }

  get networks(): NamedTable<NetworkId, Network> {
    return this.#tables.network;
  }

  get tasks(): TaskTable {
    return this.#tables.task;
  }

  /** How many tasks run this revision. */
  tasksOf(serviceId: ServiceId, specVersion: number): number {
    return this.#tables.task.countOf(serviceId, specVersion);
  }

  get<Table extends TableName>(table: Table, key: string): Rows[Table] | undefined {
    return this.#table(table).get(key);
  }

  all<Table extends TableName>(table: Table): Iterable<Rows[Table]> {
    return this.#table(table).all();
  }

  /** Adds or replaces a row, which must be frozen. */
  put<Table extends TableName>(table: Table, row: Rows[Table]): void {
    this.#table(table).put(keyOf(table, row), row);
  }

  remove(table: TableName, key: string): void {
    this.#table(table).remove(key);
  }

  #table<Table extends TableName>(table: Table): RowTable<string, Rows[Table]> {
    return this.#tables[table] as unknown as RowTable<string, Rows[Table]>;
  }
}
