import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type EngineClient } from '../cli/engine-client.ts';
import { clientOf, type LocalCluster } from '../local/cluster.ts';
import { type LocalNode, METRICS_PORT, signalDaemon, startDaemon } from '../local/daemon.ts';
import { hostAddress } from '../local/lan.ts';
import type { LoadCounts } from './load.ts';
import { LoadMeter } from './load-meter.ts';
import {
  type ApiNode,
  type ApiService,
  converged,
  type Observation,
  Observer,
  runningTasks,
} from './observe.ts';
import { buildWebService } from './web-service.ts';

export const SERVICE = 'web';
export const PORT = 8080;
const IMAGES = { first: 'shoal-demo:1', second: 'shoal-demo:2' } as const;
const REPLICAS = { start: 6, scaled: 12 } as const;
/** Requests a second at each node's published port. */
const LOAD_PER_NODE = 20;
const POLL_MS = 50;
const PHASE_WAIT_MS = 120_000;
/** A supervisor (systemd: RestartSec) starts a daemon that died again after so long. */
const RESTART_AFTER_MS = 1_000;

export interface Phase {
  readonly name: string;
  readonly startedAtMs: number;
  endedAtMs?: number;
  failed?: string;
}

/** Everything the demonstration knows while it runs; the screen draws it, the report sums it up. */
export interface Progress {
  readonly phases: Phase[];
  observation: Observation;
  load: LoadCounts | undefined;
  firstReplicaMs?: number;
  leaderlessMs?: number;
  killed?: string;
}

