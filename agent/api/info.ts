import { ENGINE_VERSION } from '#proto/types/version.ts';
import type { EngineDefaults } from '../core/defaults.ts';
import { openFileCount, readSetting } from '../core/linux/settings.ts';
import type { Engine } from '../core/open-engine.ts';
import { timestamp } from '../core/record.ts';

/** What a daemon was told that only `docker info` shows. */
export interface InfoOpts {
  /** `key=value`. */
  readonly labels?: readonly string[];
  readonly registryMirrors?: readonly string[];
  /** host[:port] or CIDR. */
  readonly insecureRegistries?: readonly string[];
  readonly hostname?: string;
  readonly debug?: boolean;
}

function registryConfig({ registryMirrors = [], insecureRegistries = [] }: InfoOpts): object {
  const networks = insecureRegistries.filter((item) => item.includes('/'));
  const hosts = insecureRegistries.filter((item) => !item.includes('/'));
  const mirrors = registryMirrors.map((url) => (url.endsWith('/') ? url : `${url}/`));
  const own = hosts.map((Name) => [Name, { Name, Mirrors: [], Secure: false, Official: false }] as const);
  const official = { Name: 'docker.io', Mirrors: mirrors, Secure: true, Official: true };
  return {
    AllowNondistributableArtifactsCIDRs: null,
    AllowNondistributableArtifactsHostnames: null,
    InsecureRegistryCIDRs: [...new Set(['::1/128', '127.0.0.0/8', ...networks])],
    IndexConfigs: { ...Object.fromEntries(own), 'docker.io': official },
    Mirrors: mirrors.length > 0 ? mirrors : null,
  };
}

/** What is the same on every machine. */
const FIXED = {
  HttpProxy: '',
  HttpsProxy: '',
  NoProxy: '',
  ExperimentalBuild: false,
  Runtimes: { crun: { path: 'crun', status: {} } },
  DefaultRuntime: 'crun',
  LiveRestoreEnabled: true,
  Isolation: '',
  InitBinary: 'docker-init',
  ContainerdCommit: { ID: '' },
  RuncCommit: { ID: '' },
  InitCommit: { ID: '' },
  FirewallBackend: { Driver: 'nftables' },
  CDISpecDirs: [],
  Warnings: null,
};

/** GET /info, but for its Swarm part. */
export function infoView(engine: Engine, opts: InfoOpts, images: number): Record<string, unknown> {
  const { parts, id } = engine;
  const { machine } = parts;
  return {
    ID: id,
    ...containerCounts(engine),
    Images: images,
    Driver: 'overlay2',
    DriverStatus: [
      ['Backing Filesystem', 'extfs'],
      ['Supports d_type', 'true'],
      ['Native Overlay Diff', 'true'],
      ['userxattr', 'false'],
    ],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null', 'overlay'],
      Authorization: null,
      Log: ['json-file', 'local', 'none'],
    },
    ...limits(engine),
    Debug: opts.debug ?? false,
    NFd: openFileCount(),
    NGoroutines: 1,
    SystemTime: timestamp(parts.clock.wallMs()),
    LoggingDriver: parts.opts.defaults?.logDriver ?? 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: String(machine.cgroupVersion),
    NEventsListener: parts.events.listeners,
    KernelVersion: machine.kernel,
    OperatingSystem: machine.os,
    OSVersion: '',
    OSType: 'linux',
    Architecture: machine.architecture,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(opts),
    NCPU: machine.cpus,
    MemTotal: machine.memoryBytes,
    GenericResources: null,
    DockerRootDir: parts.opts.dataRoot,
    Name: opts.hostname ?? machine.hostname,
    Labels: opts.labels ?? [],
    ...addressPools(parts.opts.defaults),
    ServerVersion: ENGINE_VERSION,
    ...FIXED,
    SecurityOptions: [
      ...(machine.seccomp ? ['name=seccomp,profile=builtin'] : []),
      ...(parts.userNamespace ? ['name=userns'] : []),
      'name=cgroupns',
    ],
  };
}

function addressPools({ addressPools: pools = [] }: EngineDefaults = {}): object {
  if (pools.length === 0) return {};
  return { DefaultAddressPools: pools.map(({ base, size }) => ({ Base: base, Size: size })) };
}

function containerCounts({ containers }: Engine): Record<string, number> {
  const statuses = containers.all().map(({ run }) => run.status);
  const count = (chosen: (status: string) => boolean): number => statuses.filter(chosen).length;
  return {
    Containers: statuses.length,
    ContainersRunning: count((status) => status === 'running' || status === 'restarting'),
    ContainersPaused: count((status) => status === 'paused'),
    ContainersStopped: count((status) => !['running', 'paused', 'restarting'].includes(status)),
  };
}

function limits({ parts: { machine } }: Engine): Record<string, boolean> {
  return {
    MemoryLimit: true,
    SwapLimit: machine.swapLimit,
    KernelMemoryTCP: false,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: readSetting('net/ipv4/ip_forward') === '1',
    BridgeNfIptables: false,
    BridgeNfIp6tables: false,
    OomKillDisable: machine.cgroupVersion === 1,
  };
}
