import type { Change } from '#manager/store/changes.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Endpoint, NodeDescription, Task, TaskStatus } from '#proto/types/objects.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import type { TestStore } from './local-log.ts';

/** Changes that tests of what nodes are told are written in. Ids are given as plain words. */

export function descriptionOf(node: string): NodeDescription {
  return {
    hostname: node,
    platform: { architecture: 'x86_64', os: 'linux' },
    resources: { nanoCpus: 2e9, memoryBytes: 2 ** 31 },
    engine: { version: '1' },
    peerAddr: `${node}:2378`,
    dataPathAddr: '10.0.0.1',
  };
}

/** A node that is ready, as `n1`. */
export function nodeReady(
  node: string,
  more: { meshIndex?: number; labels?: Record<string, string> } = {},
): Change {
  return {
    kind: 'putNode',
    node: {
      id: node as NodeId,
      spec: { role: 'worker', availability: 'active', ...(more.labels && { labels: more.labels }) },
      role: 'worker',
      description: descriptionOf(node),
      status: { state: 'ready' },
      ...(more.meshIndex !== undefined && { meshIndex: more.meshIndex }),
    },
  };
}

export function nodeState(node: string, state: 'ready' | 'down' | 'unknown'): Change {
  return { kind: 'setNodeStatus', nodeId: node as NodeId, status: { state } };
}

export function overlay(network: string, subnet = '10.0.1.0/24'): Change {
  const gateway = subnet.replace(/0\/\d+$/, '1');
  const spec = { name: network, driver: 'overlay' };
  return {
    kind: 'putNetwork',
    network: { id: network as NetworkId, spec, vni: 4096, ipam: [{ subnet, gateway }] },
  };
}

/** A service whose tasks are on `networks`. */
export function service(id: string, networks: readonly string[] = [], image = 'image'): Change {
  return {
    kind: 'putService',
    service: {
      id: id as ServiceId,
      spec: {
        name: id,
        mode: { kind: 'replicated', replicas: 1 },
        task: { container: { image }, networks: networks.map((target) => ({ target })) },
      },
    },
  };
}

const PORT: PortConfig = { protocol: 'tcp', targetPort: 80, publishedPort: 8080, publishMode: 'ingress' };

/** The service has its VIPs, and its published port if it is to have one. */
export function allocated(id: string, networks: readonly string[] = [], published = false): Change {
  const vips = networks.map((networkId) => ({ networkId: networkId as NetworkId, addr: '10.0.1.2/24' }));
  const endpoint: Endpoint = { mode: 'vip', ports: published ? [PORT] : [], vips };
  return { kind: 'allocateService', serviceId: id as ServiceId, endpoint };
}

/** Makes a task of a service and assigns it to a node; its addresses are on `networks`. */
export async function placeTask(
  { store }: Pick<TestStore, 'store'>,
  place: {
    readonly service: string;
    readonly slot: number;
    readonly node: string;
    readonly networks?: readonly string[];
  },
): Promise<TaskId> {
  const serviceId = place.service as ServiceId;
  const before = new Set(
    store
      .view()
      .tasks.byService(serviceId)
      .map(({ id }) => id),
  );
  await store.update({
    changes: [{ kind: 'createTask', serviceId, slot: place.slot, desired: TaskState.Running }],
  });
  const made = store
    .view()
    .tasks.byService(serviceId)
    .find(({ id }) => !before.has(id)) as Task;
  const networks = (place.networks ?? []).map((networkId) => ({
    networkId: networkId as NetworkId,
    addresses: [`10.0.1.${(Number.parseInt(made.id.slice(-3), 36) % 250) + 3}/24`],
  }));
  await store.update({
    changes: [
      { kind: 'allocateTask', taskId: made.id, networks },
      { kind: 'assignTask', taskId: made.id, nodeId: place.node as NodeId },
    ],
  });
  return made.id;
}

export function statusOf(state: TaskStatus['state'], more: Partial<TaskStatus> = {}): TaskStatus {
  return { state, atMs: 1, message: 'told', ...more };
}

export function taskStatusIs(
  taskId: TaskId,
  state: TaskStatus['state'],
  more: Partial<TaskStatus> = {},
): Change {
  return { kind: 'setTaskStatus', taskId, status: statusOf(state, more) };
}
