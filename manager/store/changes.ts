import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type {
  Cluster,
  Endpoint,
  ManagerStatus,
  Network,
  NetworkAttachment,
  Node,
  NodeDescription,
  NodeStatus,
  Service,
  TaskStatus,
  UpdateStatus,
} from '#proto/types/objects.ts';
import type { IpamConfig, NodeSpec } from '#proto/types/specs.ts';
import type { DesiredState, NodeRole } from '#proto/types/states.ts';

/** Tables of the store. */
export type TableName = 'cluster' | 'node' | 'service' | 'network' | 'revision' | 'task';

/** A put object without what applying fills in (`version`; `createdAtMs` of a new one; `updatedAtMs`). */
type Unstored<T> = Omit<T, 'version' | 'createdAtMs' | 'updatedAtMs'>;

/**
 * Everything that can happen to the store. Decisions, not whole objects, wherever many are made: a task is created
 * by naming its service and slot, and what it runs is the service's revision at that moment.
 *
 * Applying a change is deterministic and total: a change whose object is gone is skipped, so a plan made a moment
 * ago can't break; what must not race is guarded by the transaction's expectations. A put always gives its row a new
 * version; every other change that would change nothing leaves the row and its version alone.
 *
 * Two things refuse the whole transaction, as an expectation does that does not hold:
 * - CONFLICT: a service or network would get the name of another one that is not pendingDelete.
 * - OUT_OF_SEQUENCE: a service's spec would change for the second time at one version (a revision is named by it).
 */
export type Change =
  | { readonly kind: 'putCluster'; readonly cluster: Unstored<Cluster> }
  | { readonly kind: 'putNode'; readonly node: Unstored<Node> }
  /**
   * Creates or changes a service by its spec alone: the row keeps its endpoint, update status and serials, and
   * pendingDelete unless given. A spec that differs from the stored one moves that one to previousSpec and adds a
   * revision; revisions are dropped when neither their service (as current or previous) nor a task refers to them.
   */
  | {
      readonly kind: 'putService';
      readonly service: Pick<Service, 'id' | 'spec'> & Partial<Pick<Service, 'pendingDelete'>>;
    }
  | { readonly kind: 'putNetwork'; readonly network: Unstored<Network> }
  /**
   * New task in state New, of the service's present revision; its id is deriveTaskId(service, epoch, tasksMade).
   * Counting tasksMade is no new version of the service, and no event.
   */
  | {
      readonly kind: 'createTask';
      readonly serviceId: ServiceId;
      readonly slot: number;
      readonly nodeId?: NodeId;
      readonly desired: DesiredState;
      readonly startAfterMs?: number;
      readonly attempt?: number;
    }
  /** New -> Pending, with the addresses chosen. */
  | {
      readonly kind: 'allocateTask';
      readonly taskId: TaskId;
      readonly networks: readonly NetworkAttachment[];
    }
  /** Pending -> Assigned, if the node is still there. */
  | { readonly kind: 'assignTask'; readonly taskId: TaskId; readonly nodeId: NodeId }
  /** Only ever grows; at Shutdown and above the task's leavingVersion is set. */
  | { readonly kind: 'setDesired'; readonly taskId: TaskId; readonly desired: DesiredState }
  /**
   * States only grow; an equal state may refresh message, container and addresses. startedAtMs, once known, stays
   * when the new status has none.
   */
  | { readonly kind: 'setTaskStatus'; readonly taskId: TaskId; readonly status: TaskStatus }
  | { readonly kind: 'releaseTask'; readonly taskId: TaskId }
  | { readonly kind: 'allocateService'; readonly serviceId: ServiceId; readonly endpoint: Endpoint }
  | { readonly kind: 'setUpdateStatus'; readonly serviceId: ServiceId; readonly update: UpdateStatus }
  /**
   * Swaps spec and previousSpec (a new specVersion, hence a new revision) and sets the status in one step, with the new
   * specVersion as its targetVersion: nobody can know that number before. An absent status stays as it was. Skipped
   * where there is no previousSpec.
   */
  | { readonly kind: 'rollBackService'; readonly serviceId: ServiceId; readonly update?: UpdateStatus }
  | {
      readonly kind: 'allocateNetwork';
      readonly networkId: NetworkId;
      /** Absent: as it was. */
      readonly vni?: number;
      readonly ipam: readonly IpamConfig[];
    }
  | { readonly kind: 'allocateNode'; readonly nodeId: NodeId; readonly meshIndex: number }
  | {
      readonly kind: 'setNodeStatus';
      readonly nodeId: NodeId;
      readonly status: NodeStatus;
      /** Absent: as it was. */
      readonly description?: NodeDescription;
    }
  /** Absent manager: the node is none any more. */
  | { readonly kind: 'setManagerStatus'; readonly nodeId: NodeId; readonly manager?: ManagerStatus }
  | {
      readonly kind: 'setNodeRole';
      readonly nodeId: NodeId;
      readonly role: NodeRole;
      readonly certificateExpiresAtMs: number;
    }
  /** What a user wants of a node, and nothing of what others say of it; gives the node a new specVersion. */
  | { readonly kind: 'setNodeSpec'; readonly nodeId: NodeId; readonly spec: NodeSpec }
  /** A service that still has tasks only becomes pendingDelete; whoever reaps its last task deletes it again. */
  | {
      readonly kind: 'delete';
      readonly table: Exclude<TableName, 'cluster' | 'revision'>;
      readonly id: string;
    };

/** One kind of change. */
export type ChangeOf<Kind extends Change['kind']> = Extract<Change, { readonly kind: Kind }>;

/**
 * What must still hold when the transaction is applied: version 0 = no such object; else the object exists and has
 * this version. For a service it is enough that its spec has not changed since (specVersion <= version <= its
 * version), so that an update status written in between fails nobody's update. Revisions are named by revisionKey().
 */
export interface Expectation {
  readonly table: TableName;
  readonly id: string;
  readonly version: number;
}

/** Applied whole, or, when an expectation does not hold, not at all. */
export interface Transaction {
  readonly atMs: number;
  readonly expects: readonly Expectation[];
  readonly changes: readonly Change[];
}
