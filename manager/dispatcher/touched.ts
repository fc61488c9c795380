import type { NetworkId, NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Cluster, Network, Node, Service, Task } from '#proto/types/objects.ts';
import { isTerminal } from '#proto/types/states.ts';
import { sameValue } from '../store/same.ts';
import type { EventBatch, RowEvent, StoreEvent, StoreView } from '../store/view.ts';
import {
  assignedTask,
  isActive,
  isAssigned,
  isEndpoint,
  isIngress,
  isUp,
  networkInfo,
  networksOfService,
  peerOf,
  selfOf,
  serviceInfo,
} from './rows.ts';

/*
 * Which nodes a change matters to, and what of it: found from the change alone, so that nothing is computed for the
 * nodes it does not touch. Pure.
 */

/** One node, every node, or every node on a network. */
export type Scope =
  | { readonly kind: 'node'; readonly id: NodeId }
  | { readonly kind: 'network'; readonly id: NetworkId }
  | { readonly kind: 'all' };

/** What kind of row a node is told. */
export type Topic = 'self' | 'tasks' | 'peers' | 'networks' | 'services' | 'endpoints';

/** The row `id` of `topic` may be different now for the nodes in `scope`. */
export interface Touch {
  readonly scope: Scope;
  readonly topic: Topic;
  readonly id: string;
}

const ALL: Scope = { kind: 'all' };

/** Everything that one applied entry may change for nodes; `view` is the store after it. */
export function touchedBy(batch: EventBatch, view: StoreView): Touch[] {
  return batch.events.flatMap((event) => touches(event, view));
}

function touches(event: StoreEvent, view: StoreView): Touch[] {
  switch (event.table) {
    case 'task':
      return taskTouches(event, view);
    case 'service':
      return serviceTouches(event, view);
    case 'network':
      return networkTouches(event);
    case 'node':
      return nodeTouches(event, view);
    case 'cluster':
      return clusterTouches(event);
    case 'revision':
      return [];
  }
}

function taskTouches({ id, row, previous }: RowEvent<'task', Task>, view: StoreView): Touch[] {
  const own = sameValue(toldOwn(previous), toldOwn(row)) ? [] : ownScopes(previous, row);
  const far = farScopes(previous, row, view);
  return [
    ...own.map((scope) => ({ scope, topic: 'tasks', id }) as const),
    ...far.map((scope) => ({ scope, topic: 'endpoints', id }) as const),
  ];
}

/**
 * What its own node is told of a task. The state is the agent's own word and not told back to it, except that it has
 * ended: then its networks and its revision are no longer needed.
 */
function toldOwn(task: Task | undefined): object | undefined {
  if (task === undefined || !isAssigned(task)) return undefined;
  const { state, ...told } = assignedTask(task);
  return { ...told, nodeId: task.nodeId, ended: isTerminal(state) };
}

function ownScopes(previous: Task | undefined, row: Task | undefined): Scope[] {
  const nodes = new Set([previous?.nodeId, row?.nodeId]);
  return [...nodes].filter((id) => id !== undefined).map((id) => ({ kind: 'node', id }));
}

/** Where else a task is known. That of a service which went at the same time may be known anywhere. */
function farScopes(previous: Task | undefined, row: Task | undefined, view: StoreView): Scope[] {
  if (previous !== undefined && view.services.get(previous.serviceId) === undefined) return [ALL];
  if (sameValue(toldOthers(previous, view), toldOthers(row, view))) return [];
  return endpointScopes([previous, row], view);
}

/** What others are told of a task, as far as it comes from the task. Its names never change. */
function toldOthers(task: Task | undefined, view: StoreView): object | undefined {
  if (task?.nodeId === undefined || !isEndpoint(task, view.services.get(task.serviceId))) return undefined;
  const { nodeId, networks, status, specVersion } = task;
  const active = isActive(task, view.nodes.get(nodeId));
  return { nodeId, networks, specVersion, active, meshAddr: status.meshAddr };
}

function endpointScopes(tasks: readonly (Task | undefined)[], view: StoreView): Scope[] {
  const present = tasks.filter((task) => task !== undefined);
  if (present.some(({ serviceId }) => isIngress(view.services.get(serviceId)))) return [ALL];
  return networkScopes(present.flatMap(({ networks }) => networks.map(({ networkId }) => networkId)));
}

function networkScopes(ids: Iterable<NetworkId>): Scope[] {
  return [...new Set(ids)].map((id) => ({ kind: 'network', id }));
}

function serviceTouches({ id, row, previous }: RowEvent<'service', Service>, view: StoreView): Touch[] {
  if (sameValue(toldService(previous), toldService(row))) return [];
  const scopes = serviceScopes([previous, row]);
  const moved = !sameValue(reach(previous), reach(row));
  const tasks = moved ? view.tasks.byService(id as ServiceId) : [];
  return [
    ...scopes.map((scope) => ({ scope, topic: 'services', id }) as const),
    ...tasks.flatMap((task) =>
      [...scopes, ...endpointScopes([task], view)].map(
        (scope) => ({ scope, topic: 'endpoints', id: task.id }) as const,
      ),
    ),
  ];
}

function toldService(service: Service | undefined): object | undefined {
  return service && { ...serviceInfo(service), ...reach(service) };
}

/** Whom a service is told to. */
function reach(service: Service | undefined): { ingress: boolean; networks: NetworkId[] } | undefined {
  return service && { ingress: isIngress(service), networks: [...networksOfService(service)].sort() };
}

function serviceScopes(services: readonly (Service | undefined)[]): Scope[] {
  if (services.some(isIngress)) return [ALL];
  return networkScopes(services.flatMap((service) => (service ? [...networksOfService(service)] : [])));
}

function networkTouches({ id, row, previous }: RowEvent<'network', Network>): Touch[] {
  if (sameValue(previous && networkInfo(previous), row && networkInfo(row))) return [];
  return [{ scope: { kind: 'network', id: id as NetworkId }, topic: 'networks', id }];
}

function nodeTouches({ id, row, previous }: RowEvent<'node', Node>, view: StoreView): Touch[] {
  const [was, is] = [previous && peerOf(previous), row && peerOf(row)];
  const self = sameValue(previous && selfOf(previous, undefined), row && selfOf(row, undefined));
  const tasks = wentUpOrDown(previous, row) ? view.tasks.byNode(id as NodeId) : [];
  return [
    ...(self ? [] : [{ scope: { kind: 'node', id: id as NodeId }, topic: 'self', id } as const]),
    ...(sameValue(was, is) ? [] : [{ scope: ALL, topic: 'peers', id } as const]),
    ...tasks.flatMap((task) =>
      endpointScopes([task], view).map((scope) => ({ scope, topic: 'endpoints', id: task.id }) as const),
    ),
  ];
}

function wentUpOrDown(previous: Node | undefined, row: Node | undefined): boolean {
  return isUp(previous) !== isUp(row);
}

function clusterTouches({ id, row, previous }: RowEvent<'cluster', Cluster>): Touch[] {
  const told = (cluster: Cluster | undefined): object | undefined =>
    cluster && { pool: cluster.meshPool, port: cluster.dataPathPort };
  return sameValue(told(previous), told(row)) ? [] : [{ scope: ALL, topic: 'self', id }];
}
