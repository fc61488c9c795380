import type * as wire from '../gen/shoal.ts';
import type {
  AssignedTask,
  AssignmentDiff,
  EndpointInfo,
  NetworkInfo,
  NetworkPeer,
  NodeSelf,
  RevisionKey,
  ServiceInfo,
} from '../types/assignments.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '../types/ids.ts';
import { revision, endpoint as serviceEndpoint } from './service.ts';
import { type Converter, flag, id, list, optional, shape, text, textMap, uint32, uint64 } from './shape.ts';
import { desiredState, networkAttachments, taskState } from './task.ts';

const self = shape<NodeSelf, wire.NodeSelf>('self', {
  nodeId: id<NodeId>(),
  meshPool: text,
  meshIndex: uint32,
  dataPathPort: uint32,
  labels: optional(textMap),
});

const task = shape<AssignedTask, wire.AssignedTask>('assigned task', {
  id: id<TaskId>(),
  serviceId: id<ServiceId>(),
  specVersion: uint64,
  slot: uint64,
  desired: desiredState,
  state: taskState,
  networks: networkAttachments,
  leavingVersion: optional(uint64),
  released: flag,
});

const revisionKey = shape<RevisionKey, wire.RevisionKey>('revision key', {
  serviceId: id<ServiceId>(),
  specVersion: uint64,
});

const peer = shape<NetworkPeer, wire.NetworkPeer>('network peer', {
  nodeId: id<NodeId>(),
  meshIndex: uint32,
  dataPathAddr: text,
  addresses: list(text),
  peerAddr: text,
  up: flag,
});

const network = shape<NetworkInfo, wire.NetworkInfo>('network', {
  id: id<NetworkId>(),
  name: text,
  driver: text,
  vni: uint32,
  subnet: text,
  gateway: text,
  internal: flag,
  attachable: flag,
  options: optional(textMap),
  labels: optional(textMap),
});

const service = shape<ServiceInfo, wire.ServiceInfo>('service', {
  id: id<ServiceId>(),
  name: text,
  endpoint: serviceEndpoint,
});

const endpoint = shape<EndpointInfo, wire.EndpointInfo>('endpoint', {
  taskId: id<TaskId>(),
  serviceId: id<ServiceId>(),
  nodeId: id<NodeId>(),
  active: flag,
  networks: networkAttachments,
  meshAddr: optional(text),
  names: list(text),
});

/** What changed for a node, or all of it. */
export const assignments: Converter<AssignmentDiff, wire.Assignments> = shape<
  AssignmentDiff,
  wire.Assignments
>('assignments', {
  complete: flag,
  appliesTo: uint64,
  version: uint64,
  self: optional(self),
  putTasks: list(task),
  removeTasks: list(id<TaskId>()),
  putRevisions: list(revision),
  removeRevisions: list(revisionKey),
  putPeers: list(peer),
  removePeers: list(id<NodeId>()),
  putNetworks: list(network),
  removeNetworks: list(id<NetworkId>()),
  putServices: list(service),
  removeServices: list(id<ServiceId>()),
  putEndpoints: list(endpoint),
  removeEndpoints: list(id<TaskId>()),
});
