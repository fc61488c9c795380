import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterNetworks } from '#agent/api/cluster-networks.ts';
import { dispatch } from '#proto/http/dispatch.ts';
import { Router } from '#proto/http/router.ts';
import type { Route } from '#proto/http/types.ts';
import type { ClusterApi } from './cluster-api.ts';
import type { DaemonOpts } from './flags.ts';
import type { MetricsRegistry } from './metrics.ts';
import type { SwarmNode, SwarmNodeModules } from './swarm-node.ts';

export interface SwarmPartModules extends Omit<SwarmNodeModules, 'metrics' | 'onManager'> {
  readonly metrics: () => Promise<MetricsRegistry>;
}

/** The swarm's part once it is loaded. */
interface Loaded {
  readonly swarm: SwarmNode;
  readonly api: ClusterApi;
  readonly router: Router;
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD'] as const;
const NOT_IN_ONE = { info: undefined, header: 'inactive' } as const;

/**
 * What this node has of a swarm. Most of a daemon's code is for that: it is loaded when the node is in a swarm, or when
 * somebody asks for something that no other part of the node knows.
 */
export class SwarmPart implements AsyncDisposable {
  readonly #opts: DaemonOpts;
  readonly #modules: SwarmPartModules;
  #loaded: Loaded | undefined;
  #loading: Promise<Loaded> | undefined;

  constructor(opts: DaemonOpts, modules: SwarmPartModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /** Stands again where the last daemon stood. Whoever has been in a swarm, or nearly, has a folder of it. */
  async resume(): Promise<void> {
    if (existsSync(join(this.#opts.dataRoot, 'swarm'))) await this.#load();
  }

  /** This node's place in a swarm; undefined before anybody has asked for one. */
  get node(): SwarmNode | undefined {
    return this.#loaded?.swarm;
  }

  info(): { readonly info: Promise<unknown> | undefined; readonly header: string } {
    return this.#loaded?.api.info() ?? NOT_IN_ONE;
  }

  networks(): ClusterNetworks | undefined {
    return this.#loaded?.api.networks();
  }

  /** To be the last ones: they take whatever no other route is for. */
  routes(): Route[] {
    return METHODS.map((method) => ({
      method,
      path: '/{rest*}',
      handle: async (request) => await dispatch((await this.#load()).router, request),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const loaded = await this.#loading?.catch(() => undefined);
    await loaded?.swarm[Symbol.asyncDispose]();
  }

  #load(): Promise<Loaded> {
    this.#loading ??= this.#loadNow().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  async #loadNow(): Promise<Loaded> {
    const [{ ClusterApi }, { SwarmNode }] = await Promise.all([
      import('./cluster-api.ts'),
      import('./swarm-node.ts'),
    ]);
    const modules = { ...this.#modules, metrics: await this.#modules.metrics() };
    const api = new ClusterApi(modules);
    const swarm = await SwarmNode.open(this.#opts, { ...modules, onManager: api.onManager });
    const loaded = { swarm, api, router: new Router(api.routes(swarm)) };
    // Already now: what stands up again asks for it.
    this.#loaded = loaded;
    try {
      await swarm.resume();
    } catch (error) {
      this.#loaded = undefined;
      await swarm[Symbol.asyncDispose]();
      throw error;
    }
    return loaded;
  }
}
