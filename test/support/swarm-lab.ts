import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { EngineClient } from '#deploy/cli/engine-client.ts';
import { clientOf, down, type LocalCluster, up } from '#deploy/local/cluster.ts';
import { type LocalNode, signalDaemon, startDaemon } from '#deploy/local/daemon.ts';
import { systemClock } from '#proto/base/clock.ts';
import { dockerClient } from './docker-cli.ts';
import { PATIENCE_MS } from './wait-for.ts';

/* A whole local cluster for a test, and what people do to one: commands, kills, restarts. */

const SHOAL = join(import.meta.dirname, '..', '..', 'deploy', 'bin', 'shoal');
const LOOK_EVERY_MS = 100;

/** How a program ended. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface NodeView {
  readonly ID: string;
  readonly Spec: { readonly Role: string };
  readonly Status: { readonly State: string };
  readonly Description: { readonly Hostname: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string };
}

export class SwarmLab implements AsyncDisposable {
  readonly cluster: LocalCluster;

  private constructor(cluster: LocalCluster) {
    this.cluster = cluster;
  }

  /** `name`: three letters, of this test alone. Managers are m1, m2, …, workers w1, … */
  static async open(name: string, managers: number, workers: number): Promise<SwarmLab> {
    const ofThisRun = `${name}${process.pid.toString(36)}`;
    return new SwarmLab(await up({ name: ofThisRun, managers, workers }));
  }

  node(name: string): LocalNode {
    const found = this.cluster.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  client(name: string): EngineClient {
    return clientOf(this.node(name));
  }

  docker(name: string, ...args: string[]): Promise<Ran> {
    return run(dockerClient(), ['-H', `unix://${this.node(name).socket}`, ...args]);
  }

  shoal(name: string, ...args: string[]): Promise<Ran> {
    return run(SHOAL, ['--host', `unix://${this.node(name).socket}`, ...args]);
  }

  /** Ends the daemon of a node without a word, and waits until it is gone. */
  async kill(name: string): Promise<void> {
    await this.stop(name, 'SIGKILL');
  }

  async stop(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const node = this.node(name);
    await until(`${name} stops`, async () => !(await signalDaemon(node, signal)));
  }

  start(name: string): Promise<void> {
    return startDaemon(this.node(name));
  }

  /** The cluster's nodes by host name, as one of its managers tells. */
  async nodes(by: string): Promise<Map<string, NodeView>> {
    const nodes = await this.client(by).call<NodeView[]>('GET', '/nodes');
    return new Map(nodes.map((node) => [node.Description.Hostname, node]));
  }

  /** Waits until a manager says of a node what is expected; a manager that does not answer is asked again. */
  async untilNode(by: string, name: string, what: string, holds: (node: NodeView) => boolean): Promise<void> {
    await until(`${name} ${what}`, async () => {
      const found = (await this.nodes(by)).get(name);
      return found !== undefined && holds(found);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return down(this.cluster.name);
  }
}

/** Waits until `holds`; what it throws counts as not yet. Fails after a while, naming `what`. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + patienceMs;
  for (;;) {
    const error = await holds().then(
      (held) => (held ? undefined : new Error('not yet')),
      (failure: unknown) => failure,
    );
    if (error === undefined) return;
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`waited in vain: ${what}`, { cause: error });
    await systemClock.sleep(LOOK_EVERY_MS);
  }
}

async function run(program: string, args: readonly string[]): Promise<Ran> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DOCKER_CLI_HINTS: 'false' },
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('close', (code) => resolve(code ?? -1)).once('error', reject);
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, out, err };
}
