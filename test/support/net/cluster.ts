import type { EndpointInfo, NetworkInfo, NetworkState, ServiceInfo } from '#proto/types/assignments.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { PortConfig } from '#proto/types/specs.ts';

/* A cluster's network as a test makes it up; addresses are those of the facts: node h is 10.90.0.h. */

export const POOL = '100.64.0.0/10';

export function lanAddress(node: number): string {
  return `10.90.0.${node}`;
}

export function nodeId(node: number): NodeId {
  return `node${node}` as NodeId;
}

export const NETWORK: NetworkInfo = {
  id: 'net1' as NetworkId,
  name: 'backend',
  driver: 'overlay',
  vni: 4097,
  subnet: '10.0.1.0/24',
  gateway: '10.0.1.1',
  internal: false,
  attachable: true,
};

/** A task, as far as others must know it. */
export interface Member {
  readonly id: TaskId;
  readonly name: string;
  readonly node: number;
  readonly address: string;
  readonly sandbox: { readonly meshAddr?: string };
}

/** A cluster as a test makes it up: what managers would say. */
export class Cluster {
  readonly nodes: Set<number>;
  readonly networks = new Map<NetworkId, NetworkInfo>([[NETWORK.id, NETWORK]]);
  readonly services = new Map<ServiceId, ServiceInfo>();
  readonly endpoints = new Map<TaskId, EndpointInfo>();
  #version = 0;

  constructor(nodes: readonly number[]) {
    this.nodes = new Set(nodes);
  }

  /** The state as one node is told. */
  stateFor(node: number): NetworkState {
    this.#version++;
    const others = [...this.nodes].filter((other) => other !== node);
    return {
      version: this.#version,
      self: { nodeId: nodeId(node), meshPool: POOL, meshIndex: node, dataPathPort: 4789 },
      peers: new Map(others.map((other) => [nodeId(other), peerOf(other)])),
      networks: new Map(this.networks),
      services: new Map(this.services),
      endpoints: new Map(this.endpoints),
    };
  }

  service(
    id: string,
    vip: string,
    ports: readonly Partial<PortConfig>[],
    mode: 'vip' | 'dnsrr' = 'vip',
  ): void {
    const full = ports.map((port) => ({
      protocol: 'tcp' as const,
      targetPort: 80,
      publishMode: 'ingress' as const,
      ...port,
    }));
    this.services.set(id as ServiceId, {
      id: id as ServiceId,
      name: id,
      endpoint: { mode, ports: full, vips: [{ networkId: NETWORK.id, addr: `${vip}/24` }] },
    });
  }

  /** Says where a service's tasks are, and whether they are balanced to. */
  endpoint(service: string, task: Member, active = true): void {
    this.endpoints.set(task.id, {
      taskId: task.id,
      serviceId: service as ServiceId,
      nodeId: nodeId(task.node),
      active,
      networks: [{ networkId: NETWORK.id, addresses: [`${task.address}/24`] }],
      names: [task.name],
      ...(task.sandbox.meshAddr === undefined ? {} : { meshAddr: task.sandbox.meshAddr }),
    });
  }
}

function peerOf(node: number) {
  return {
    nodeId: nodeId(node),
    meshIndex: node,
    dataPathAddr: lanAddress(node),
    addresses: [lanAddress(node)],
    peerAddr: `${lanAddress(node)}:4243`,
    up: true,
  };
}
