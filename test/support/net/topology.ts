import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNamespace, removeNamespace } from '#agent/core/linux/netns.ts';
import type { NodeNetwork, Sandbox, SandboxRequest } from '#agent/net/node-network.ts';
import type { TaskId } from '#proto/types/ids.ts';
import { type Cluster, lanAddress, NETWORK } from './cluster.ts';
import { Remote } from './remote.ts';

/*
 * A LAN on one machine: a switch, a client outside the cluster, and nodes, each a network namespace with a process that
 * runs its network. Addresses are those of the facts: node h is 10.90.0.h, the client 10.90.0.100.
 */

export const EXT = '10.90.0.100';

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

/** A task's container on a node. */
export interface Task {
  readonly id: TaskId;
  readonly name: string;
  readonly node: number;
  readonly address: string;
  readonly sandbox: Sandbox;
  readonly web: Remote;
}

/** Tells every node of the cluster; resolves when all have it. */
export async function tellAll(topology: Topology, cluster: Cluster): Promise<void> {
  const told = topology.nodes.filter((node) => cluster.nodes.has(node.number));
  await Promise.all(told.map((node) => node.net('applyCluster', cluster.stateFor(node.number))));
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
