import type { TaskPage } from '#proto/gen/shoal.ts';
import { revisionKey } from '#proto/types/assignments.ts';
import type { ClusterId, NetworkId, NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Cluster, Network, Node, Revision, Service, Task } from '#proto/types/objects.ts';
import type { TableName } from './changes.ts';
import type { PageLoader } from './tasks/page-loader.ts';
import { TaskRows } from './tasks/task-rows.ts';
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

/** What Tables asks of the table of any kind of row. */
interface WritableTable<Row> extends TableView<string, Row> {
  put(key: string, row: Row): void;
  remove(key: string): void;
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

  /** For planning, which asks for the same tasks again and again; see TaskRows.keepAsked. */
  keepAsked(): this {
    this.#tables.task.keepAsked();
    return this;
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

  /** All tasks, as pages of a snapshot. */
  taskPages(): Iterable<TaskPage> {
    return this.#tables.task.pages();
  }

  /** Fills an empty table of tasks. */
  taskLoader(): PageLoader {
    return this.#tables.task.loader();
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

  #table<Table extends TableName>(table: Table): WritableTable<Rows[Table]> {
    return this.#tables[table] as unknown as WritableTable<Rows[Table]>;
  }
}
