import type { EngineClient } from '../cli/engine-client.ts';

/** What the demonstration reads of the Engine API. */
export interface ApiTask {
  readonly ID: string;
  readonly NodeID?: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string; readonly Err?: string };
  readonly Spec: { readonly ContainerSpec: { readonly Image: string } };
}

export interface ApiNode {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: {
    readonly Role: string;
    readonly Availability: string;
    readonly Labels?: Record<string, string>;
  };
  readonly Description: { readonly Hostname: string };
  readonly Status: { readonly State: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string };
}

export interface ApiService {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name: string; readonly TaskTemplate: object; readonly Mode: object };
  readonly UpdateStatus?: { readonly State: string; readonly Message: string };
}

/** The cluster at one moment, as any manager that answers tells it. */
export interface Observation {
  readonly nodes: readonly ApiNode[];
  readonly service: ApiService | undefined;
  readonly tasks: readonly ApiTask[];
}

/** Asks several managers in turn, so that one may be dead. */
export class Observer {
  readonly #clients: readonly EngineClient[];
  #last: Observation = { nodes: [], service: undefined, tasks: [] };
  #first = 0;

  constructor(clients: readonly EngineClient[]) {
    this.#clients = clients;
  }

  /** What was seen last. */
  get last(): Observation {
    return this.#last;
  }

  /** Throws when no manager answers. */
  async look(serviceName: string): Promise<Observation> {
    this.#last = await this.any(async (client) => {
      const filters = JSON.stringify({ name: { [serviceName]: true } });
      const [nodes, services] = await Promise.all([
        client.call<ApiNode[]>('GET', '/nodes'),
        client.call<ApiService[]>('GET', '/services', { query: { filters } }),
      ]);
      const service = services.find(({ Spec }) => Spec.Name === serviceName);
      return { nodes, service, tasks: service === undefined ? [] : await tasksOf(client, service) };
    });
    return this.#last;
  }

  /** Runs `ask` against the managers in turn until one answers; the next call starts with that one. */
  async any<T>(ask: (client: EngineClient) => Promise<T>): Promise<T> {
    let failure: unknown;
    for (let turn = 0; turn < this.#clients.length; turn++) {
      const index = (this.#first + turn) % this.#clients.length;
      try {
        const answer = await ask(this.#clients[index] as EngineClient);
        this.#first = index;
        return answer;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}

function tasksOf(client: EngineClient, service: ApiService): Promise<ApiTask[]> {
  const filters = JSON.stringify({ service: { [service.ID]: true } });
  return client.call<ApiTask[]>('GET', '/tasks', { query: { filters } });
}

/** Tasks that run and are meant to, on nodes that are up. */
export function runningTasks({ tasks, nodes }: Observation): ApiTask[] {
  const up = new Set(nodes.filter(({ Status }) => Status.State === 'ready').map(({ ID }) => ID));
  return tasks.filter(
    ({ Status, DesiredState, NodeID }) =>
      Status.State === 'running' && DesiredState === 'running' && up.has(NodeID ?? ''),
  );
}

/** Exactly so many replicas run, every one of this image, and nothing else is on its way in or out. */
export function converged(observation: Observation, replicas: number, image: string): boolean {
  const running = runningTasks(observation);
  const ended = new Set(['complete', 'shutdown', 'failed', 'rejected', 'orphaned', 'remove']);
  const settled = observation.tasks.every(
    ({ Status, DesiredState }) =>
      ended.has(Status.State) || (Status.State === 'running' && DesiredState === 'running'),
  );
  const all = running.every(
    ({ Spec }) => Spec.ContainerSpec.Image.startsWith(`${image}@`) || Spec.ContainerSpec.Image === image,
  );
  return running.length === replicas && all && settled;
}
