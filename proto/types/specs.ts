import type { NetworkId } from './ids.ts';
import type { NodeAvailability, NodeRole } from './states.ts';

/*
 * What users ask for. Specs come back exactly as they went in: a field that was not given is absent, an empty list
 * stays an empty list, order is kept. Names follow the Engine API in camelCase; durations are nanoseconds (`…Ns`), as
 * there; numbers stay below 2^53.
 */

export type LabelMap = Readonly<Record<string, string>>;

export interface Annotations {
  readonly name: string;
  readonly labels?: LabelMap;
}

export interface ServiceSpec extends Annotations {
  readonly task: TaskSpec;
  readonly mode: ServiceMode;
  readonly update?: UpdateConfig;
  readonly rollback?: UpdateConfig;
  readonly endpoint?: EndpointSpec;
}

export type ServiceMode =
  | { readonly kind: 'replicated'; readonly replicas: number }
  | { readonly kind: 'global' }
  | { readonly kind: 'replicated-job'; readonly maxConcurrent: number; readonly totalCompletions: number }
  | { readonly kind: 'global-job' };

export type FailureAction = 'pause' | 'continue' | 'rollback';
export type UpdateOrder = 'stop-first' | 'start-first';

/** How an update or a rollback goes. Absent fields mean `UPDATE_DEFAULTS`. */
export interface UpdateConfig {
  /** Slots changed at once; 0 = all. */
  readonly parallelism?: number;
  readonly delayNs?: number;
  readonly failureAction?: FailureAction;
  /** How long after its start a task's failure still counts against the update. */
  readonly monitorNs?: number;
  /** Tolerated share of failed tasks, 0 to 1. */
  readonly maxFailureRatio?: number;
  readonly order?: UpdateOrder;
}

export interface TaskSpec {
  readonly container: ContainerSpec;
  readonly resources?: ResourceRequirements;
  readonly restart?: RestartPolicy;
  readonly placement?: Placement;
  readonly networks?: readonly NetworkAttachmentConfig[];
  readonly logDriver?: { readonly name: string; readonly options?: LabelMap };
  /** Counted up to restart every task without another change. */
  readonly forceUpdate?: number;
  readonly runtime?: string;
}

export interface NetworkAttachmentConfig {
  /** Network id or name as given; control resolves names to ids. */
  readonly target: string;
  readonly aliases?: readonly string[];
  readonly driverOpts?: LabelMap;
}

export type RestartCondition = 'none' | 'on-failure' | 'any';

export interface RestartPolicy {
  readonly condition?: RestartCondition;
  readonly delayNs?: number;
  readonly maxAttempts?: number;
  readonly windowNs?: number;
}

export interface Placement {
  readonly constraints?: readonly string[];
  /** Spread descriptors in order, e.g. `node.labels.zone`. */
  readonly preferences?: readonly string[];
  readonly maxReplicas?: number;
  readonly platforms?: readonly Platform[];
}

export interface Platform {
  readonly architecture?: string;
  readonly os?: string;
}

export interface ResourceRequirements {
  readonly limits?: ResourceLimits;
  readonly reservations?: Resources;
}

export interface Resources {
  /** CPUs in billionths of one. */
  readonly nanoCpus?: number;
  readonly memoryBytes?: number;
  readonly generic?: readonly GenericResource[];
}

export interface ResourceLimits {
  readonly nanoCpus?: number;
  readonly memoryBytes?: number;
  readonly pids?: number;
}

export type GenericResource =
  | { readonly kind: string; readonly named: string }
  | { readonly kind: string; readonly count: number };

