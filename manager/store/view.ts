import type { ClusterId, NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Cluster, Network, Node, Revision, Service, Task } from '#proto/types/objects.ts';
import type { DesiredState, TaskState } from '#proto/types/states.ts';
import type { Change, Expectation, TableName } from './changes.ts';

/** One table at one moment. Rows are frozen; iteration is by id, ascending. */
export interface TableView<Id extends string, Row> {
  get(id: Id): Row | undefined;
  readonly size: number;
  all(): Iterable<Row>;
}

export interface NodeTable extends TableView<NodeId, Node> {}

export interface NamedTable<Id extends string, Row> extends TableView<Id, Row> {
  /** By exact name, among those that are not pendingDelete: of these, one has a name at a time. */
  byName(name: string): Row | undefined;
}

/** What of a task can be seen without making an object of all of it. */
export interface TaskGlance {
  readonly serviceId: ServiceId;
  readonly specVersion: number;
  readonly slot: number;
  readonly nodeId: NodeId | undefined;
  readonly state: TaskState;
  readonly desired: DesiredState;
}

/** So many tasks run this revision of their service. */
export interface TaskRevision {
  readonly serviceId: ServiceId;
  readonly specVersion: number;
  readonly tasks: number;
}

/**
 * There may be a million tasks, and to make objects of all of them takes seconds: who needs all of them takes some at a
 * time, with following(), and pauses. Everything else takes no longer than what it gives.
 */
export interface TaskTable extends TableView<TaskId, Task> {
  /** In order of (slot, id). */
  byService(serviceId: ServiceId): readonly Task[];
  byNode(nodeId: NodeId): readonly Task[];
  /** How many tasks a service has. */
  sizeOf(serviceId: ServiceId): number;
  /** The next tasks by id, after this one (from the first on: undefined), about so many; none when there are no more. */
  following(id: TaskId | undefined, max: number): readonly Task[];
  /** Those whose id begins so, by id. */
  startingWith(prefix: string): readonly Task[];
  /**
   * Tasks that are not where they are to be, by id: those on their way to Running, and those that run and were asked to
   * stop. What somebody must look at again and again, out of however many there are; only those in one state, where one
   * is given.
   */
  unsettled(state?: TaskState): readonly Task[];
  /** How many tasks there are in each state that some are in. */
  countByState(): ReadonlyMap<TaskState, number>;
  /**
   * Shows every task of a service, in order of (slot, id). What is shown is good for the moment only: the next task may be
   * shown by the same object.
   */
  glance(serviceId: ServiceId, see: (task: TaskGlance) => void): void;
  /** The revisions that tasks run, in no order. */
  revisions(): Iterable<TaskRevision>;
  /** The services that have tasks on a node. */
  servicesOn(nodeId: NodeId): ReadonlySet<ServiceId>;
  /** At least every node that some task is on. */
  nodeIds(): ReadonlySet<NodeId>;
}

/**
 * The whole store at one version: immutable, cheap to take, safe to keep for the length of a request.
 * Everything that decides, decides from one of these.
 */
export interface StoreView {
  /** Raft index of the last entry applied. */
  readonly version: number;
  /** The cluster object; absent only before a new cluster's first entry. */
  readonly cluster: Cluster | undefined;
  readonly clusters: TableView<ClusterId, Cluster>;
  readonly nodes: NodeTable;
  readonly services: NamedTable<ServiceId, Service>;
  readonly networks: NamedTable<NetworkId, Network>;
  readonly tasks: TaskTable;
  revision(serviceId: ServiceId, specVersion: number): Revision | undefined;
}

/**
 * A view that changes can be applied to without touching the store: how a leader plans several steps (create,
 * allocate, assign) and commits them as one entry. Its own changes carry the version `view.version + 1`.
 */
export interface Draft extends StoreView {
  /** Throws what would refuse a transaction (see Change), and then has changed nothing. */
  apply(change: Change): void;
}

/**
 * What one applied transaction did to one row, however many of its changes did so. `previous` is absent for a new row,
 * `row` for a deleted one. A revision's id is its revisionKey().
 */
export type StoreEvent =
  | RowEvent<'cluster', Cluster>
  | RowEvent<'node', Node>
  | RowEvent<'service', Service>
  | RowEvent<'network', Network>
  | RowEvent<'revision', Revision>
  | RowEvent<'task', Task>;

export interface RowEvent<Table extends TableName, Row> {
  readonly table: Table;
  readonly id: string;
  readonly row?: Row;
  readonly previous?: Row;
}

/**
 * Everything one applied entry did, in order; nothing, where it changed nothing. After a snapshot was taken over, one
 * batch tells everything that is different.
 */
export interface EventBatch {
  readonly version: number;
  readonly events: readonly StoreEvent[];
}

export interface Store {
  view(): StoreView;
  /**
   * Proposes a transaction and resolves with the version it got once this manager has applied it. One that is larger than
   * a log entry takes several, and smaller ones that were submitted later may be applied before it.
   * ShoalError OUT_OF_SEQUENCE: an expectation did not hold, nothing was changed. CONFLICT: a name is taken (see
   * Change), nothing was changed. INVALID_ARGUMENT: it can't be written, or is too large. UNAVAILABLE: this manager does
   * not lead, or lost the lead, or too many writes wait; nothing was changed. DEADLINE_EXCEEDED: not known yet whether
   * it was.
   */
  update(transaction: {
    readonly expects?: readonly Expectation[];
    readonly changes: readonly Change[];
  }): Promise<number>;
  /** A copy of the current view to plan in. */
  draft(): Draft;
  /** Calls back after each applied entry, in order, synchronously; the returned function ends it. */
  subscribe(applied: (batch: EventBatch) => void): () => void;
  /**
   * Subscribes, after first telling everything since `version` that is still remembered: how a watcher goes on where it
   * stopped. Undefined when that is too long ago: take a view, and watch from its version.
   */
  watchFrom(version: number, applied: (batch: EventBatch) => void): (() => void) | undefined;
  /** Resolves when a view taken now shows everything acknowledged before the call (Raft ReadIndex). */
  readBarrier(signal?: AbortSignal): Promise<void>;
}
