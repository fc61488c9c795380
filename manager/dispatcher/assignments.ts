import { type AssignmentDiff, type RevisionKey, revisionKey } from '#proto/types/assignments.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Revision, Service, Task } from '#proto/types/objects.ts';
import type { ClusterSpec } from '#proto/types/specs.ts';
import type { StoreView } from '../store/view.ts';
import {
  assignedTask,
  endpointInfo,
  isAssigned,
  isIngress,
  networkInfo,
  networksOfNode,
  networksOfService,
  peerOf,
  selfOf,
  serviceInfo,
} from './rows.ts';

/*
 * What a node must know, and what of it has changed. Pure.
 *
 * A node is told its own tasks with their revisions; the networks these are on, every service and every endpoint on
 * those; every service with published ports, and its endpoints; and every other node.
 */

/** What a node has been told, as far as it can't be seen from the store: enough to say what is new to it. */
export interface Told {
  readonly version: number;
  readonly networks: ReadonlySet<NetworkId>;
  readonly revisions: ReadonlyMap<string, RevisionKey>;
}

/** Rows that may be different from what the node has been told. */
export interface Dirty {
  readonly self: boolean;
  readonly tasks: ReadonlySet<TaskId>;
  readonly peers: ReadonlySet<NodeId>;
  readonly networks: ReadonlySet<NetworkId>;
  readonly services: ReadonlySet<ServiceId>;
  readonly endpoints: ReadonlySet<TaskId>;
}

/** The whole of what a node must know. */
export function completeAssignments(view: StoreView, nodeId: NodeId): { diff: AssignmentDiff; told: Told } {
  const nothing: Told = { version: 0, networks: new Set(), revisions: new Map() };
  const everywhere = [...view.services.all()].filter(isIngress).map(({ id }) => id);
  const { diff, told } = changedAssignments(view, nodeId, nothing, {
    self: true,
    tasks: new Set(view.tasks.byNode(nodeId).map(({ id }) => id)),
    peers: new Set([...view.nodes.all()].map(({ id }) => id)),
    networks: new Set(),
    services: new Set(everywhere),
    endpoints: new Set(everywhere.flatMap((id) => view.tasks.byService(id).map((task) => task.id))),
  });
  return { diff: { ...diff, complete: true, ...NO_REMOVALS }, told };
}

const NO_REMOVALS = {
  removeTasks: [],
  removeRevisions: [],
  removePeers: [],
  removeNetworks: [],
  removeServices: [],
  removeEndpoints: [],
};

/** What is new for a node that knows `told`, if nothing but `dirty` has changed since; possibly nothing. */
export function changedAssignments(
  view: StoreView,
  nodeId: NodeId,
  told: Told,
  dirty: Dirty,
): { diff: AssignmentDiff; told: Told } {
  const tasks = ownTasks(view, nodeId, dirty);
  const networks = dirty.tasks.size === 0 ? told.networks : networksOfNode(view, nodeId);
  const revisions = dirty.tasks.size === 0 ? told.revisions : revisionsOf(view, nodeId);
  const moved = movedWith(view, told.networks, networks);
  const network = networkDiff(view, nodeId, networks, {
    ...dirty,
    services: dirty.services.union(moved.services),
    endpoints: dirty.endpoints.union(moved.endpoints),
  });
  const diff: AssignmentDiff = {
    complete: false,
    appliesTo: told.version,
    version: view.version,
    ...tasks,
    ...revisionDiff(view, told.revisions, revisions),
    ...networkRows(view, told.networks, networks, dirty.networks),
    ...network,
  };
  return { diff, told: { version: view.version, networks, revisions } };
}

/** Nothing in it. */
export function isEmpty(diff: AssignmentDiff): boolean {
  return (
    !diff.complete &&
    diff.putTasks.length +
      diff.removeTasks.length +
      diff.putRevisions.length +
      diff.removeRevisions.length ===
      0 &&
    !concernsNetwork(diff)
  );
}

/** Something in it changes the node's data plane, and is to be acknowledged when that has been done. */
export function concernsNetwork(diff: AssignmentDiff): boolean {
  const rows = [
    diff.putPeers,
    diff.removePeers,
    diff.putNetworks,
    diff.removeNetworks,
    diff.putServices,
    diff.removeServices,
    diff.putEndpoints,
    diff.removeEndpoints,
  ];
  return diff.complete || diff.self !== undefined || rows.some(({ length }) => length > 0);
}

function ownTasks(
  view: StoreView,
  nodeId: NodeId,
  dirty: Dirty,
): Pick<AssignmentDiff, 'putTasks' | 'removeTasks'> {
  const mine = (task: Task | undefined): task is Task => task?.nodeId === nodeId && isAssigned(task);
  const [put, remove] = parted(dirty.tasks, (id) => {
    const task = view.tasks.get(id);
    return mine(task) ? assignedTask(task) : undefined;
  });
  return { putTasks: put, removeTasks: remove };
}

function revisionsOf(view: StoreView, nodeId: NodeId): ReadonlyMap<string, RevisionKey> {
  const tasks = view.tasks.byNode(nodeId).filter(isAssigned);
  return new Map(
    tasks.map(({ serviceId, specVersion }) => [
      revisionKey(serviceId, specVersion),
      { serviceId, specVersion },
    ]),
  );
}

