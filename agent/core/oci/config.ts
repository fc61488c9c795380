import type { ContainerConfig, HostConfig } from '../container-types.ts';
import { type IdMaps, type IdRange, idCount } from '../linux/id-map.ts';
import type { Machine } from '../linux/machine.ts';
import { wantedCapabilities } from './capabilities.ts';
import { devicesOf, type PassedDevice } from './devices.ts';
import { bindMount, defaultMounts, ordered } from './mounts.ts';
import { resourcesOf, rlimitsOf } from './resources.ts';
import type { OciConfig, OciIdMapping, OciMount, OciNamespace, OciProcess } from './types.ts';
import type { ResolvedUser } from './user.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

export const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Which namespaces a container has: its own, the machine's, or the one at a path. */
export interface Namespaces {
  readonly network: 'own' | 'host' | { readonly path: string };
  readonly pid: 'own' | 'host' | { readonly path: string };
  readonly ipc: 'own' | 'host' | { readonly path: string };
  readonly uts: 'own' | 'host';
  readonly cgroup: 'own' | 'host';
  readonly user?: 'host' | { readonly path: string };
}

/** A container that is about to be started, with nothing left to look up. */
export interface ContainerPlan {
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly args: readonly string[];
  readonly hostname: string;
  readonly user: ResolvedUser;
  readonly namespaces: Namespaces;
  /** Beside those that every container has; /dev/shm among them. */
  readonly mounts: readonly OciMount[];
  readonly cgroupsPath: string;
  /** Of the user namespace that it is in. */
  readonly idMaps?: IdMaps;
  /** Compiled filter; absent: unconfined. */
  readonly seccomp?: string;
  readonly rootfsPropagation?: string;
  readonly machine: Pick<
    Machine,
    'capabilities' | 'hardLimits' | 'swapLimit' | 'blockWeight' | 'cgroupVersion'
  >;
}

/** The container as crun is told to make it. The root file system is `rootfs` in its bundle. */
export function ociConfig(plan: ContainerPlan): OciConfig {
  const { config, hostConfig, namespaces } = plan;
  const { nodes, rules } = devicesOf(hostConfig);
  const bound = plan.idMaps === undefined ? [] : nodes.map(boundDevice);
  const ownUts = namespaces.uts === 'own';
  return {
    ociVersion: '1.0.2',
    process: initProcess(plan),
    root: { path: 'rootfs', readonly: hostConfig.ReadonlyRootfs ?? false },
    ...(ownUts ? { hostname: plan.hostname } : {}),
    ...(ownUts && config.Domainname ? { domainname: config.Domainname } : {}),
    mounts: ordered([
      ...defaultMounts({ privileged: hostConfig.Privileged ?? false }),
      ...bound,
      ...plan.mounts,
    ]),
    linux: {
      cgroupsPath: plan.cgroupsPath,
      resources: resourcesOf(hostConfig, rules, plan.machine),
      devices: bound.length > 0 ? [] : nodes.map(({ node }) => node),
      namespaces: namespaceList(namespaces),
      ...idMappings(plan.idMaps),
      maskedPaths: hostConfig.MaskedPaths ?? [],
      readonlyPaths: hostConfig.ReadonlyPaths ?? [],
      sysctl: sysctls(plan),
      ...(plan.rootfsPropagation ? { rootfsPropagation: plan.rootfsPropagation } : {}),
    },
    annotations: {
      ...hostConfig.Annotations,
      ...(plan.seccomp === undefined ? {} : { 'run.oci.seccomp_bpf_data': plan.seccomp }),
    },
  };
}

/** Nodes that are made in a user namespace can't be opened: there the machine's own are shown. */
function boundDevice({ source, node }: PassedDevice): OciMount {
  return bindMount(source, node.path, ['bind', 'rw', 'nosuid', 'noexec']);
}

