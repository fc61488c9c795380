import { controlService } from '#manager/api/forward.ts';
import { swarmInfo } from '#manager/api/info.ts';
import type { ClusterApiModules, ManagerParts, NoManager } from '#manager/api/manager.ts';
import { type ClusterNetworkProvider, clusterNetworks } from '#manager/api/networks.ts';
import { type OperatorParts, operatorRoutes } from '#manager/api/operator.ts';
import { clusterRoutes, leaderRoutes } from '#manager/api/routes.ts';
import { openControl } from '#manager/control/control.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import { callApi } from '#proto/http/call.ts';
import type { Route } from '#proto/http/types.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { Machine } from './machine.ts';
import type { ManagerPart } from './manager.ts';
import type { SwarmNode } from './swarm-node.ts';

export interface ApiModules {
  readonly machine: Machine;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A manager as the API sees it: what users ask of it, and what operators do. */
interface OfferedManager {
  readonly of: ManagerPart;
  readonly parts: ManagerParts;
  readonly operator: OperatorParts;
}

/** What the Engine API of this node has of the cluster, and of its operation. */
export class ClusterApi {
  readonly #modules: ApiModules;
  #swarm: SwarmNode | undefined;
  #manager: OfferedManager | undefined;

  constructor(modules: ApiModules) {
    this.#modules = modules;
  }

  /** Gives a manager that has started what the API needs of it, and serves requests that others hand on. */
  readonly onManager = (manager: ManagerPart, dialer: RpcDialer): void => {
    const { machine, clock, random, log } = this.#modules;
    const { store, consensus, server, nodeId } = manager;
    const control = openControl(
      { pinImages: true },
      { store, consensus, images: machine.images, clock, random, log },
    );
    this.#manager = {
      of: manager,
      parts: {
        ...{ nodeId, store, consensus, dialer, control, logs: manager.logs },
        leaderless: () => manager.leadWatch.leaderless(),
        diskFull: () => manager.health.diskFull,
      },
      operator: { ...manager, dialer },
    };
    const routes = leaderRoutes(this.#cluster());
    server.add(
      'Control',
      'manager',
      controlService({ store, consensus, run: (call, signal) => callApi(routes, call, signal) }),
    );
  };

  /** Every route of the cluster; asked for once, when the swarm part is there. */
  routes(swarm: SwarmNode): Route[] {
    this.#swarm = swarm;
    const { clock } = this.#modules;
    return [
      ...clusterRoutes(this.#cluster()),
      ...operatorRoutes({ manager: () => this.#offered('operator'), lifecycle: swarm, clock }),
    ];
  }

  /** What `docker info` and a ping say of it. */
  info(): ReturnType<typeof swarmInfo> {
    return swarmInfo(this.#cluster());
  }

  networks(): ClusterNetworkProvider {
    return clusterNetworks(this.#cluster());
  }

  #cluster(): ClusterApiModules {
    const { clock, log } = this.#modules;
    const lifecycle = this.#swarm as SwarmNode;
    return { manager: () => this.#offered('parts'), lifecycle, clock, log };
  }

  #offered<Part extends 'parts' | 'operator'>(part: Part): OfferedManager[Part] | NoManager {
    const found = this.#managerNow();
    return typeof found === 'string' ? found : found[part];
  }

  #managerNow(): OfferedManager | NoManager {
    const current = this.#swarm?.manager;
    if (current !== undefined && this.#manager?.of === current) return this.#manager;
    const { state } = this.#swarm?.info() ?? { state: 'inactive' };
    if (state === 'inactive' || state === 'locked') return state;
    return state === 'active' && !this.#swarm?.isManager ? 'worker' : 'starting';
  }
}
