import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNamespace, removeNamespace } from '#agent/core/linux/netns.ts';
import type { NodeNetwork, Sandbox, SandboxRequest } from '#agent/net/node-network.ts';
import type { EndpointInfo, NetworkInfo, NetworkState, ServiceInfo } from '#proto/types/assignments.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import { Remote } from './remote.ts';

/*
 * A LAN on one machine: a switch, a client outside the cluster, and nodes, each a network namespace with a process that
 * runs its network. Addresses are those of the facts: node h is 10.90.0.h, the client 10.90.0.100.
 */

export const EXT = '10.90.0.100';
export const POOL = '100.64.0.0/10';

export function lanAddress(node: number): string {
  return `10.90.0.${node}`;
}

export function nodeId(node: number): NodeId {
  return `node${node}` as NodeId;
}

/** A node of the topology and the network that runs on it. */
export class TestNode {
  readonly number: number;
  readonly netns: string;
  readonly execRoot: string;
  readonly #instance: string;
  driver: Remote;

  constructor(number: number, netns: string, execRoot: string, instance: string) {
    this.number = number;
    this.netns = netns;
    this.execRoot = execRoot;
    this.#instance = instance;
    this.driver = new Remote(netns, 'driver.ts');
  }

  get opts() {
    return { instance: this.#instance, execRoot: this.execRoot };
  }

  async open(recover: readonly Sandbox[] = []): Promise<void> {
    await this.driver.call('open', this.opts, lanAddress(this.number));
    await this.driver.call('recover', recover);
  }

  /** Calls the node's network. */
  async net<V extends keyof NodeNetwork>(
    verb: V,
    ...args: NodeNetwork[V] extends (...args: infer A) => unknown ? A : never
  ): Promise<NodeNetwork[V] extends (...args: never[]) => infer R ? Awaited<R> : never> {
    return await this.driver.call(verb as string, ...args);
  }

  /** A new daemon process in place of the old one. */
  async restart(how: 'dispose' | 'kill', sandboxes: readonly Sandbox[]): Promise<void> {
    if (how === 'dispose') await this.driver.call('dispose');
    await this.driver.end(how === 'kill' ? 'SIGKILL' : 'SIGTERM');
    this.driver = new Remote(this.netns, 'driver.ts');
    await this.open(sandboxes);
  }
}

export class Topology implements AsyncDisposable {
  readonly directory: string;
  readonly nodes: TestNode[] = [];
  readonly ext: string;
  readonly #lan: string;
  readonly #namespaces: string[] = [];
  readonly #remotes: Remote[] = [];
  readonly #seconds: TestNode[] = [];

  /** `name` is in every name that the machine sees. */
  constructor(name: string, nodes: number, instance = '') {
    this.directory = mkdtempSync(join(tmpdir(), `shoal-test-${name}-`));
    this.#lan = this.#namespace('lan');
    this.run(this.#lan, 'ip link add br0 type bridge', 'ip link set br0 up');
    this.ext = this.#namespace('ext');
    this.#plug(this.ext, 'ext', `${EXT}/24`);
    for (let h = 1; h <= nodes; h++) {
      const netns = this.#namespace(`h${h}`);
      this.#plug(netns, `h${h}`, `${lanAddress(h)}/24`);
      this.nodes.push(new TestNode(h, netns, join(this.directory, `exec${h}`), instance));
    }
  }

  node(number: number): TestNode {
    return this.nodes[number - 1] as TestNode;
  }

  /** A process in a namespace, ended with the topology. */
  probe(netns: string): Remote {
    const remote = new Remote(netns, 'probe.ts');
    this.#remotes.push(remote);
    return remote;
  }

  /** Another daemon in a node's namespace, taken away with the topology. */
  secondNode(node: TestNode, instance: string): TestNode {
    const second = new TestNode(node.number, node.netns, `${node.execRoot}-${instance}`, instance);
    this.#seconds.push(second);
    return second;
  }

  /** Runs command lines (words without quotes) in a namespace; the output of the last. */
  run(netns: string, ...lines: readonly string[]): string {
    let output = '';
    for (const line of lines)
      output = execFileSync('nsenter', [`--net=${netns}`, ...line.split(' ')], {
        stdio: ['ignore', 'pipe', 'pipe'],
        // The system's own programs: packages bring others of the same names.
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      }).toString();
    return output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#remotes.map((remote) => remote.end('SIGKILL')));
    for (const node of [...this.nodes, ...this.#seconds]) {
      await node.driver.end('SIGKILL');
      const driver = new Remote(node.netns, 'driver.ts');
      await driver.call('teardown', node.opts).finally(() => driver.end());
    }
    for (const path of this.#namespaces) removeNamespace(path);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #namespace(name: string): string {
    const path = join(this.directory, name);
    createNamespace(path);
    this.#namespaces.push(path);
    this.run(path, 'ip link set lo up');
    return path;
  }

  #plug(netns: string, port: string, address: string): void {
    this.run(
      this.#lan,
      `ip link add ${port} type veth peer name eth0 netns ${netns}`,
      `ip link set ${port} master br0 up`,
    );
    this.run(netns, `ip addr add ${address} dev eth0`, 'ip link set eth0 up');
  }
}

/** An id as containers have them. */
export function containerId(): string {
  return randomBytes(32).toString('hex');
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

/** A task's container on a node. */
export interface Task {
  readonly id: TaskId;
  readonly name: string;
  readonly node: number;
  readonly address: string;
  readonly sandbox: Sandbox;
  readonly web: Remote;
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
  endpoint(
    service: string,
    task: Pick<Task, 'id' | 'node' | 'address' | 'sandbox' | 'name'>,
    active = true,
  ): void {
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

  /** Tells every node; resolves when all have it. */
  async tell(topology: Topology): Promise<void> {
    const told = topology.nodes.filter((node) => this.nodes.has(node.number));
    await Promise.all(told.map((node) => node.net('applyCluster', this.stateFor(node.number))));
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

/** Opens a container on a node and serves its name in it at port 80. */
export async function startTask(
  topology: Topology,
  name: string,
  node: number,
  address: string,
  more: Partial<SandboxRequest> = {},
): Promise<Task> {
  const sandbox = await topology.node(node).net('openSandbox', {
    containerId: containerId(),
    names: [name],
    attachments: [{ networkId: NETWORK.id, address, aliases: [] }],
    ports: [],
    mesh: true,
    ...more,
  });
  const web = topology.probe(sandbox.netnsPath);
  await web.call('serve', name, 80);
  return { id: `task-${name}` as TaskId, name, node, address, sandbox, web };
}
