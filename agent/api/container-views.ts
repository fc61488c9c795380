import { createHash } from 'node:crypto';
import type { Container } from '../core/container.ts';
import type { HostConfig } from '../core/container-types.ts';
import type { Engine } from '../core/open-engine.ts';
import type { MountPoint } from '../core/record.ts';
import type { AttachmentInfo, PortBinding } from '../net/node-network.ts';

/*
 * Containers as GET /containers/{id}/json shows them. What is null, absent or empty here is so with Docker, and clients
 * rely on it.
 */

const HOST_CONFIG_DEFAULTS: HostConfig & Readonly<Record<string, unknown>> = {
  Binds: null,
  ContainerIDFile: '',
  PortBindings: {},
  AutoRemove: false,
  VolumeDriver: '',
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  Cgroup: '',
  Links: null,
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: '',
  UsernsMode: '',
  Isolation: '',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: false,
  PidsLimit: null,
  Ulimits: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
};

/** The body of GET /containers/{id}/json, without sizes. */
export function inspectView(engine: Engine, container: Container): Record<string, unknown> {
  const { spec, run } = container;
  const folder = engine.parts.runtime.bundle(spec.id);
  return {
    Id: spec.id,
    Created: spec.createdAt,
    Path: spec.path,
    Args: spec.args,
    State: container.state(),
    Image: spec.imageId,
    ResolvConfPath: `${folder}/resolv.conf`,
    HostnamePath: `${folder}/hostname`,
    HostsPath: `${folder}/hosts`,
    LogPath: engine.containers.logPath(container),
    Name: `/${spec.name}`,
    RestartCount: run.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: container.execs.size > 0 ? [...container.execs] : null,
    HostConfig: {
      ...HOST_CONFIG_DEFAULTS,
      ...definedOf(spec.hostConfig),
      Links: linksView(engine, container),
    },
    GraphDriver: { Data: layersView(engine, container), Name: 'overlay2' },
    Mounts: spec.mounts.map(mountView),
    Config: configView(container),
    NetworkSettings: networkSettings(container),
  };
}

/** `/db:/web/alias` for each link that leads somewhere. */
function linksView({ parts: { containers } }: Engine, { spec }: Container): string[] | null {
  const links = (spec.links ?? []).flatMap(({ containerId, alias }) => {
    const other = containers.get(containerId);
    return other ? [`/${other.name}:/${spec.name}/${alias}`] : [];
  });
  return links.length > 0 ? links : null;
}

function definedOf(config: HostConfig): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => value !== undefined && value !== null),
  );
}

function layersView({ parts: { rootfs, runtime } }: Engine, { spec }: Container): Record<string, string> {
  return {
    ID: spec.id,
    LowerDir: rootfs.layers(spec.imageId).join(':'),
    MergedDir: `${runtime.bundle(spec.id)}/rootfs`,
    UpperDir: rootfs.upper(spec.id),
    WorkDir: rootfs.work(spec.id),
  };
}

function configView({ spec: { config } }: Container): Record<string, unknown> {
  return {
    Hostname: '',
    Domainname: '',
    User: '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    ...config,
    Env: config.Env ?? [],
    Cmd: config.Cmd ?? null,
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? '',
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? {},
  };
}

export function mountView(mount: MountPoint): Record<string, unknown> {
  return {
    Type: mount.type,
    ...(mount.name === undefined ? {} : { Name: mount.name }),
    Source: mount.source,
    Destination: mount.destination,
    ...(mount.driver === undefined ? {} : { Driver: mount.driver }),
    Mode: mount.mode,
    RW: mount.rw,
    Propagation: mount.propagation,
  };
}

function networkSettings(container: Container): Record<string, unknown> {
  const { sandbox } = container.run;
  const networks = networksView(container);
  const main = networks['bridge'];
  return {
    Bridge: '',
    SandboxID: sandbox ? digest(container.id, 'sandbox') : '',
    SandboxKey: sandbox?.netnsPath ?? '',
    Ports: container.hasProcess ? portsView(container) : {},
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: main?.EndpointID ?? '',
    Gateway: main?.Gateway ?? '',
    GlobalIPv6Address: main?.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: main?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: main?.IPAddress ?? '',
    IPPrefixLen: main?.IPPrefixLen ?? 0,
    IPv6Gateway: main?.IPv6Gateway ?? '',
    MacAddress: main?.MacAddress ?? '',
    Networks: networks,
  };
}