function revisionDiff(
  view: StoreView,
  was: ReadonlyMap<string, RevisionKey>,
  is: ReadonlyMap<string, RevisionKey>,
): Pick<AssignmentDiff, 'putRevisions' | 'removeRevisions'> {
  if (was === is) return { putRevisions: [], removeRevisions: [] };
  const added = [...is].filter(([key]) => !was.has(key)).map(([, key]) => key);
  return {
    putRevisions: added
      .map(({ serviceId, specVersion }) => view.revision(serviceId, specVersion))
      .filter((revision): revision is Revision => revision !== undefined)
      .map((revision) => withLogDriver(revision, view.cluster?.spec)),
    removeRevisions: [...was].filter(([key]) => !is.has(key)).map(([, key]) => key),
  };
}

/** Where a service names no log driver, the cluster's settings of the moment when the node is told do. */
function withLogDriver(revision: Revision, defaults: Pick<ClusterSpec, 'defaultLogDriver'> = {}): Revision {
  const { defaultLogDriver: logDriver } = defaults;
  const { task } = revision;
  return task.logDriver || !logDriver ? revision : { ...revision, task: { ...task, logDriver } };
}

function networkRows(
  view: StoreView,
  was: ReadonlySet<NetworkId>,
  is: ReadonlySet<NetworkId>,
  dirty: ReadonlySet<NetworkId>,
): Pick<AssignmentDiff, 'putNetworks' | 'removeNetworks'> {
  const [put, remove] = parted(new Set([...differing(was, is), ...dirty]), (id) => {
    const network = is.has(id) ? view.networks.get(id) : undefined;
    return network && networkInfo(network);
  });
  return { putNetworks: put, removeNetworks: remove };
}

type NetworkRows = Omit<
  AssignmentDiff,
  'complete' | 'appliesTo' | 'version' | `${'put' | 'remove'}${'Tasks' | 'Revisions' | 'Networks'}`
>;

function networkDiff(
  view: StoreView,
  nodeId: NodeId,
  networks: ReadonlySet<NetworkId>,
  dirty: Dirty,
): NetworkRows {
  const self = dirty.self ? view.nodes.get(nodeId) : undefined;
  const [putPeers, removePeers] = parted(dirty.peers, (id) => {
    const node = id === nodeId ? undefined : view.nodes.get(id);
    return node && peerOf(node);
  });
  const [putServices, removeServices] = parted(dirty.services, (id) => {
    const service = view.services.get(id);
    return service && concerns(service, networks) ? serviceInfo(service) : undefined;
  });
  const [putEndpoints, removeEndpoints] = parted(dirty.endpoints, (id) => {
    const task = view.tasks.get(id);
    return task && reaches(view, task, networks) ? endpointInfo(view, task) : undefined;
  });
  return {
    ...(self && { self: selfOf(self, view.cluster) }),
    putPeers,
    removePeers: removePeers.filter((id) => id !== nodeId),
    putServices,
    removeServices,
    putEndpoints,
    removeEndpoints,
  };
}

/** A node on these networks must know the service. */
function concerns(service: Service, networks: ReadonlySet<NetworkId>): boolean {
  return isIngress(service) || !networksOfService(service).isDisjointFrom(networks);
}

/** A node on these networks must know how to reach the task. */
function reaches(view: StoreView, task: Task, networks: ReadonlySet<NetworkId>): boolean {
  const service = view.services.get(task.serviceId);
  if (service === undefined || !concerns(service, networks)) return false;
  return isIngress(service) || task.networks.some(({ networkId }) => networks.has(networkId));
}

/** What a node comes to know, or no longer needs to, because the networks it is on are others than before. */
function movedWith(
  view: StoreView,
  was: ReadonlySet<NetworkId>,
  is: ReadonlySet<NetworkId>,
): Pick<Dirty, 'services' | 'endpoints'> {
  const moved = { services: new Set<ServiceId>(), endpoints: new Set<TaskId>() };
  const differ = differing(was, is);
  if (differ.size === 0) return moved;
  const either = was.union(is);
  for (const service of view.services.all()) {
    const on = networksOfService(service);
    if (on.isDisjointFrom(either)) continue;
    const all = !on.isDisjointFrom(differ);
    if (all) moved.services.add(service.id);
    // A task may still be on a network that its service has left.
    for (const { id, networks } of view.tasks.byService(service.id)) {
      if (all || networks.some(({ networkId }) => differ.has(networkId))) moved.endpoints.add(id);
    }
  }
  return moved;
}

function differing<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): ReadonlySet<T> {
  return a === b ? new Set() : a.symmetricDifference(b);
}

/** The rows of those ids that have one, and the other ids; both by id, ascending. */
function parted<Id extends string, Row>(
  ids: ReadonlySet<Id>,
  rowOf: (id: Id) => Row | undefined,
): [put: Row[], remove: Id[]] {
  const put: Row[] = [];
  const remove: Id[] = [];
  for (const id of [...ids].sort()) {
    const row = rowOf(id);
    if (row === undefined) remove.push(id);
    else put.push(row);
  }
  return [put, remove];
}
