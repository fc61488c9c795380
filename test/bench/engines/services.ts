import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '#deploy/cli/engine-client.ts';
import { API_VERSION } from './engine.ts';
import { IMAGE, OBEDIENT } from './image.ts';

interface ApiService {
  readonly Version: { readonly Index: number };
  readonly Spec: object;
}

interface ApiTask {
  readonly Status: { readonly State: string; readonly Err?: string };
}

/** Services of one engine through its API, and how long what they do takes: milliseconds from just before the request. */
export class Services {
  readonly #client: EngineClient;
  /** Between the end of a look at the engine's state and the next. */
  readonly #pollMs: number;
  readonly #signal: AbortSignal;

  constructor(socket: string, opts: { readonly pollMs: number; readonly signal: AbortSignal }) {
    this.#client = new EngineClient(`unix://${socket}`, API_VERSION);
    this.#pollMs = opts.pollMs;
    this.#signal = opts.signal;
  }

  /** Until the API calls all its tasks running. */
  async create(name: string, replicas: number): Promise<number> {
    return this.#timed(async () => {
      await this.#call('POST', '/services/create', { body: specOf(name, replicas) });
      await this.running(name, replicas);
    });
  }

  /** Until the API calls as many tasks running. */
  async scale(name: string, replicas: number): Promise<number> {
    const { Version: version } = await this.#call<ApiService>('GET', `/services/${name}`);
    return this.#timed(async () => {
      const query = { version: String(version.Index) };
      await this.#call('POST', `/services/${name}/update`, { query, body: specOf(name, replicas) });
      await this.running(name, replicas);
    });
  }

  /** Until the engine lists none of its containers, running or not. */
  async remove(name: string): Promise<number> {
    return this.#timed(async () => {
      await this.#call('DELETE', `/services/${name}`);
      await this.gone(name);
    });
  }

  async running(name: string, replicas: number): Promise<void> {
    const filters = JSON.stringify({ service: [name], 'desired-state': ['running'] });
    await this.#until(`${replicas} tasks of ${name} running`, async () => {
      const tasks = await this.#call<ApiTask[]>('GET', '/tasks', { query: { filters } });
      return tasks.filter(({ Status: status }) => status.State === 'running').length === replicas;
    });
  }

  async gone(name: string): Promise<void> {
    const filters = JSON.stringify({ label: [`com.docker.swarm.service.name=${name}`] });
    await this.#until(`containers of ${name} gone`, async () => {
      const query = { all: '1', filters };
      return (await this.#call<unknown[]>('GET', '/containers/json', { query })).length === 0;
    });
  }

  /** The signal is what bounds it. */
  async #until(what: string, reached: () => Promise<boolean>): Promise<void> {
    try {
      while (!(await reached())) await sleep(this.#pollMs, undefined, { signal: this.#signal });
    } catch (error) {
      if (!this.#signal.aborted) throw error;
      throw new Error(`waiting for ${what}: ${(this.#signal.reason as Error).message}`, { cause: error });
    }
  }

  async #timed(work: () => Promise<void>): Promise<number> {
    const startedAtMs = performance.now();
    await work();
    return performance.now() - startedAtMs;
  }

  #call<T>(method: string, path: string, opts: object = {}): Promise<T> {
    return this.#client.call<T>(method, path, { ...opts, signal: this.#signal });
  }
}

function specOf(name: string, replicas: number): object {
  return {
    Name: name,
    TaskTemplate: { ContainerSpec: { Image: IMAGE, Command: OBEDIENT } },
    Mode: { Replicated: { Replicas: replicas } },
  };
}