/** `80/tcp`: where it is published, null when it is only exposed. */
function portsView({ spec, run }: Container): Record<string, { HostIp: string; HostPort: string }[] | null> {
  const ports: Record<string, { HostIp: string; HostPort: string }[] | null> = {};
  for (const key of Object.keys(spec.config.ExposedPorts ?? {})) ports[key] = null;
  for (const { protocol, containerPort, hostIp, hostPort } of run.sandbox?.ports ?? []) {
    const key = `${containerPort}/${protocol}`;
    ports[key] = [...(ports[key] ?? []), { HostIp: hostIp || '0.0.0.0', HostPort: String(hostPort) }];
  }
  return ports;
}

interface NetworkOfContainer {
  readonly IPAMConfig: object | null;
  readonly Links: readonly string[] | null;
  readonly Aliases: readonly string[] | null;
  readonly MacAddress: string;
  readonly DriverOpts: object | null;
  readonly GwPriority: number;
  readonly NetworkID: string;
  readonly EndpointID: string;
  readonly Gateway: string;
  readonly IPAddress: string;
  readonly IPPrefixLen: number;
  readonly IPv6Gateway: string;
  readonly GlobalIPv6Address: string;
  readonly GlobalIPv6PrefixLen: number;
  readonly DNSNames: readonly string[] | null;
}

/** The networks of a container by name: those of this machine and those of the cluster. */
export function networksView(container: Container): Record<string, NetworkOfContainer> {
  const { spec, run } = container;
  const attached = new Map((run.sandbox?.attachments ?? []).map((info) => [info.networkId, info]));
  const local = Object.entries(spec.endpoints).map(([name, { networkId, config }]) => {
    const given = {
      IPAMConfig: config?.IPAMConfig ?? null,
      Links: config?.Links ?? null,
      Aliases: config?.Aliases ?? null,
      DriverOpts: config?.DriverOpts ?? null,
    };
    return [name, networkView(container, networkId, attached.get(networkId), name, given)] as const;
  });
  const cluster = (spec.extras?.attachments ?? []).map(({ networkId, networkName, address, aliases }) => {
    const given = { IPAMConfig: { IPv4Address: address }, Links: null, Aliases: aliases, DriverOpts: null };
    return [
      networkName,
      networkView(container, networkId, attached.get(networkId), networkName, given),
    ] as const;
  });
  return Object.fromEntries([...local, ...cluster]);
}

function networkView(
  container: Container,
  networkId: string,
  info: AttachmentInfo | undefined,
  name: string,
  given: Pick<NetworkOfContainer, 'IPAMConfig' | 'Links' | 'Aliases' | 'DriverOpts'>,
): NetworkOfContainer {
  const [address = '', prefix = '0'] = (info?.address ?? '').split('/');
  const [address6 = '', prefix6 = '0'] = (info?.ipv6?.address ?? '').split('/');
  return {
    ...given,
    MacAddress: info?.mac ?? '',
    GwPriority: 0,
    NetworkID: networkId,
    EndpointID: container.hasProcess ? digest(container.id, networkId) : '',
    Gateway: info?.gateway ?? '',
    IPAddress: address,
    IPPrefixLen: Number(prefix),
    IPv6Gateway: info?.ipv6?.gateway ?? '',
    GlobalIPv6Address: address6,
    GlobalIPv6PrefixLen: Number(prefix6),
    DNSNames: isUserDefined(name) ? dnsNames(container, given.Aliases ?? []) : null,
  };
}

function isUserDefined(network: string): boolean {
  return !['bridge', 'host', 'none'].includes(network);
}

function dnsNames({ spec }: Container, aliases: readonly string[]): string[] {
  return [...new Set([spec.name, ...aliases, spec.id.slice(0, 12), spec.config.Hostname ?? ''])].filter(
    Boolean,
  );
}

/** Endpoints and sandboxes have no ids of their own here; clients only ever compare them. */
export function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('/')).digest('hex');
}

/** Ports as GET /containers/json lists them. */
export function portList(container: Container): Record<string, unknown>[] {
  const published = container.run.sandbox?.ports ?? [];
  const isPublished = (key: string): boolean =>
    published.some(({ protocol, containerPort }) => key === `${containerPort}/${protocol}`);
  const exposed = Object.keys(container.spec.config.ExposedPorts ?? {}).filter((key) => !isPublished(key));
  return [
    ...published.map(publishedPort),
    ...(container.hasProcess ? exposed : []).map((key) => {
      const [port, protocol = 'tcp'] = key.split('/');
      return { PrivatePort: Number(port), Type: protocol };
    }),
  ];
}

function publishedPort({ hostIp, hostPort, containerPort, protocol }: PortBinding): Record<string, unknown> {
  return { IP: hostIp || '0.0.0.0', PrivatePort: containerPort, PublicPort: hostPort, Type: protocol };
}
