import type { Sandbox } from '../net/node-network.ts';
import type {
  ContainerConfig,
  ContainerStatus,
  EndpointConfig,
  HealthState,
  HostConfig,
} from './container-types.ts';
import type { TaskExtras } from './engine.ts';
import type { ProcessRef } from './linux/process.ts';

/** Docker's way of saying "never". */
export const NEVER = '0001-01-01T00:00:00Z';

/** Something mounted into a container, as it was decided when the container was created. */
export interface MountPoint {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  /** Of the volume. */
  readonly name?: string;
  readonly driver?: string;
  /** Path on the machine; '' for tmpfs. */
  readonly source: string;
  readonly destination: string;
  /** As the user wrote it: `ro,z`, or ''. */
  readonly mode: string;
  readonly rw: boolean;
  /** How mounts made later on either side show on the other: rprivate … ; '' for tmpfs. */
  readonly propagation: string;
  /** Of a tmpfs. */
  readonly options?: readonly string[];
  readonly nonRecursive?: boolean;
  /** Made for this container alone; goes with it when volumes are removed too. */
  readonly anonymous?: boolean;
}

export interface EndpointRecord {
  readonly networkId: string;
  readonly config: EndpointConfig | null;
}

/** A container that another one finds by an alias of its own. */
export interface LinkRecord {
  readonly containerId: string;
  readonly alias: string;
}

/** What a container is: decided when it is created, changed by few and deliberate acts. */
export interface ContainerSpec {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly imageId: string;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** The command line, with what the image adds. */
  readonly path: string;
  readonly args: readonly string[];
  readonly mounts: readonly MountPoint[];
  /** Networks of this machine, by name. */
  readonly endpoints: Readonly<Record<string, EndpointRecord>>;
  /** On the default bridge; see links.ts. */
  readonly links?: readonly LinkRecord[];
  readonly extras?: TaskExtras;
  /** Control group that its own is in, where the engine had one of its own choice when this was started. */
  readonly cgroupParent?: string;
}

/** What became of it so far. */
export interface ContainerRun {
  readonly status: ContainerStatus;
  readonly init?: ProcessRef;
  readonly conmon?: ProcessRef;
  readonly sandbox?: Sandbox;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  /** Starts by its restart policy since somebody last started it. */
  readonly restartCount: number;
  /** Somebody stopped it: it is not to be started again by itself. */
  readonly stoppedByUser: boolean;
  readonly health?: HealthState;
}

export const NEW_RUN: ContainerRun = {
  status: 'created',
  startedAt: NEVER,
  finishedAt: NEVER,
  exitCode: 0,
  error: '',
  oomKilled: false,
  restartCount: 0,
  stoppedByUser: false,
};

/** RFC 3339 with nanoseconds, UTC, as Docker writes times: without zeros at the end. */
export function timestamp(wallMs: number): string {
  const [seconds = '', fraction = ''] = new Date(wallMs).toISOString().slice(0, -1).split('.');
  const micros = Math.floor((wallMs % 1) * 1e6)
    .toString()
    .padStart(6, '0');
  const digits = `${fraction}${micros}`.replace(/0+$/, '');
  return digits === '' ? `${seconds}Z` : `${seconds}.${digits}Z`;
}

/** When a run ended, by the time of its exit file: that is of a coarser clock than ours, which can put it before the start. */
export function endedAtMs(fileMs: number, { startedAt }: Pick<ContainerRun, 'startedAt'>): number {
  return Math.max(fileMs, Date.parse(startedAt));
}