function initProcess(plan: ContainerPlan): OciProcess {
  const { config, hostConfig } = plan;
  const rlimits = rlimitsOf(hostConfig, plan.machine, { mapped: plan.idMaps !== undefined });
  const [height = 0, width = 0] = hostConfig.ConsoleSize ?? [];
  return {
    terminal: config.Tty ?? false,
    ...(config.Tty && height > 0 && width > 0 ? { consoleSize: { height, width } } : {}),
    user: ociUser(plan.user),
    args: plan.args,
    env: processEnv(config, plan.hostname, plan.user.home),
    cwd: config.WorkingDir || '/',
    capabilities: capabilitySets(wantedCapabilities(hostConfig), plan.user.uid, plan.machine),
    noNewPrivileges: hasNoNewPrivileges(hostConfig),
    oomScoreAdj: oomScoreOf(plan),
    ...(rlimits.length > 0 ? { rlimits } : {}),
  };
}

/** Nobody in a user namespace may lower it: the starter does, from outside. */
function oomScoreOf({ hostConfig: { OomScoreAdj = 0 }, idMaps }: ContainerPlan): number {
  return idMaps ? Math.max(0, OomScoreAdj) : OomScoreAdj;
}

export function ociUser(user: ResolvedUser): OciProcess['user'] {
  return { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids };
}

/** Only root starts with capabilities in effect; others may gain what is in the bounding set. */
export function capabilitySets(
  wanted: readonly string[],
  uid: number,
  machine: Pick<Machine, 'capabilities'>,
): OciProcess['capabilities'] {
  const bounding = wanted.filter((name) => machine.capabilities.has(name));
  return uid === 0 ? { bounding, effective: bounding, permitted: bounding } : { bounding };
}

export function hasNoNewPrivileges(hostConfig: HostConfig): boolean {
  return (hostConfig.SecurityOpt ?? []).some((option) => /^no-new-privileges([=:]true)?$/.test(option));
}

/** The environment of a container's processes: what Docker promises, then what image and user say. */
export function processEnv(config: ContainerConfig, hostname: string, home: string): string[] {
  const env = new Map([
    ['PATH', `PATH=${DEFAULT_PATH}`],
    ['HOSTNAME', `HOSTNAME=${hostname}`],
    ...(config.Tty ? ([['TERM', 'TERM=xterm']] as const) : []),
  ]);
  mergeEnv(env, config.Env ?? []);
  if (!env.has('HOME')) env.set('HOME', `HOME=${home}`);
  return [...env.values()];
}

/** Sets variables (`NAME=value`); a name alone takes the variable away. */
export function mergeEnv(env: Map<string, string>, list: readonly string[]): void {
  for (const entry of list) {
    const name = entry.split('=', 1)[0] ?? '';
    if (entry.includes('=')) env.set(name, entry);
    else env.delete(name);
  }
}

function namespaceList(namespaces: Namespaces): OciNamespace[] {
  const list: OciNamespace[] = [{ type: 'mount' }];
  for (const type of ['network', 'pid', 'ipc', 'uts', 'cgroup', 'user'] as const) {
    const choice = namespaces[type] ?? 'host';
    if (choice === 'own') list.push({ type });
    else if (choice !== 'host') list.push({ type, path: choice.path });
  }
  return list;
}

function idMappings(maps: IdMaps | undefined): Pick<OciConfig['linux'], 'uidMappings' | 'gidMappings'> {
  if (maps === undefined) return {};
  const mappings = (map: readonly IdRange[]): OciIdMapping[] =>
    map.map(({ inside, outside, length }) => ({ containerID: inside, hostID: outside, size: length }));
  return { uidMappings: mappings(maps.users), gidMappings: mappings(maps.groups) };
}

const GID_MAX = 2_147_483_647;

/** In a network namespace of its own a container may use low ports and ping without being root. */
function sysctls(plan: ContainerPlan): Record<string, string> {
  const { network } = plan.namespaces;
  const shared = plan.hostConfig.NetworkMode?.startsWith('container:') ?? false;
  const open = network !== 'host' && !shared && !plan.hostConfig.Privileged;
  return {
    ...(open
      ? {
          'net.ipv4.ip_unprivileged_port_start': '0',
          'net.ipv4.ping_group_range': `0 ${plan.idMaps ? idCount(plan.idMaps.groups) - 1 : GID_MAX}`,
        }
      : {}),
    ...plan.hostConfig.Sysctls,
  };
}
