import type { NetworkAttachment } from '#proto/types/objects.ts';
import type {
  ContainerSpec,
  Healthcheck,
  Mount,
  PortConfig,
  Privileges,
  TaskSpec,
} from '#proto/types/specs.ts';
import type {
  ContainerConfig,
  CreateRequest,
  HealthConfig,
  HostConfig,
  MountConfig,
} from '../../core/container-types.ts';
import type { ClusterAttachment, TaskExtras } from '../../core/engine.ts';
import type { TaskContext } from '../executor.ts';
import { expand } from './template.ts';

/** Label of a task's container that names the task. */
export const TASK_LABEL = 'com.docker.swarm.task.id';

/** `web.1.<task id>`, or `web.<node id>.<task id>` where the node is the key, as in Swarm. */
export function taskName({ task, revision }: Pick<TaskContext, 'task' | 'revision'>, nodeId: string): string {
  return `${revision.serviceName}.${task.slot === 0 ? nodeId : task.slot}.${task.id}`;
}

/** What the container core is to make for a task. Throws where the spec has a placeholder it can't fill in. */
export function containerOf(context: TaskContext): {
  name: string;
  request: CreateRequest;
  extras: TaskExtras;
} {
  const name = taskName(context, context.node.nodeId);
  const spec = expanded(context.revision.task.container, context, name);
  return {
    name,
    request: {
      config: configOf(spec, context, name),
      hostConfig: hostConfigOf(spec, context),
      endpoints: {},
    },
    extras: extrasOf(context),
  };
}

function expanded(spec: ContainerSpec, context: TaskContext, name: string): ContainerSpec {
  const fill = (text: string): string => expand(text, context, name);
  return {
    ...spec,
    ...(spec.hostname === undefined ? {} : { hostname: fill(spec.hostname) }),
    ...(spec.env === undefined ? {} : { env: spec.env.map(fill) }),
    ...(spec.mounts === undefined ? {} : { mounts: spec.mounts.map((mount) => expandedMount(mount, fill)) }),
  };
}

function expandedMount(mount: Mount, fill: (text: string) => string): Mount {
  const source = mount.source === undefined ? {} : { source: fill(mount.source) };
  return { ...mount, ...source, target: fill(mount.target) };
}

function configOf(spec: ContainerSpec, context: TaskContext, name: string): ContainerConfig {
  return {
    Image: spec.image,
    Hostname: spec.hostname ?? '',
    User: spec.user ?? '',
    Env: spec.env ?? [],
    Cmd: spec.args ?? null,
    Entrypoint: spec.command ?? null,
    WorkingDir: spec.dir ?? '',
    Tty: spec.tty ?? false,
    OpenStdin: spec.openStdin ?? false,
    Labels: { ...spec.labels, ...swarmLabels(context, name) },
    ...(spec.stopSignal === undefined ? {} : { StopSignal: spec.stopSignal }),
    ...(spec.healthcheck === undefined ? {} : { Healthcheck: healthOf(spec.healthcheck) }),
    ExposedPorts: Object.fromEntries((context.revision.ports ?? []).map((port) => [portKey(port), {}])),
  };
}

function swarmLabels({ task, revision, node }: TaskContext, name: string): Record<string, string> {
  return {
    'com.docker.swarm.node.id': node.nodeId,
    'com.docker.swarm.service.id': task.serviceId,
    'com.docker.swarm.service.name': revision.serviceName,
    'com.docker.swarm.task': '',
    [TASK_LABEL]: task.id,
    'com.docker.swarm.task.name': name,
  };
}

function healthOf(check: Healthcheck): HealthConfig {
  return {
    ...(check.test === undefined ? {} : { Test: check.test }),
    Interval: check.intervalNs ?? 0,
    Timeout: check.timeoutNs ?? 0,
    StartPeriod: check.startPeriodNs ?? 0,
    StartInterval: check.startIntervalNs ?? 0,
    Retries: check.retries ?? 0,
  };
}

function hostConfigOf(spec: ContainerSpec, context: TaskContext): HostConfig {
  const task = context.revision.task;
  return {
    NetworkMode: networkModeOf(context),
    PortBindings: hostPortsOf(context.revision.ports ?? []),
    Mounts: (spec.mounts ?? []).map(mountOf),
    ReadonlyRootfs: spec.readOnly ?? false,
    Init: spec.init ?? null,
    ExtraHosts: (spec.hosts ?? []).map(extraHostOf),
    GroupAdd: spec.groups ?? null,
    Dns: spec.dns?.nameservers ?? null,
    DnsSearch: spec.dns?.search ?? null,
    DnsOptions: spec.dns?.options ?? null,
    CapAdd: spec.capabilityAdd ?? null,
    CapDrop: spec.capabilityDrop ?? null,
    Sysctls: spec.sysctls ?? null,
    Ulimits: (spec.ulimits ?? []).map(({ name, hard, soft }) => ({ Name: name, Hard: hard, Soft: soft })),
    SecurityOpt: securityOf(spec.privileges),
    ...(spec.oomScoreAdj === undefined ? {} : { OomScoreAdj: spec.oomScoreAdj }),
    ...(task.logDriver === undefined
      ? {}
      : { LogConfig: { Type: task.logDriver.name, Config: task.logDriver.options ?? {} } }),
    ...resourcesOf(task),
  };
}

