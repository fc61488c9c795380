import type { NetworkId, NodeId, ServiceId, TaskId } from './ids.ts';
import type { Endpoint, NetworkAttachment, Revision } from './objects.ts';
import type { LabelMap } from './specs.ts';
import type { DesiredState, TaskState } from './states.ts';

/*
 * What a manager tells a node (dispatcher.proto, message Assignments): the tasks it must run, and the part of the
 * cluster's network it must know. `Assigned` is the whole; `AssignmentDiff` what changed.
 */

export interface NodeSelf {
  readonly nodeId: NodeId;
  /** CIDR of all nodes' mesh addresses. */
  readonly meshPool: string;
  /** 0 until allocated: the node then has no overlay networking yet. */
  readonly meshIndex: number;
  readonly dataPathPort: number;
  readonly labels?: LabelMap;
}

export interface AssignedTask {
  readonly id: TaskId;
  readonly serviceId: ServiceId;
  readonly specVersion: number;
  readonly slot: number;
  readonly desired: DesiredState;
  /** As the manager knows it; the agent's own is never behind. */
  readonly state: TaskState;
  readonly networks: readonly NetworkAttachment[];
  readonly leavingVersion?: number;
  /** Nobody balances to it any more: it may be stopped. */
  readonly released: boolean;
}

/** Another node, as far as packets are concerned, and a place to fetch image content from. */
export interface NetworkPeer {
  readonly nodeId: NodeId;
  readonly meshIndex: number;
  readonly dataPathAddr: string;
  readonly addresses: readonly string[];
  /** host:port of its content and log service. */
  readonly peerAddr: string;
  readonly up: boolean;
}

export interface NetworkInfo {
  readonly id: NetworkId;
  readonly name: string;
  /** overlay, or a driver of the node itself: bridge, host, null. */
  readonly driver: string;
  readonly vni: number;
  /** CIDR; empty for node-local drivers. */
  readonly subnet: string;
  /** The address of the network's router on every node. */
  readonly gateway: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly options?: LabelMap;
  readonly labels?: LabelMap;
}

/** What a service's name and its published ports stand for. */
export interface ServiceInfo {
  readonly id: ServiceId;
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** One task as others reach it. */
export interface EndpointInfo {
  readonly taskId: TaskId;
  readonly serviceId: ServiceId;
  readonly nodeId: NodeId;
  /** Balanced to. An endpoint that is leaving keeps its routes and gets nothing new. */
  readonly active: boolean;
  readonly networks: readonly NetworkAttachment[];
  /** First of the 16 mesh addresses of its container; absent without published ports. */
  readonly meshAddr?: string;
  /** DNS names of the task itself: container name, hostname. */
  readonly names: readonly string[];
}

/** The cluster's network as one node must know it, at one version. */
export interface NetworkState {
  readonly version: number;
  readonly self: NodeSelf;
  readonly peers: ReadonlyMap<NodeId, NetworkPeer>;
  readonly networks: ReadonlyMap<NetworkId, NetworkInfo>;
  readonly services: ReadonlyMap<ServiceId, ServiceInfo>;
  readonly endpoints: ReadonlyMap<TaskId, EndpointInfo>;
}

/** Everything a node is told, at one version. */
export interface Assigned extends NetworkState {
  readonly tasks: ReadonlyMap<TaskId, AssignedTask>;
  /** By revisionKey(). */
  readonly revisions: ReadonlyMap<string, Revision>;
}

/**
 * What changed for a node since the version it knows; nothing more is sent once a node knows the whole.
 * Puts replace by key; removing what is not there is no error.
 */
export interface AssignmentDiff {
  /** It is the whole: the node forgets what it knew. */
  readonly complete: boolean;
  /** The version that the changes apply to; 0 when complete. */
  readonly appliesTo: number;
  readonly version: number;
  /** Absent: unchanged. */
  readonly self?: NodeSelf;
  readonly putTasks: readonly AssignedTask[];
  readonly removeTasks: readonly TaskId[];
  readonly putRevisions: readonly Revision[];
  readonly removeRevisions: readonly RevisionKey[];
  readonly putPeers: readonly NetworkPeer[];
  readonly removePeers: readonly NodeId[];
  readonly putNetworks: readonly NetworkInfo[];
  readonly removeNetworks: readonly NetworkId[];
  readonly putServices: readonly ServiceInfo[];
  readonly removeServices: readonly ServiceId[];
  readonly putEndpoints: readonly EndpointInfo[];
  readonly removeEndpoints: readonly TaskId[];
}

export interface RevisionKey {
  readonly serviceId: ServiceId;
  readonly specVersion: number;
}

/** Key of a revision in `Assigned.revisions`. */
export function revisionKey(serviceId: ServiceId, specVersion: number): string {
  return `${serviceId}/${specVersion}`;
}
