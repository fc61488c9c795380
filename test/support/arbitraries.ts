import fc from 'fast-check';
import type {
  AssignedTask,
  AssignmentDiff,
  EndpointInfo,
  NetworkInfo,
  NetworkPeer,
  NodeSelf,
  ServiceInfo,
} from '#proto/types/assignments.ts';
import type {
  Cluster,
  Endpoint,
  ManagerStatus,
  Network,
  NetworkAttachment,
  Node,
  NodeDescription,
  NodeStatus,
  Revision,
  Service,
  Task,
  TaskStatus,
  UpdateStatus,
} from '#proto/types/objects.ts';
import type * as specs from '#proto/types/specs.ts';
import { type DesiredState, TaskState } from '#proto/types/states.ts';

import {
  anyId,
  anyServiceSpec,
  anyTaskSpec,
  count,
  driver,
  few,
  flag,
  genericResource,
  object,
  port,
  text,
  textMap,
  texts,
  uint32,
  whole,
} from './arbitrary-specs.ts';

/** Any value of each stored object and of what agents are told, for property tests. */

export const anyEndpoint = object<Endpoint>(
  {
    mode: fc.constantFrom('vip', 'dnsrr'),
    ports: few(port),
    vips: few(object({ networkId: anyId<'network'>(), addr: text }, {})),
  },
  {},
);

export const anyUpdateStatus = object<UpdateStatus>(
  {
    state: fc.constantFrom(
      'updating',
      'paused',
      'completed',
      'rollback_started',
      'rollback_paused',
      'rollback_completed',
    ),
    startedAtMs: count,
    message: text,
    targetVersion: count,
  },
  { completedAtMs: count },
);

const stored = { version: count, createdAtMs: count, updatedAtMs: count };

export const anyService = object<Service>(
  { ...stored, id: anyId<'service'>(), spec: anyServiceSpec, specVersion: count, tasksMade: count },
  {
    previousSpec: anyServiceSpec,
    previousSpecVersion: count,
    endpoint: anyEndpoint,
    update: anyUpdateStatus,
    pendingDelete: flag,
  },
);

export const anyRevision = object<Revision>(
  { ...stored, serviceId: anyId<'service'>(), specVersion: count, task: anyTaskSpec, serviceName: text },
  { serviceLabels: textMap, ports: few(port) },
);

export const anyTaskState: fc.Arbitrary<TaskState> = fc.constantFrom(...Object.values(TaskState));
export const anyDesiredState: fc.Arbitrary<DesiredState> = fc.constantFrom(
  TaskState.Ready,
  TaskState.Running,
  TaskState.Complete,
  TaskState.Shutdown,
  TaskState.Remove,
);

export const anyTaskStatus = object<TaskStatus>(
  { state: anyTaskState, atMs: count, message: text },
  {
    error: text,
    startedAtMs: count,
    container: object({ id: text }, { pid: uint32, exitCode: fc.integer() }),
    meshAddr: text,
    ports: few(port),
  },
);

export const anyNetworkAttachments = few(
  object<NetworkAttachment>({ networkId: anyId<'network'>(), addresses: texts }, { aliases: texts }),
);

export const anyTask = object<Task>(
  {
    ...stored,
    id: anyId<'task'>(),
    serviceId: anyId<'service'>(),
    specVersion: count,
    slot: count,
    desired: anyDesiredState,
    status: anyTaskStatus,
    networks: anyNetworkAttachments,
  },
  {
    nodeId: anyId<'node'>(),
    attempt: uint32,
    startAfterMs: count,
    leavingVersion: count,
    released: flag,
  },
);

const nodeRole = fc.constantFrom('worker' as const, 'manager' as const);

export const anyNodeDescription = object<NodeDescription>(
  {
    hostname: text,
    platform: object({ architecture: text, os: text }, {}),
    resources: object({ nanoCpus: whole, memoryBytes: whole }, { generic: few(genericResource) }),
    engine: object(
      { version: text },
      { labels: textMap, plugins: few(object({ type: text, name: text }, {})) },
    ),
    peerAddr: text,
    dataPathAddr: text,
  },
  { addresses: texts },
);

export const anyNodeStatus = object<NodeStatus>(
  { state: fc.constantFrom('unknown', 'down', 'ready', 'disconnected') },
  { message: text, addr: text, sinceMs: count },
);

export const anyManagerStatus = object<ManagerStatus>(
  {
    raftId: count,
    addr: text,
    raftAddr: text,
    reachability: fc.constantFrom('unknown', 'unreachable', 'reachable'),
  },
  { leader: flag },
);