function securityOf({ noNewPrivileges, seccomp, apparmor }: Privileges = {}): string[] | null {
  const options = [
    ...(noNewPrivileges ? ['no-new-privileges'] : []),
    ...(seccomp?.mode === 'unconfined' ? ['seccomp=unconfined'] : []),
    ...(seccomp?.mode === 'custom' ? [`seccomp=${decodedProfile(seccomp.profile)}`] : []),
    ...(apparmor?.mode === 'disabled' ? ['apparmor=unconfined'] : []),
  ];
  return options.length === 0 ? null : options;
}

function decodedProfile(profile = ''): string {
  return Buffer.from(profile, 'base64').toString();
}

/** Limits alone: what a task reserves is the scheduler's business, as with Docker. */
function resourcesOf({ resources }: TaskSpec): Partial<HostConfig> {
  const { limits } = resources ?? {};
  return {
    ...(limits?.nanoCpus === undefined ? {} : { NanoCpus: limits.nanoCpus }),
    ...(limits?.memoryBytes === undefined ? {} : { Memory: limits.memoryBytes }),
    ...(limits?.pids === undefined ? {} : { PidsLimit: limits.pids }),
  };
}

/** Networks of the node itself are modes of the container; those of the cluster are attachments (extras). */
function networkModeOf({ networks }: TaskContext): string {
  const local = networks.find(({ driver }) => driver !== 'overlay');
  if (local === undefined) return networks[0]?.name ?? 'default';
  return local.driver === 'null' ? 'none' : local.name;
}

function extrasOf({ task, networks, revision }: TaskContext): TaskExtras {
  const byId = new Map(networks.map((network) => [network.id, network]));
  return {
    attachments: task.networks.flatMap((attachment) =>
      attachmentOf(attachment, byId.get(attachment.networkId)),
    ),
    mesh: (revision.ports ?? []).some(({ publishMode }) => publishMode === 'ingress'),
  };
}

function attachmentOf(
  attachment: NetworkAttachment,
  network: TaskContext['networks'][number] | undefined,
): ClusterAttachment[] {
  const address = attachment.addresses[0]?.split('/')[0];
  if (network === undefined || network.driver !== 'overlay' || address === undefined) return [];
  return [{ networkId: network.id, networkName: network.name, address, aliases: attachment.aliases ?? [] }];
}

function portKey({ targetPort, protocol }: PortConfig): string {
  return `${targetPort}/${protocol}`;
}

function hostPortsOf(ports: readonly PortConfig[]): NonNullable<HostConfig['PortBindings']> {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const port of ports) {
    if (port.publishMode !== 'host') continue;
    const binding = { HostIp: '', HostPort: port.publishedPort ? String(port.publishedPort) : '' };
    bindings[portKey(port)] = [...(bindings[portKey(port)] ?? []), binding];
  }
  return bindings;
}

/** `ip name…` of a service becomes `name:ip` of a container. */
function extraHostOf(line: string): string {
  const [address, ...names] = line.trim().split(/\s+/);
  return `${names[0] ?? ''}:${address ?? ''}`;
}

function mountOf(mount: Mount): MountConfig {
  return {
    Type: mount.type,
    Target: mount.target,
    ...(mount.source === undefined ? {} : { Source: mount.source }),
    ...(mount.readOnly === undefined ? {} : { ReadOnly: mount.readOnly }),
    ...(mount.consistency === undefined ? {} : { Consistency: mount.consistency }),
    ...(mount.bind === undefined ? {} : { BindOptions: bindOf(mount.bind) }),
    ...(mount.volume === undefined ? {} : { VolumeOptions: volumeOf(mount.volume) }),
    ...(mount.tmpfs === undefined ? {} : { TmpfsOptions: tmpfsOf(mount.tmpfs) }),
  };
}

function bindOf(bind: NonNullable<Mount['bind']>): NonNullable<MountConfig['BindOptions']> {
  return {
    ...(bind.propagation === undefined ? {} : { Propagation: bind.propagation }),
    ...(bind.nonRecursive === undefined ? {} : { NonRecursive: bind.nonRecursive }),
    ...(bind.createMountpoint === undefined ? {} : { CreateMountpoint: bind.createMountpoint }),
  };
}

function volumeOf(volume: NonNullable<Mount['volume']>): NonNullable<MountConfig['VolumeOptions']> {
  const driver = volume.driver;
  return {
    ...(volume.noCopy === undefined ? {} : { NoCopy: volume.noCopy }),
    ...(volume.labels === undefined ? {} : { Labels: volume.labels }),
    ...(volume.subpath === undefined ? {} : { Subpath: volume.subpath }),
    ...(driver === undefined
      ? {}
      : {
          DriverConfig: {
            ...(driver.name === undefined ? {} : { Name: driver.name }),
            ...(driver.options === undefined ? {} : { Options: driver.options }),
          },
        }),
  };
}

function tmpfsOf(tmpfs: NonNullable<Mount['tmpfs']>): NonNullable<MountConfig['TmpfsOptions']> {
  return {
    ...(tmpfs.sizeBytes === undefined ? {} : { SizeBytes: tmpfs.sizeBytes }),
    ...(tmpfs.mode === undefined ? {} : { Mode: tmpfs.mode }),
  };
}
