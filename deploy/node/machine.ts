import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { InfoOpts } from '#agent/api/info.ts';
import type { ContentPeers } from '#agent/core/engine.ts';
import { imagesForContainers } from '#agent/core/image/image-source.ts';
import { ImageStore } from '#agent/core/image/image-store.ts';
import { Images } from '#agent/core/image/images.ts';
import { type Engine, openEngine } from '#agent/core/open-engine.ts';
import { Registries } from '#agent/core/registry/registries.ts';
import type { NodeNetwork } from '#agent/net/node-network.ts';
import { openNodeNetwork } from '#agent/net/open.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { RemappedOpts } from './userns-remap.ts';

/** The container core of this machine with all its parts. */
export interface Machine extends AsyncDisposable {
  readonly engine: Engine;
  readonly images: Images;
  readonly registries: Registries;
  readonly network: NodeNetwork;
  /** What `docker info` tells of how this daemon was started. */
  readonly info: InfoOpts;
}

export interface MachineModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Other nodes as a source of images; nobody while this node is alone. */
  readonly peers: ContentPeers;
  /** Where VXLAN packets come from; undefined while this node is in no cluster. */
  readonly dataPathAddr: () => string | undefined;
}

/** Daemons of one machine are told apart by where they keep their state; the usual place has the empty name. */
export function instanceOf(dataRoot: string): string {
  return dataRoot === '/var/lib/shoal' ? '' : createHash('sha256').update(dataRoot).digest('hex').slice(0, 4);
}

/** Opens everything that runs containers, and takes over what an earlier daemon left running. */
export async function openMachine(opts: RemappedOpts, modules: MachineModules): Promise<Machine> {
  await using stack = new AsyncDisposableStack();
  const { clock, random, log } = modules;
  const instance = instanceOf(opts.dataRoot);
  const network = stack.use(
    await openNodeNetwork({ instance, execRoot: opts.execRoot }, { ...modules, log: log.child('network') }),
  );
  let parts: Engine['parts'] | undefined;
  const imageStore = stack.use(
    await ImageStore.open(
      { root: join(opts.dataRoot, 'image') },
      {
        clock,
        log: log.child('images'),
        onEvent: ({ action, id, attributes }) => parts?.events.emit('image', action, id, attributes),
        isRunning: (id) => parts?.containers.get(id)?.isRunning ?? true,
      },
    ),
  );
  const registries = stack.use(
    new Registries({ mirrors: opts.registryMirrors, insecure: opts.insecureRegistries }, { clock }),
  );
  const images = new Images({ store: imageStore, registries, peers: modules.peers });
  const engine = stack.use(
    await openEngine(
      {
        dataRoot: opts.dataRoot,
        execRoot: opts.execRoot,
        instance: instance || 'default',
        defaults: opts,
        ...(opts.idMaps && { idMaps: opts.idMaps }),
      },
      { clock, random, log: log.child('engine'), images: imagesForContainers(imageStore), net: network },
    ),
  );
  parts = engine.parts;
  await imageStore.collect();
  const running = stack.move();
  const info = { ...opts, debug: opts.logLevel === 'debug' };
  return { engine, images, registries, network, info, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
