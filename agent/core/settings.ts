import { ShoalError } from '#proto/base/errors.ts';
import { checkModes } from './conflicts.ts';
import type { ContainerConfig, HealthConfig, HostConfig } from './container-types.ts';
import { parseCpuList } from './cpu-list.ts';
import { type EngineDefaults, logConfigOf } from './defaults.ts';
import type { Machine } from './linux/machine.ts';
import { signalNumber } from './linux/signals.ts';
import { checkLogOptions, LOG_DRIVERS } from './logs/options.ts';
import { wantedCapabilities } from './oci/capabilities.ts';
import { MASKED_PATHS, mergeEnv, READONLY_PATHS } from './oci/config.ts';

/*
 * What a container is asked to be, made whole: the image's wishes under the user's, Docker's defaults under both, and
 * everything checked before anything is made.
 */

const MIB = 1024 * 1024;
const MEMORY_MIN = 6 * MIB;
const CPU_PERIOD_MIN_US = 1_000;
const CPU_PERIOD_MAX_US = 1_000_000;
const NS_PER_MS = 1_000_000;
export const WEIGHT_DISCARDED =
  'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.';
const SWAPPINESS_DISCARDED =
  'Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.';
const NO_OOM_KILLER =
  'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.';
const RUNTIMES = ['', 'crun', 'runc', 'io.containerd.runc.v2'];

/** The user's config over the image's. Lists of the user stay as they are, environment and maps are joined. */
export function mergedConfig(user: ContainerConfig, image: Partial<ContainerConfig>): ContainerConfig {
  const ownEntrypoint = (user.Entrypoint ?? []).length > 0;
  return {
    ...user,
    User: user.User || image.User || '',
    Env: mergedEnv(user.Env ?? [], image.Env ?? []),
    Cmd: ownEntrypoint || (user.Cmd ?? []).length > 0 ? (user.Cmd ?? null) : (image.Cmd ?? null),
    Entrypoint: user.Entrypoint ?? image.Entrypoint ?? null,
    WorkingDir: user.WorkingDir || image.WorkingDir || '',
    Labels: { ...image.Labels, ...user.Labels },
    Volumes: joined(image.Volumes, user.Volumes),
    ...optional('ExposedPorts', joined(image.ExposedPorts, user.ExposedPorts)),
    ...optional('StopSignal', user.StopSignal || image.StopSignal),
    ...optional('StopTimeout', user.StopTimeout ?? image.StopTimeout),
    ...optional('Healthcheck', mergedHealth(user.Healthcheck, image.Healthcheck)),
    ...optional('Shell', user.Shell ?? image.Shell),
  };
}

/** A field only when there is something to say in it: Docker leaves these out otherwise. */
function optional<K extends keyof ContainerConfig>(
  key: K,
  value: ContainerConfig[K] | null | undefined,
): Partial<ContainerConfig> {
  return value === undefined || value === null || value === '' ? {} : { [key]: value };
}

function joined<T>(
  image: Readonly<Record<string, T>> | null | undefined,
  user: Readonly<Record<string, T>> | null | undefined,
): Record<string, T> | null {
  const both = { ...image, ...user };
  return Object.keys(both).length > 0 ? both : null;
}

function mergedEnv(user: readonly string[], image: readonly string[]): string[] {
  const own = new Set(user.map((entry) => entry.split('=', 1)[0]));
  const env = new Map<string, string>();
  mergeEnv(env, user);
  return [...env.values(), ...image.filter((entry) => !own.has(entry.split('=', 1)[0]))];
}

function mergedHealth(
  user: HealthConfig | null | undefined,
  image: HealthConfig | null | undefined,
): HealthConfig | null {
  if (!user) return image ?? null;
  if (!image) return user;
  const entries = Object.entries(user).filter(
    ([, value]) => value !== 0 && value !== null && (value as []).length !== 0,
  );
  return { ...image, ...Object.fromEntries(entries) };
}

/** The command line: entrypoint and command; an entrypoint of one empty word is none. */
export function commandLine(config: ContainerConfig): { path: string; args: string[] } {
  const entrypoint = (config.Entrypoint ?? []).filter((word, index) => index > 0 || word !== '');
  const [path, ...args] = [...entrypoint, ...(config.Cmd ?? [])];
  if (path === undefined || path === '') throw invalid('no command specified');
  return { path, args };
}