export const anyNodeSpec = object<specs.NodeSpec>(
  { role: nodeRole, availability: fc.constantFrom('active', 'pause', 'drain') },
  { name: text, labels: textMap },
);

export const anyNode = object<Node>(
  {
    ...stored,
    id: anyId<'node'>(),
    spec: anyNodeSpec,
    role: nodeRole,
    status: anyNodeStatus,
  },
  {
    description: anyNodeDescription,
    manager: anyManagerStatus,
    meshIndex: uint32,
    certificateExpiresAtMs: count,
    specVersion: count,
  },
);

export const anyIpamConfigs = few(
  object<specs.IpamConfig>({}, { subnet: text, range: text, gateway: text, auxiliary: textMap }),
);

export const anyNetwork = object<Network>(
  {
    ...stored,
    id: anyId<'network'>(),
    spec: object<specs.NetworkSpec>(
      { name: text },
      {
        labels: textMap,
        driver: text,
        options: textMap,
        ipv6: flag,
        internal: flag,
        attachable: flag,
        ingress: flag,
        ipam: object({}, { driver: text, options: textMap, configs: anyIpamConfigs }),
      },
    ),
  },
  { vni: uint32, ipam: anyIpamConfigs, pendingDelete: flag },
);

export const anyCluster = object<Cluster>(
  {
    ...stored,
    id: anyId<'cluster'>(),
    spec: object<specs.ClusterSpec>(
      {
        name: text,
        taskHistoryPerSlot: count,
        snapshotEveryEntries: count,
        logEntriesForSlowFollowers: count,
        keepOldSnapshots: count,
        electionTicks: uint32,
        heartbeatTicks: uint32,
        heartbeatPeriodNs: whole,
        nodeCertExpiryNs: whole,
        autoLockManagers: flag,
      },
      { labels: textMap, defaultLogDriver: driver },
    ),
    rootCa: object({ certificate: text, digest: text }, { key: text }),
    joinSecrets: object({ worker: text, manager: text }, {}),
    addressPools: texts,
    subnetBits: uint32,
    meshPool: text,
    dataPathPort: uint32,
    epoch: uint32,
  },
  { unlockKey: text },
);

const nodeSelf = object<NodeSelf>(
  { nodeId: anyId<'node'>(), meshPool: text, meshIndex: uint32, dataPathPort: uint32 },
  { labels: textMap },
);

const assignedTask = object<AssignedTask>(
  {
    id: anyId<'task'>(),
    serviceId: anyId<'service'>(),
    specVersion: count,
    slot: count,
    desired: anyDesiredState,
    state: anyTaskState,
    networks: anyNetworkAttachments,
    released: flag,
  },
  { leavingVersion: count },
);

const peer = object<NetworkPeer>(
  {
    nodeId: anyId<'node'>(),
    meshIndex: uint32,
    dataPathAddr: text,
    addresses: texts,
    peerAddr: text,
    up: flag,
  },
  {},
);

const networkInfo = object<NetworkInfo>(
  {
    id: anyId<'network'>(),
    name: text,
    driver: text,
    vni: uint32,
    subnet: text,
    gateway: text,
    internal: flag,
    attachable: flag,
  },
  { options: textMap, labels: textMap },
);

const endpointInfo = object<EndpointInfo>(
  {
    taskId: anyId<'task'>(),
    serviceId: anyId<'service'>(),
    nodeId: anyId<'node'>(),
    active: flag,
    networks: anyNetworkAttachments,
    names: texts,
  },
  { meshAddr: text },
);

export const anyAssignmentDiff = object<AssignmentDiff>(
  {
    complete: flag,
    appliesTo: count,
    version: count,
    putTasks: few(assignedTask),
    removeTasks: few(anyId<'task'>()),
    putRevisions: fc.array(anyRevision, { maxLength: 1 }),
    removeRevisions: few(object({ serviceId: anyId<'service'>(), specVersion: count }, {})),
    putPeers: few(peer),
    removePeers: few(anyId<'node'>()),
    putNetworks: few(networkInfo),
    removeNetworks: few(anyId<'network'>()),
    putServices: few(object<ServiceInfo>({ id: anyId<'service'>(), name: text, endpoint: anyEndpoint }, {})),
    removeServices: few(anyId<'service'>()),
    putEndpoints: few(endpointInfo),
    removeEndpoints: few(anyId<'task'>()),
  },
  { self: nodeSelf },
);
