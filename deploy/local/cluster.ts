import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '../cli/engine-client.ts';
import { type LocalNode, startDaemon, stopDaemon } from './daemon.ts';
import { addNode, closeLan, type Lan, nodeAddress, openLan, removeNode } from './lan.ts';

/** A whole cluster on one machine: each node a daemon in a network namespace of its own, on one bridge. */
export interface LocalCluster {
  readonly name: string;
  readonly lan: Lan;
  readonly nodes: readonly LocalNode[];
}

export interface UpOpts {
  /** Letters and digits, at most 8: part of device and namespace names. */
  readonly name: string;
  readonly managers: number;
  readonly workers: number;
  /** Told as each step is done. */
  readonly progress?: (step: string) => void;
}

const STATE_ROOT = '/var/lib/shoal/local';
const RUN_ROOT = '/run/shoal/local';
export const CONTROL_PORT = 2377;
/** How long nodes that joined may take to be up, and how often that is looked at. */
const READY_MS_MAX = 60_000;
const LOOK_EVERY_MS = 50;

/** Where a local cluster remembers what it is made of. */
function stateFile(name: string): string {
  return join(STATE_ROOT, name, 'cluster.json');
}

/** A client of this node's Engine API. */
export function clientOf(node: LocalNode): EngineClient {
  return new EngineClient(`unix://${node.socket}`);
}

/**
 * Brings up a cluster. The machine must be Linux with root. If a step fails, what was made is taken down again.
 * Throws where a cluster of that name is up already.
 */
export async function up(opts: UpOpts): Promise<LocalCluster> {
  checkName(opts.name);
  if ((await find(opts.name)) !== undefined) {
    throw new Error(
      `a local cluster named ${opts.name} is up already: shoal down --name ${opts.name} takes it down`,
    );
  }
  try {
    return await build(opts);
  } catch (error) {
    await down(opts.name);
    throw error;
  }
}

function checkName(name: string): void {
  if (/^[a-z0-9]{1,8}$/.test(name)) return;
  throw new Error(`invalid cluster name ${JSON.stringify(name)}: 1 to 8 letters and digits are expected`);
}

async function build(opts: UpOpts): Promise<LocalCluster> {
  const lan = await openLan(opts.name);
  const cluster: LocalCluster = { name: opts.name, lan, nodes: plannedNodes(opts, lan) };
  await save(cluster);
  for (const [index, node] of cluster.nodes.entries()) await addNode(lan, opts.name, node.name, index + 1);
  await Promise.all(cluster.nodes.map((node) => startDaemon(node)));
  opts.progress?.(`${cluster.nodes.length} daemons are running`);
  await form(cluster, opts);
  return cluster;
}

function plannedNodes(opts: UpOpts, lan: Lan): LocalNode[] {
  const names = [
    ...Array.from({ length: opts.managers }, (_, index) => `m${index + 1}`),
    ...Array.from({ length: opts.workers }, (_, index) => `w${index + 1}`),
  ];
  return names.map((name, index) => ({
    name,
    cluster: opts.name,
    manager: name.startsWith('m'),
    address: nodeAddress(lan, index + 1),
    dataRoot: join(STATE_ROOT, opts.name, name),
    execRoot: join(RUN_ROOT, opts.name, name),
    socket: join(RUN_ROOT, opts.name, `${name}.sock`),
    pidFile: join(RUN_ROOT, opts.name, `${name}.pid`),
    logFile: join(STATE_ROOT, opts.name, `${name}.log`),
  }));
}

/** The first manager makes the cluster, the others join it: managers one by one, workers together. */
async function form(cluster: LocalCluster, opts: UpOpts): Promise<void> {
  const [first, ...others] = cluster.nodes;
  if (first === undefined) throw new Error('a cluster needs at least one manager');
  await clientOf(first).call('POST', '/swarm/init', {
    body: { ListenAddr: `0.0.0.0:${CONTROL_PORT}`, AdvertiseAddr: first.address, Spec: {} },
  });
  opts.progress?.('cluster initialised');
  const { JoinTokens: tokens } = await clientOf(first).call<SwarmInfo>('GET', '/swarm');
  const join = (node: LocalNode): Promise<unknown> =>
    clientOf(node).call('POST', '/swarm/join', {
      body: {
        ListenAddr: `0.0.0.0:${CONTROL_PORT}`,
        AdvertiseAddr: node.address,
        RemoteAddrs: [`${first.address}:${CONTROL_PORT}`],
        JoinToken: node.manager ? tokens.Manager : tokens.Worker,
      },
    });
  for (const node of others.filter(({ manager }) => manager)) await join(node);
  await Promise.all(others.filter(({ manager }) => !manager).map(join));
  await untilReady(cluster);
  opts.progress?.(`${others.length} nodes joined`);
}

/** Until the first manager knows every node by its name, and that it is up. */
async function untilReady({ nodes }: LocalCluster): Promise<void> {
  const [first] = nodes as [LocalNode];
  const untilMs = Date.now() + READY_MS_MAX;
  for (;;) {
    const known = await clientOf(first).call<NodeView[]>('GET', '/nodes');
    const ready = known.filter(({ Status }) => Status.State === 'ready');
    const names = new Set(ready.map(({ Description }) => Description.Hostname));
    const missing = nodes.map(({ name }) => name).filter((name) => !names.has(name));
    if (missing.length === 0) return;
    if (Date.now() > untilMs)
      throw new Error(`joined, but not up after ${READY_MS_MAX / 1000} s: ${missing.join(', ')}`);
    await sleep(LOOK_EVERY_MS);
  }
}

interface NodeView {
  readonly Status: { readonly State: string };
  readonly Description: { readonly Hostname: string };
}

interface SwarmInfo {
  readonly JoinTokens: { readonly Manager: string; readonly Worker: string };
}

async function save(cluster: LocalCluster): Promise<void> {
  await mkdir(join(STATE_ROOT, cluster.name), { recursive: true });
  await mkdir(join(RUN_ROOT, cluster.name), { recursive: true });
  await writeFile(stateFile(cluster.name), `${JSON.stringify(cluster, null, 2)}\n`);
}

/** The cluster of this name that is up, or was; undefined when nothing is known of it. */
export async function find(name: string): Promise<LocalCluster | undefined> {
  try {
    return JSON.parse(await readFile(stateFile(name), 'utf8')) as LocalCluster;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Takes everything of the cluster away: processes, containers, namespaces, interfaces, files. Harmless when not up. */
export async function down(name: string): Promise<void> {
  const cluster = await find(name);
  if (cluster === undefined) return;
  await Promise.all(cluster.nodes.map((node) => stopDaemon(node)));
  for (const [index, node] of cluster.nodes.entries())
    await removeNode(cluster.lan, name, node.name, index + 1);
  await closeLan(cluster.lan);
  await rm(join(RUN_ROOT, name), { recursive: true, force: true });
  await rm(join(STATE_ROOT, name), { recursive: true, force: true });
  for (const root of [RUN_ROOT, STATE_ROOT]) await removeIfEmpty(root);
}

/** The folder, and the one it is in, unless somebody keeps something there. */
async function removeIfEmpty(folder: string): Promise<void> {
  for (const path of [folder, dirname(folder)]) {
    await rmdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'ENOENT') throw error;
    });
  }
}