/** Docker's defaults, as they show in `docker inspect`. */
export function completedHostConfig(
  config: HostConfig,
  machine: Machine,
  defaults?: EngineDefaults,
): HostConfig {
  const privileged = config.Privileged ?? false;
  const mode = config.NetworkMode ?? '';
  return {
    ...config,
    NetworkMode: mode === '' || mode === 'default' ? 'bridge' : mode,
    RestartPolicy: {
      Name: config.RestartPolicy?.Name || 'no',
      MaximumRetryCount: config.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    LogConfig: logConfigOf(config.LogConfig, defaults),
    ShmSize: config.ShmSize || 64 * MIB,
    IpcMode: config.IpcMode || 'private',
    CgroupnsMode: config.CgroupnsMode || (machine.cgroupVersion === 2 && !privileged ? 'private' : 'host'),
    MaskedPaths:
      config.MaskedPaths ?? (privileged || isUnconfined(config, 'systempaths') ? [] : MASKED_PATHS),
    ReadonlyPaths:
      config.ReadonlyPaths ?? (privileged || isUnconfined(config, 'systempaths') ? [] : READONLY_PATHS),
    MemorySwap: config.Memory && !config.MemorySwap ? config.Memory * 2 : (config.MemorySwap ?? 0),
    PidsLimit: config.PidsLimit && config.PidsLimit > 0 ? config.PidsLimit : null,
    CgroupParent: config.CgroupParent ?? '',
    Runtime: config.Runtime || 'crun',
    ContainerIDFile: config.ContainerIDFile ?? '',
  };
}

/** `--security-opt seccomp=unconfined`, `systempaths=unconfined` … */
export function isUnconfined(config: HostConfig, what: string): boolean {
  return (config.SecurityOpt ?? []).some(
    (option) => option === `${what}=unconfined` || option === `${what}:unconfined`,
  );
}

/** INVALID_ARGUMENT, with Docker's words, for what no container can be. */
export function checkConfig(config: ContainerConfig, hostConfig: HostConfig, machine: Machine): void {
  checkBasics(config);
  checkHealth(config.Healthcheck);
  checkPolicy(hostConfig);
  checkResources(hostConfig, machine);
  wantedCapabilities(hostConfig);
  const driver = hostConfig.LogConfig?.Type ?? '';
  if (driver !== '' && !LOG_DRIVERS.includes(driver))
    throw invalid(`logger: no log driver named '${driver}' is registered`);
  checkLogOptions(hostConfig);
  checkModes(hostConfig);
  const { OomScoreAdj: score = 0, ShmSize: shm = 0 } = hostConfig;
  if (shm < 0) throw invalid('SHM size can not be less than 0');
  for (const host of hostConfig.ExtraHosts ?? [])
    if (!/^[^:=]+[:=].+$/.test(host)) throw invalid(`bad format for add-host: "${host}"`);
  if (score < -1000 || score > 1000)
    throw invalid(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  if (!RUNTIMES.includes(hostConfig.Runtime ?? ''))
    throw invalid(`unknown or invalid runtime name: ${hostConfig.Runtime}`);
}

function checkBasics(config: ContainerConfig): void {
  for (const entry of config.Env ?? [])
    if (entry === '' || entry.startsWith('=')) throw invalid(`invalid environment variable: ${entry}`);
  if (config.WorkingDir && !config.WorkingDir.startsWith('/'))
    throw invalid(`the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`);
  if (config.StopSignal) signalNumber(config.StopSignal);
}

function checkHealth(health: HealthConfig | null | undefined): void {
  for (const name of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const value = health?.[name] ?? 0;
    if (value !== 0 && value < NS_PER_MS) throw invalid(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if ((health?.Retries ?? 0) < 0) throw invalid('Retries in Healthcheck cannot be negative');
}

/** The restart policy of a container, on its own (`docker update`) or as it is created. */
export function checkPolicy({
  RestartPolicy: policy,
  AutoRemove,
}: Pick<HostConfig, 'RestartPolicy' | 'AutoRemove'>): void {
  const name = policy?.Name || 'no';
  if (!['no', 'always', 'unless-stopped', 'on-failure'].includes(name))
    throw invalid(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  const retries = policy?.MaximumRetryCount ?? 0;
  if (retries < 0) throw invalid('invalid restart policy: maximum retry count cannot be negative');
  if (retries > 0 && name !== 'on-failure')
    throw invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  if (AutoRemove && name !== 'no') throw invalid("can't create 'AutoRemove' container with restart policy");
}

/** Limits that make no sense, alone or on this machine. */
export function checkResources(config: HostConfig, machine: Machine): void {
  const { Memory: memory = 0, MemorySwap: swap = 0, NanoCpus: cpus = 0 } = config;
  if (memory !== 0 && memory < MEMORY_MIN) throw invalid('Minimum memory limit allowed is 6MB');
  if (memory > 0 && swap > 0 && swap < memory)
    throw invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  if (memory === 0 && swap > 0)
    throw invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  if (memory > 0 && (config.MemoryReservation ?? 0) > memory)
    throw invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
  if (cpus < 0 || cpus > machine.cpus * 1e9)
    throw invalid(
      `range of CPUs is from 0.01 to ${machine.cpus}.00, as there are only ${machine.cpus} CPUs available`,
    );
  if (cpus > 0 && (config.CpuPeriod ?? 0) > 0)
    throw invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (cpus > 0 && (config.CpuQuota ?? 0) > 0)
    throw invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  checkBandwidth(config);
  checkCpuset('CPUs', 'cpus', config.CpusetCpus, machine.usable.cpus);
  checkCpuset('memory nodes', 'mems', config.CpusetMems, machine.usable.mems);
  const swappiness = config.MemorySwappiness ?? -1;
  if (swappiness < -1 || swappiness > 100)
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
}

function checkBandwidth({ CpuPeriod: period = 0, CpuQuota: quota = 0 }: HostConfig): void {
  if (period !== 0 && (period < CPU_PERIOD_MIN_US || period > CPU_PERIOD_MAX_US))
    throw invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  if (quota > 0 && quota < CPU_PERIOD_MIN_US)
    throw invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
}

function checkCpuset(what: string, key: string, asked: string | undefined, usable: string): void {
  if (!asked) return;
  const numbers = parseCpuList(asked);
  if (numbers === undefined) throw invalid(`Invalid value ${asked} for cpuset ${key}`);
  const known = parseCpuList(usable) ?? new Set();
  if (![...numbers].every((number) => known.has(number)))
    throw invalid(`Requested ${what} are not available - requested ${asked}, available: ${usable}`);
}

/** What the user should know though the container can be made. */
export function warningsOf(hostConfig: HostConfig, machine: Machine): string[] {
  const asked =
    !hostConfig.Privileged && (hostConfig.CapAdd ?? []).length > 0 ? wantedCapabilities(hostConfig) : [];
  const missing = asked.filter((name) => !machine.capabilities.has(name));
  return [
    ...(missing.length > 0
      ? [`This machine cannot give the capabilities ${missing.join(', ')}. They are left out.`]
      : []),
    ...(hostConfig.Memory && !machine.swapLimit
      ? [
          'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
        ]
      : []),
    ...oomKillerWarnings(hostConfig, machine),
    ...((hostConfig.MemorySwappiness ?? -1) >= 0 && machine.cgroupVersion === 2
      ? [SWAPPINESS_DISCARDED]
      : []),
    ...(hasWeight(hostConfig) && !machine.blockWeight ? [WEIGHT_DISCARDED] : []),
  ];
}

function oomKillerWarnings({ OomKillDisable, Memory }: HostConfig, { cgroupVersion }: Machine): string[] {
  if (!OomKillDisable) return [];
  if (cgroupVersion === 2) return ['Your kernel does not support OomKillDisable. OomKillDisable discarded.'];
  return Memory ? [] : [NO_OOM_KILLER];
}

function hasWeight({ BlkioWeight, BlkioWeightDevice }: HostConfig): boolean {
  return (BlkioWeight ?? 0) > 0 || (BlkioWeightDevice ?? []).length > 0;
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}
