import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { clientOf, down, type LocalCluster, up } from '#deploy/local/cluster.ts';
import { daemonPid, type LocalNode, signalDaemon, startDaemon } from '#deploy/local/daemon.ts';
import { namespaceOf } from '#deploy/local/lan.ts';
import { type DockerAnswer, DockerCli } from './docker-cli.ts';
import { Footprint } from './footprint.ts';
import { waitFor } from './wait-for.ts';

const WARNINGS_SHOWN = 12;
const WARNING_CHARS_SHOWN = 300;

export interface E2eOpts {
  readonly managers: number;
  readonly workers: number;
}

/**
 * Runs a scenario on a whole cluster of this machine. The cluster is taken down afterwards, also when the scenario
 * fails, and nothing of it may be left then.
 */
export async function withCluster(
  t: ExecutionContext,
  opts: E2eOpts,
  scenario: (cluster: E2eCluster) => Promise<void>,
): Promise<void> {
  // Six letters: unique among the processes of this machine, and short enough for names of devices.
  const name = `e${process.pid.toString(36)}`;
  using docker = new DockerCli(name);
  const local = await up({ name, ...opts });
  const footprint = new Footprint(local);
  const folder = mkdtempSync(join(tmpdir(), `shoal-${name}-`));
  try {
    const cluster = new E2eCluster(local, { docker, folder });
    await waitFor('all nodes are ready', () => cluster.allReady('m1'));
    await scenario(cluster);
  } catch (error) {
    for (const node of local.nodes) t.log(`${node.name} warned of:\n${lastWarnings(node)}`);
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await down(name);
  }
  await checkNothingLeft(t, footprint);
}

/** The kernel clears namespaces away in its own time. */
async function checkNothingLeft(t: ExecutionContext, footprint: Footprint): Promise<void> {
  await waitFor('nothing is left', () => footprint.traces().length === 0).catch(() => undefined);
  t.deepEqual(footprint.traces(), [], 'nothing of the cluster is left on the machine');
}

/** The daemon's log has a JSON object a line; what is no such line is a crash. */
function lastWarnings(node: LocalNode): string {
  const lines = readFileSync(node.logFile, 'utf8').trim().split('\n');
  const warnings = lines.filter((line) => !/^\{"level":[123]0,/.test(line));
  return warnings
    .slice(-WARNINGS_SHOWN)
    .map((line) => line.slice(0, WARNING_CHARS_SHOWN))
    .join('\n');
}

/** A cluster as somebody with a docker client sees it. Nodes are named m1, m2… (managers first) and w1, w2…. */
export class E2eCluster {
  readonly nodes: readonly LocalNode[];
  /** An empty folder of this scenario. */
  readonly folder: string;
  readonly #docker: DockerCli;

  constructor(local: LocalCluster, modules: { readonly docker: DockerCli; readonly folder: string }) {
    this.nodes = local.nodes;
    this.folder = modules.folder;
    this.#docker = modules.docker;
  }

  node(name: string): LocalNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`the cluster has no node ${name}`);
    return node;
  }

  /** Name of the node's network namespace. */
  namespace(node: string): string {
    return namespaceOf(this.node(node).cluster, node);
  }

  /** `docker ARGS…` on this node, whatever comes of it. */
  try(node: string, ...args: readonly string[]): Promise<DockerAnswer> {
    return this.#docker.run(this.node(node).socket, args);
  }

  /** What `docker ARGS…` on this node prints, without the last line's end; throws with its message when it fails. */
  async docker(node: string, ...args: readonly string[]): Promise<string> {
    const { code, out, err } = await this.try(node, ...args);
    if (code === 0) return out.trimEnd();
    throw new Error(`docker ${args.join(' ')} on ${node}: exit ${code}: ${err || out}`);
  }

  /** The printed lines; none when nothing is printed. */
  async lines(node: string, ...args: readonly string[]): Promise<string[]> {
    const text = await this.docker(node, ...args);
    return text === '' ? [] : text.split('\n');
  }

  /** The answer of the node's API to a GET, for what is asked often. */
  get<T>(node: string, path: string, filters?: object): Promise<T> {
    const query = filters === undefined ? {} : { query: { filters: JSON.stringify(filters) } };
    return clientOf(this.node(node)).call<T>('GET', path, query);
  }

  /** Ends the node's daemon at once, as a crash does; resolves when it is gone. */
  async kill(name: string): Promise<void> {
    const node = this.node(name);
    await signalDaemon(node, 'SIGKILL');
    await waitFor(`${name}'s daemon is gone`, async () => (await daemonPid(node)) === undefined);
  }

  /** Starts the daemon of a node that was killed; resolves when it answers. */
  start(name: string): Promise<void> {
    return startDaemon(this.node(name));
  }

  /** First line of what a published port of this node answers; throws when it doesn't answer 200. */
  ask(node: string, port: number): Promise<string> {
    return firstLine(`http://${this.node(node).address}:${port}/`);
  }

  /** Every node is ready, every manager reachable, and one of them leads, as this one tells it. */
  async allReady(seenBy: string): Promise<boolean> {
    const states = await this.lines(seenBy, 'node', 'ls', '--format', '{{.Status}} {{.ManagerStatus}}');
    return (
      states.length === this.nodes.length &&
      states.every((state) => state.startsWith('Ready') && !state.includes('Unreachable')) &&
      states.some((state) => state.endsWith('Leader'))
    );
  }

  /** Name of the manager that leads, as this node tells it. */
  async leader(seenBy: string): Promise<string> {
    const lines = await this.lines(seenBy, 'node', 'ls', '--format', '{{.ManagerStatus}} {{.Hostname}}');
    const name = lines.find((line) => line.startsWith('Leader '))?.slice('Leader '.length);
    if (name === undefined) throw new Error('no manager leads');
    return name;
  }
}

const REQUEST_MAX_MS = 30_000;

/** A new connection for each question, as different users make it. */
function firstLine(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent: false, timeout: REQUEST_MAX_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', reject).on('end', () => {
        if (response.statusCode === 200) resolve(body.split('\n')[0] ?? '');
        else reject(new Error(`${url}: status ${response.statusCode}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`${url}: no answer in ${REQUEST_MAX_MS} ms`)));
    call.on('error', reject).end();
  });
}
