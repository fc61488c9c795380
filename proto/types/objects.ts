import type { ClusterId, NetworkId, NodeId, ServiceId, TaskId } from './ids.ts';
import type {
  ClusterSpec,
  EndpointMode,
  GenericResource,
  IpamConfig,
  LabelMap,
  NetworkSpec,
  NodeSpec,
  PortConfig,
  ServiceSpec,
  TaskSpec,
} from './specs.ts';
import type { DesiredState, NodeRole, NodeState, Reachability, TaskState, UpdateState } from './states.ts';

/**
 * What every stored object has. `version` is the Raft index of the entry that last changed it: writers name the
 * version they saw, and a mismatch is refused. Times are wall-clock milliseconds, set by the proposer.
 */
export interface Stored {
  readonly version: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface Cluster extends Stored {
  readonly id: ClusterId;
  readonly spec: ClusterSpec;
  readonly rootCa: RootCa;
  readonly joinSecrets: { readonly worker: string; readonly manager: string };
  /** Pools that overlay subnets are cut from, CIDR. */
  readonly addressPools: readonly string[];
  readonly subnetBits: number;
  /** Pool of the nodes' mesh addresses: a /20 for each node. */
  readonly meshPool: string;
  readonly dataPathPort: number;
  /** Counted up when a survivor forces a new cluster; part of derived ids. */
  readonly epoch: number;
  /** 32 bytes, base64: what opens a manager's keys after its restart. Present while managers lock themselves. */
  readonly unlockKey?: string;
}

export interface RootCa {
  /** PEM. */
  readonly certificate: string;
  /** PEM; absent when the root is kept outside. Never leaves the managers. */
  readonly key?: string;
  /** 50 characters of base 36: the middle of a join token. */
  readonly digest: string;
}

export interface Node extends Stored {
  readonly id: NodeId;
  readonly spec: NodeSpec;
  /** The role its certificate has; follows `spec.role` with a little delay. */
  readonly role: NodeRole;
  readonly description?: NodeDescription;
  readonly status: NodeStatus;
  readonly manager?: ManagerStatus;
  /** Small integer from 1 that gives the node its mesh addresses; absent until allocated. */
  readonly meshIndex?: number;
  /** Epoch of the node's certificate as issued, so that a removed node's stays refused. */
  readonly certificateExpiresAtMs?: number;
  /** The version at which the spec was last changed by itself; absent: nobody knows, it may be the node's own. */
  readonly specVersion?: number;
}

export interface NodeDescription {
  readonly hostname: string;
  readonly platform: { readonly architecture: string; readonly os: string };
  readonly resources: {
    readonly nanoCpus: number;
    readonly memoryBytes: number;
    readonly generic?: readonly GenericResource[];
  };
  readonly engine: {
    readonly version: string;
    readonly labels?: LabelMap;
    readonly plugins?: readonly { readonly type: string; readonly name: string }[];
  };
  /** host:port of the service that hands image content and logs to other nodes. */
  readonly peerAddr: string;
  /** Address that the node's VXLAN packets come from, and every other address it has. */
  readonly dataPathAddr: string;
  readonly addresses?: readonly string[];
}

export interface NodeStatus {
  readonly state: NodeState;
  readonly message?: string;
  /** The address the node is known by, without port. */
  readonly addr?: string;
  readonly sinceMs?: number;
}

export interface ManagerStatus {
  readonly raftId: number;
  /** host:port of the manager's control service. */
  readonly addr: string;
  /** host:port of its Raft transport. */
  readonly raftAddr: string;
  readonly leader?: boolean;
  readonly reachability: Reachability;
}

export interface Service extends Stored {
  readonly id: ServiceId;
  readonly spec: ServiceSpec;
  /** Version at which `spec` was last changed: the revision that new tasks run. */
  readonly specVersion: number;
  readonly previousSpec?: ServiceSpec;
  readonly previousSpecVersion?: number;
  readonly endpoint?: Endpoint;
  readonly update?: UpdateStatus;
  /** Tasks ever made; the serial of the next one (see deriveTaskId). */
  readonly tasksMade: number;
  /** Asked to go: tasks are being removed, the service follows them. */
  readonly pendingDelete?: boolean;
}

export interface Endpoint {
  readonly mode: EndpointMode;
  /** As asked, with the published ports that were chosen filled in. */
  readonly ports: readonly PortConfig[];
  readonly vips: readonly VirtualIp[];
}

export interface VirtualIp {
  readonly networkId: NetworkId;
  /** CIDR, as in the Engine API. */
  readonly addr: string;
}

export interface UpdateStatus {
  readonly state: UpdateState;
  readonly startedAtMs: number;
  readonly completedAtMs?: number;
  readonly message: string;
  /** Version of the spec being rolled out. */
  readonly targetVersion: number;
}

/** One spec version of a service, kept as long as a task refers to it. */
export interface Revision extends Stored {
  readonly serviceId: ServiceId;
  readonly specVersion: number;
  readonly task: TaskSpec;
  /** The service's name and labels at that version: tasks carry them. */
  readonly serviceName: string;
  readonly serviceLabels?: LabelMap;
  /** The ports of the service's endpoint spec at that version: what its tasks are to listen on and bind. */
  readonly ports?: readonly PortConfig[];
}

export interface Task extends Stored {
  readonly id: TaskId;
  readonly serviceId: ServiceId;
  /** The revision it runs. */
  readonly specVersion: number;
  /** 1, 2, … of a replicated service; 0 where the node is the key (global). */
  readonly slot: number;
  readonly nodeId?: NodeId;
  readonly desired: DesiredState;
  readonly status: TaskStatus;
  readonly networks: readonly NetworkAttachment[];
  /** Restarts of this slot before it, in this spec version and its window (restart policy). */
  readonly attempt?: number;
  /** When desired is Ready: not to be started before this (restart delay). */
  readonly startAfterMs?: number;
  /** Version at which desired became Shutdown or more: nodes that balance acknowledge at least this one. */
  readonly leavingVersion?: number;
  /** Every node that balances has taken the task out; it may get its stop signal. */
  readonly released?: boolean;
}

export interface TaskStatus {
  readonly state: TaskState;
  readonly atMs: number;
  readonly message: string;
  readonly error?: string;
  /** When it first was Running, on the node's clock; kept in every later status. */
  readonly startedAtMs?: number;
  readonly container?: { readonly id: string; readonly pid?: number; readonly exitCode?: number };
  /** First of the 16 mesh addresses of the task's container, chosen by its node; absent without published ports. */
  readonly meshAddr?: string;
  /** Host-mode ports as bound on the node. */
  readonly ports?: readonly PortConfig[];
}

export interface NetworkAttachment {
  readonly networkId: NetworkId;
  /** CIDR; empty for networks whose addresses the node gives (host, bridge, none). */
  readonly addresses: readonly string[];
  readonly aliases?: readonly string[];
}

export interface Network extends Stored {
  readonly id: NetworkId;
  readonly spec: NetworkSpec;
  /** VXLAN id; absent until allocated, and on node-local networks. */
  readonly vni?: number;
  /** As allocated: subnet and gateway filled in. */
  readonly ipam?: readonly IpamConfig[];
  readonly pendingDelete?: boolean;
}