export interface ContainerSpec {
  readonly image: string;
  readonly labels?: LabelMap;
  /** The entrypoint (`Command` in the Engine API). */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly hostname?: string;
  readonly env?: readonly string[];
  readonly dir?: string;
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly privileges?: Privileges;
  readonly init?: boolean;
  readonly stopSignal?: string;
  readonly tty?: boolean;
  readonly openStdin?: boolean;
  readonly readOnly?: boolean;
  readonly mounts?: readonly Mount[];
  readonly stopGracePeriodNs?: number;
  readonly healthcheck?: Healthcheck;
  readonly hosts?: readonly string[];
  readonly dns?: DnsConfig;
  readonly isolation?: string;
  readonly sysctls?: LabelMap;
  readonly capabilityAdd?: readonly string[];
  readonly capabilityDrop?: readonly string[];
  readonly ulimits?: readonly Ulimit[];
  readonly oomScoreAdj?: number;
  /** With what the nodes pull the image. No answer of the API shows it, and to change it changes no task. */
  readonly registryAuth?: RegistryAuth;
}

/** Who pulls from a registry, as clients give it in X-Registry-Auth. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
  readonly serveraddress?: string;
}

export interface Privileges {
  readonly noNewPrivileges?: boolean;
  /** `default`, `unconfined`, or `custom` with a profile: its JSON in base64. */
  readonly seccomp?: { readonly mode: string; readonly profile?: string };
  readonly apparmor?: { readonly mode: string };
}

export interface Healthcheck {
  /** [], ['NONE'], ['CMD', …] or ['CMD-SHELL', …]. */
  readonly test?: readonly string[];
  readonly intervalNs?: number;
  readonly timeoutNs?: number;
  readonly startPeriodNs?: number;
  readonly startIntervalNs?: number;
  readonly retries?: number;
}

export interface DnsConfig {
  readonly nameservers?: readonly string[];
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

export interface Ulimit {
  readonly name: string;
  readonly hard: number;
  readonly soft: number;
}

export interface Mount {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  readonly source?: string;
  readonly target: string;
  readonly readOnly?: boolean;
  readonly consistency?: string;
  readonly bind?: {
    readonly propagation?: string;
    readonly nonRecursive?: boolean;
    readonly createMountpoint?: boolean;
  };
  readonly volume?: {
    readonly noCopy?: boolean;
    readonly labels?: LabelMap;
    readonly subpath?: string;
    readonly driver?: { readonly name?: string; readonly options?: LabelMap };
  };
  readonly tmpfs?: { readonly sizeBytes?: number; readonly mode?: number };
}

export type EndpointMode = 'vip' | 'dnsrr';
export type PortProtocol = 'tcp' | 'udp' | 'sctp';
export type PublishMode = 'ingress' | 'host';

export interface EndpointSpec {
  readonly mode?: EndpointMode;
  readonly ports?: readonly PortConfig[];
}

export interface PortConfig {
  readonly name?: string;
  readonly protocol: PortProtocol;
  readonly targetPort: number;
  /** 0 or absent: the allocator (ingress) or the node (host) chooses. */
  readonly publishedPort?: number;
  readonly publishMode: PublishMode;
}

export interface NodeSpec {
  readonly name?: string;
  readonly labels?: LabelMap;
  readonly role: NodeRole;
  readonly availability: NodeAvailability;
}

export interface NetworkSpec extends Annotations {
  readonly driver?: string;
  readonly options?: LabelMap;
  readonly ipv6?: boolean;
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly ingress?: boolean;
  readonly ipam?: IpamOptions;
}

export interface IpamOptions {
  readonly driver?: string;
  readonly options?: LabelMap;
  readonly configs?: readonly IpamConfig[];
}

export interface IpamConfig {
  readonly subnet?: string;
  readonly range?: string;
  readonly gateway?: string;
  readonly auxiliary?: LabelMap;
}

/** The cluster's own settings (`docker swarm update`). */
export interface ClusterSpec extends Annotations {
  readonly taskHistoryPerSlot: number;
  readonly snapshotEveryEntries: number;
  readonly logEntriesForSlowFollowers: number;
  readonly keepOldSnapshots: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly heartbeatPeriodNs: number;
  readonly nodeCertExpiryNs: number;
  readonly autoLockManagers: boolean;
  readonly defaultLogDriver?: { readonly name: string; readonly options?: LabelMap };
}

/** The networks of a task spec as ids; control has resolved the names. */
export function networkIdsOf(task: TaskSpec): NetworkId[] {
  return (task.networks ?? []).map((network) => network.target as NetworkId);
}
