import type {
  AssignedTask,
  EndpointInfo,
  NetworkInfo,
  NetworkPeer,
  NodeSelf,
  ServiceInfo,
} from '#proto/types/assignments.ts';
import type { NetworkId, NodeId } from '#proto/types/ids.ts';
import type { Cluster, Network, Node, Revision, Service, Task } from '#proto/types/objects.ts';
import { networkIdsOf } from '#proto/types/specs.ts';
import { isTerminal, TaskState } from '#proto/types/states.ts';
import type { StoreView } from '../store/view.ts';

/*
 * What nodes are told, made from what is stored, one row from one row. Pure.
 */

/** The node's agent has something to do with the task: to run it, to end it, or to keep what it left until it is reaped. */
export function isAssigned(task: Task): boolean {
  const { state } = task.status;
  if (state < TaskState.Assigned || state === TaskState.Orphaned) return false;
  return !(isTerminal(state) && task.desired === TaskState.Remove);
}

export function assignedTask(task: Task): AssignedTask {
  return {
    id: task.id,
    serviceId: task.serviceId,
    specVersion: task.specVersion,
    slot: task.slot,
    desired: task.desired,
    state: task.status.state,
    networks: task.networks,
    released: task.released ?? false,
    ...(task.leavingVersion === undefined ? {} : { leavingVersion: task.leavingVersion }),
  };
}

export function selfOf(node: Node, cluster: Cluster | undefined): NodeSelf {
  return {
    nodeId: node.id,
    meshPool: cluster?.meshPool ?? '',
    meshIndex: node.meshIndex ?? 0,
    dataPathPort: cluster?.dataPathPort ?? 0,
    ...(node.spec.labels === undefined ? {} : { labels: node.spec.labels }),
  };
}

/** A node as other nodes know it; undefined before it has said what it is. */
export function peerOf(node: Node): NetworkPeer | undefined {
  if (node.description === undefined) return undefined;
  const { dataPathAddr, peerAddr, addresses = [] } = node.description;
  return {
    nodeId: node.id,
    meshIndex: node.meshIndex ?? 0,
    dataPathAddr,
    addresses,
    peerAddr,
    up: isUp(node),
  };
}

/** A node that is not known to be down is used: an unknown one is most often only on its way to another manager. */
export function isUp(node: Node | undefined): boolean {
  return node !== undefined && node.status.state !== 'down';
}

export function networkInfo(network: Network): NetworkInfo {
  const { name, driver = 'overlay', internal = false, attachable = false, options, labels } = network.spec;
  const { subnet = '', gateway = '' } = network.ipam?.[0] ?? {};
  return {
    id: network.id,
    name,
    driver,
    vni: network.vni ?? 0,
    subnet,
    gateway,
    internal,
    attachable,
    ...(options === undefined ? {} : { options }),
    ...(labels === undefined ? {} : { labels }),
  };
}

/** What a service's name stands for; undefined before it has been allocated. */
export function serviceInfo(service: Service): ServiceInfo | undefined {
  const { id, spec, endpoint } = service;
  return endpoint === undefined ? undefined : { id, name: spec.name, endpoint };
}

/** Every node must know it: connections to its published ports arrive anywhere. */
export function isIngress(service: Service | undefined): boolean {
  return service?.endpoint?.ports.some(({ publishMode }) => publishMode === 'ingress') ?? false;
}

/** The networks a service is on: those of its spec, those of the spec that tasks may still run, and of its VIPs. */
export function networksOfService(service: Service): ReadonlySet<NetworkId> {
  return new Set([
    ...networkIdsOf(service.spec.task),
    ...(service.previousSpec === undefined ? [] : networkIdsOf(service.previousSpec.task)),
    ...(service.endpoint?.vips.map(({ networkId }) => networkId) ?? []),
  ]);
}

/** The networks a node has containers of tasks on. */
export function networksOfNode(view: StoreView, nodeId: NodeId): ReadonlySet<NetworkId> {
  const running = view.tasks
    .byNode(nodeId)
    .filter((task) => isAssigned(task) && !isTerminal(task.status.state));
  return new Set(running.flatMap(({ networks }) => networks.map(({ networkId }) => networkId)));
}

/** Others may reach it: it has a place and addresses, or its service published ports, and it has not ended. */
export function isEndpoint(task: Task, service: Service | undefined): boolean {
  const { state } = task.status;
  if (task.nodeId === undefined || state < TaskState.Assigned || isTerminal(state)) return false;
  return isIngress(service) || task.networks.some(({ addresses }) => addresses.length > 0);
}

/** It gets new connections. */
export function isActive(task: Task, node: Node | undefined): boolean {
  return task.status.state === TaskState.Running && task.desired <= TaskState.Running && isUp(node);
}

/** One task as others reach it; undefined when they can't. */
export function endpointInfo(view: StoreView, task: Task): EndpointInfo | undefined {
  const service = view.services.get(task.serviceId);
  if (task.nodeId === undefined || !isEndpoint(task, service)) return undefined;
  const { meshAddr } = task.status;
  return {
    taskId: task.id,
    serviceId: task.serviceId,
    nodeId: task.nodeId,
    active: isActive(task, view.nodes.get(task.nodeId)),
    networks: task.networks.filter(({ addresses }) => addresses.length > 0),
    names: taskNames(task, view.revision(task.serviceId, task.specVersion)),
    ...(meshAddr === undefined ? {} : { meshAddr }),
  };
}

/** The names of the task itself: its container's, as Swarm makes it, and its hostname. Templates its node fills in. */
function taskNames(task: Task, revision: Revision | undefined): string[] {
  if (revision === undefined) return [];
  const { hostname } = revision.task.container;
  const place = task.slot === 0 ? (task.nodeId ?? '') : String(task.slot);
  const name = `${revision.serviceName}.${place}.${task.id}`;
  return hostname === undefined || hostname.includes('{{') ? [name] : [name, hostname];
}
