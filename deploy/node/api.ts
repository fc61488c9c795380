import { buildRoutes } from '#agent/api/build.ts';
import { commitRoutes } from '#agent/api/commit.ts';
import { containerFileRoutes } from '#agent/api/container-files.ts';
import { containerRoutes } from '#agent/api/containers.ts';
import { distributionRoutes } from '#agent/api/distribution.ts';
import { eventRoutes } from '#agent/api/events.ts';
import { execRoutes } from '#agent/api/exec.ts';
import { imageFacts } from '#agent/api/image-facts.ts';
import { imageRoutes } from '#agent/api/images.ts';
import { networkRoutes } from '#agent/api/networks.ts';
import { systemRoutes } from '#agent/api/system.ts';
import { volumeRoutes } from '#agent/api/volumes.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Random } from '#proto/base/random.ts';
import type { Route } from '#proto/http/types.ts';
import type { Machine } from './machine.ts';
import type { SwarmPart } from './swarm-part.ts';

export interface NodeApiModules {
  readonly machine: Machine;
  readonly swarm: Pick<SwarmPart, 'info' | 'networks' | 'routes'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** The Engine API of this node: every route, of its machine and of the cluster. */
export function nodeRoutes({ machine, swarm, clock, random }: NodeApiModules): Route[] {
  const { engine, images, registries } = machine;
  return [
    ...systemRoutes({
      engine,
      swarm: () => swarm.info(),
      images: imageFacts(images),
      opts: machine.info,
    }),
    ...containerRoutes({ engine, cluster: () => swarm.networks() }),
    ...containerFileRoutes({ engine }),
    ...commitRoutes({ engine, store: images.store }),
    ...execRoutes({ engine }),
    ...volumeRoutes({ engine }),
    ...eventRoutes({ engine }),
    ...imageRoutes({ images, registries }),
    ...buildRoutes({ images, runner: engine.steps, clock, random }),
    ...distributionRoutes({ images, registries }),
    ...networkRoutes({ engine, cluster: () => swarm.networks() }),
    ...swarm.routes(),
  ];
}
