import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { NodeNetwork } from '../net/node-network.ts';
import type { ContainerSet } from './container-set.ts';
import type { EngineDefaults } from './defaults.ts';
import type { EventBus } from './events.ts';
import type { CgroupLayout } from './linux/cgroup-layout.ts';
import type { CgroupMoves } from './linux/cgroup-moves.ts';
import type { IdMaps } from './linux/id-map.ts';
import type { Machine } from './linux/machine.ts';
import type { Runtime } from './linux/runtime.ts';
import type { SeccompFilters } from './linux/seccomp.ts';
import type { Spawner } from './linux/spawner.ts';
import type { UserNamespace } from './linux/user-namespace.ts';
import type { LocalNetworks } from './networks.ts';
import type { ImageSource, RootFilesystems } from './rootfs.ts';
import type { EngineState } from './state.ts';
import type { LocalVolumes } from './volumes.ts';

export interface EngineOpts {
  /** What must outlive a boot: state, volumes, what containers wrote. No colons or commas. */
  readonly dataRoot: string;
  /** What must not; short, best in memory. Several engines never share either folder. */
  readonly execRoot: string;
  /** Control groups of this engine are below /shoal/<instance>, or below that in the parent of its defaults. */
  readonly instance: string;
  readonly defaults?: EngineDefaults;
  /** Whom the users and groups of containers are on the machine; absent: the same. A data root is used with one, ever. */
  readonly idMaps?: IdMaps;
  readonly crun?: string;
  readonly conmon?: string;
  /** Shells that start containers. */
  readonly spawnWorkers?: number;
}

/** What the parts of the engine share. Each names the few it needs. */
export interface EngineParts {
  readonly opts: EngineOpts;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly machine: Machine;
  readonly cgroups: CgroupLayout;
  readonly cgroupMoves: CgroupMoves;
  readonly state: EngineState;
  readonly containers: ContainerSet;
  readonly events: EventBus;
  readonly images: ImageSource;
  readonly rootfs: RootFilesystems;
  readonly volumes: LocalVolumes;
  readonly networks: LocalNetworks;
  /** The data plane. */
  readonly net: NodeNetwork;
  readonly spawner: Spawner;
  readonly runtime: Runtime;
  readonly seccomp: SeccompFilters;
  /** Of all containers that do not ask to be without. */
  readonly userNamespace?: UserNamespace;
}