/** Carries one service through its life on a cluster, under load, and notes how it went. */
export class Scenario implements AsyncDisposable {
  readonly progress: Progress = {
    phases: [],
    observation: { nodes: [], service: undefined, tasks: [] },
    load: undefined,
  };
  readonly #cluster: LocalCluster;
  readonly #observer: Observer;
  #meter: LoadMeter | undefined;

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster;
    this.#observer = new Observer(this.#managers().map(clientOf));
  }

  /** Runs every phase. Throws where one does not converge in two minutes; the progress says which. */
  async run(): Promise<void> {
    const builder = clientOf(this.#managers()[0] as LocalNode);
    await this.phase('build two versions of a web service', async () => {
      await buildWebService(builder, IMAGES.first, '1');
      await buildWebService(builder, IMAGES.second, '2');
    });
    await this.phase(`create it with ${REPLICAS.start} replicas on port ${PORT}`, () => this.#create());
    this.#meter = new LoadMeter(this.#urls(), LOAD_PER_NODE);
    await this.phase(`scale to ${REPLICAS.scaled}`, () => this.#scale());
    await this.phase('upgrade to version 2, start-first, and kill the leading manager', () =>
      this.#upgrade(),
    );
    await this.phase('roll back to version 1', () => this.#rollBack());
    await this.phase('drain a worker', () => this.#drain());
    this.progress.load = await this.#meter.finish();
  }

  /** Runs one phase and notes its time, or why it failed. */
  async phase(name: string, work: () => Promise<void>): Promise<void> {
    const phase: Phase = { name, startedAtMs: performance.now() };
    this.progress.phases.push(phase);
    try {
      await work();
    } catch (error) {
      phase.failed = (error as Error).message;
      throw error;
    } finally {
      phase.endedAtMs = performance.now();
    }
  }

  /** Refreshes what is known; quiet about managers that do not answer. */
  async observe(): Promise<Observation> {
    this.progress.observation = await this.#observer.look(SERVICE).catch(() => this.#observer.last);
    if (this.#meter !== undefined) this.progress.load = this.#meter.counts;
    if (this.progress.load !== undefined) this.#showLoad(this.progress.load);
    return this.progress.observation;
  }

  /** The live page of every manager shows the load beside the cluster. */
  #showLoad({ sent, failed, versions }: LoadCounts): void {
    for (const { address } of this.#managers()) {
      const body = JSON.stringify({ sent, failed, versions });
      fetch(`http://${address}:${METRICS_PORT}/load`, { method: 'POST', body }).catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#meter?.[Symbol.asyncDispose]();
  }

  #managers(): LocalNode[] {
    return this.#cluster.nodes.filter(({ manager }) => manager);
  }

  #urls(): string[] {
    return this.#cluster.nodes.map(({ address }) => `http://${address}:${PORT}/`);
  }

  async #create(): Promise<void> {
    const startedAtMs = performance.now();
    await this.#observer.any((client) => client.call('POST', '/services/create', { body: serviceSpec() }));
    await this.#until('the first replica answers', () => this.#answers());
    this.progress.firstReplicaMs = performance.now() - startedAtMs;
    await this.#converged(REPLICAS.start, IMAGES.first);
  }

  /** A request from outside, to the first node's published port. */
  async #answers(): Promise<boolean> {
    const url = this.#urls()[0] as string;
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    return response?.ok === true;
  }

  async #scale(): Promise<void> {
    await this.#change((spec) => ({ ...spec, Mode: { Replicated: { Replicas: REPLICAS.scaled } } }));
    await this.#converged(REPLICAS.scaled, IMAGES.first);
  }

  async #upgrade(): Promise<void> {
    await this.#change((spec) => ({ ...spec, TaskTemplate: withImage(spec.TaskTemplate, IMAGES.second) }));
    await this.#until('half of the replicas are upgraded', async () => {
      const observation = await this.observe();
      const upgraded = runningTasks(observation).filter(({ Spec }) =>
        Spec.ContainerSpec.Image.startsWith(IMAGES.second),
      );
      return upgraded.length >= REPLICAS.scaled / 2;
    });
    await this.#killLeader();
    await this.#converged(REPLICAS.scaled, IMAGES.second, 'completed');
  }

  async #killLeader(): Promise<void> {
    const leader = this.#leader(await this.observe());
    const killedAtMs = performance.now();
    await signalDaemon(leader, 'SIGKILL');
    this.progress.killed = leader.name;
    await this.#until('another manager accepts a write', () => this.#acceptsWrites(leader));
    this.progress.leaderlessMs = performance.now() - killedAtMs;
    await sleep(RESTART_AFTER_MS);
    await startDaemon(leader);
  }

  #leader({ nodes }: Observation): LocalNode {
    const hostname = nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader)?.Description.Hostname;
    const leader = this.#cluster.nodes.find(({ name }) => name === hostname);
    if (leader === undefined) throw new Error('no manager says that it leads');
    return leader;
  }

  /** A write through a manager that is not the dead one: a label of some node. */
  async #acceptsWrites(dead: LocalNode): Promise<boolean> {
    const alive = this.#managers().find(({ name }) => name !== dead.name) as LocalNode;
    try {
      const client = clientOf(alive);
      const node = await anyNode(client);
      await updateNode(client, node, { Labels: { ...node.Spec.Labels, 'demo.leader-lost': dead.name } });
      return true;
    } catch {
      return false;
    }
  }

  async #rollBack(): Promise<void> {
    await this.#observer.any(async (client) => {
      const service = await client.call<ApiService>('GET', `/services/${SERVICE}`);
      const query = { version: String(service.Version.Index), rollback: 'previous' };
      await client.call('POST', `/services/${service.ID}/update`, { query, body: service.Spec });
    });
    await this.#converged(REPLICAS.scaled, IMAGES.first, 'rollback_completed');
  }

  async #drain(): Promise<void> {
    const worker = this.#cluster.nodes.find(({ manager }) => !manager) as LocalNode;
    await this.#observer.any(async (client) => {
      const nodes = await client.call<ApiNode[]>('GET', '/nodes');
      const node = nodes.find(({ Description }) => Description.Hostname === worker.name) as ApiNode;
      await updateNode(client, node, { Availability: 'drain' });
    });
    await this.#until(`no task is left on ${worker.name}`, async () => {
      const { nodes, tasks } = await this.observe();
      const drained = nodes.find(({ Spec }) => Spec.Availability === 'drain');
      const left = tasks.some(({ NodeID, Status }) => NodeID === drained?.ID && Status.State === 'running');
      return drained !== undefined && !left;
    });
    await this.#converged(REPLICAS.scaled, IMAGES.first);
  }

  /** Changes the service's spec through whatever manager answers; tried again when somebody else was faster. */
  async #change(change: (spec: ApiService['Spec']) => object): Promise<void> {
    await this.#until('the service is updated', () =>
      this.#observer.any(async (client) => {
        const service = await client.call<ApiService>('GET', `/services/${SERVICE}`);
        const query = { version: String(service.Version.Index) };
        try {
          await client.call('POST', `/services/${service.ID}/update`, { query, body: change(service.Spec) });
          return true;
        } catch (error) {
          if (error instanceof ApiError && error.message.includes('out of sequence')) return false;
          throw error;
        }
      }),
    );
  }

  #converged(replicas: number, image: string, updateState?: string): Promise<void> {
    return this.#until(`${replicas} replicas of ${image} run`, async () => {
      const observation = await this.observe();
      const updated = updateState === undefined || observation.service?.UpdateStatus?.State === updateState;
      return updated && converged(observation, replicas, image);
    });
  }

  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const untilMs = performance.now() + PHASE_WAIT_MS;
    while (!(await holds())) {
      if (performance.now() > untilMs) throw new Error(`not within ${PHASE_WAIT_MS / 1000} s: ${what}`);
      await sleep(POLL_MS);
    }
  }
}

async function anyNode(client: EngineClient): Promise<ApiNode> {
  const [node] = await client.call<ApiNode[]>('GET', '/nodes');
  if (node === undefined) throw new Error('the cluster has no nodes');
  return node;
}

async function updateNode(client: EngineClient, node: ApiNode, change: object): Promise<void> {
  const query = { version: String(node.Version.Index) };
  await client.call('POST', `/nodes/${node.ID}/update`, { query, body: { ...node.Spec, ...change } });
}

function serviceSpec(): object {
  const update = { Parallelism: 2, Order: 'start-first', Monitor: 1_000_000_000, FailureAction: 'rollback' };
  return {
    Name: SERVICE,
    TaskTemplate: { ContainerSpec: { Image: IMAGES.first } },
    Mode: { Replicated: { Replicas: REPLICAS.start } },
    UpdateConfig: update,
    RollbackConfig: { ...update, FailureAction: 'pause' },
    EndpointSpec: {
      Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: PORT, PublishMode: 'ingress' }],
    },
  };
}

function withImage(template: object, image: string): object {
  const container = (template as { ContainerSpec: object }).ContainerSpec;
  return { ...template, ContainerSpec: { ...container, Image: image } };
}

/** How to look at the service from this machine. */
export function serviceUrl(cluster: LocalCluster): string {
  return `http://${cluster.nodes[0]?.address ?? hostAddress(cluster.lan)}:${PORT}/`;
}
