import type { HostConfig } from '../container-types.ts';
import type { Machine } from '../linux/machine.ts';
import { blockIoOf } from './block-io.ts';
import type { OciDeviceRule, OciProcess, OciResources } from './types.ts';

const DEFAULT_PERIOD_US = 100_000;

type CpuConfig = Pick<HostConfig, 'NanoCpus' | 'CpuPeriod' | 'CpuQuota'>;

/** Microseconds of CPU time per period; undefined: no limit, for which crun has no number. */
export function cpuBandwidth(config: CpuConfig): { quota?: number; period?: number } {
  if (config.NanoCpus) {
    return { quota: Math.round((config.NanoCpus * DEFAULT_PERIOD_US) / 1e9), period: DEFAULT_PERIOD_US };
  }
  return {
    ...(config.CpuQuota && config.CpuQuota > 0 ? { quota: config.CpuQuota } : {}),
    ...(config.CpuPeriod ? { period: config.CpuPeriod } : {}),
  };
}

/** The limits of a container, in the terms of the OCI runtime specification. */
export function resourcesOf(
  config: HostConfig,
  devices: readonly OciDeviceRule[],
  machine: Pick<Machine, 'swapLimit' | 'blockWeight' | 'cgroupVersion'>,
): OciResources {
  const memory = memoryOf(config, machine);
  const cpu = cpuOf(config);
  const blockIO = blockIoOf(config, machine.blockWeight);
  return {
    devices,
    ...(Object.keys(memory).length > 0 ? { memory } : {}),
    ...(Object.keys(cpu).length > 0 ? { cpu } : {}),
    ...(config.PidsLimit && config.PidsLimit > 0 ? { pids: { limit: config.PidsLimit } } : {}),
    ...(blockIO ? { blockIO } : {}),
  };
}

function memoryOf(
  config: HostConfig,
  { swapLimit, cgroupVersion }: Pick<Machine, 'swapLimit' | 'cgroupVersion'>,
): Record<string, number | boolean> {
  const swap = swapLimit && config.Memory && config.MemorySwap;
  const swappiness = config.MemorySwappiness ?? -1;
  return {
    ...(config.Memory ? { limit: config.Memory } : {}),
    ...(swap ? { swap } : {}),
    ...(config.MemoryReservation ? { reservation: config.MemoryReservation } : {}),
    // Version 2 of control groups has neither; whoever asks was warned.
    ...(swappiness >= 0 && cgroupVersion === 1 ? { swappiness } : {}),
    ...(config.OomKillDisable && cgroupVersion === 1 ? { disableOOMKiller: true } : {}),
  };
}

function cpuOf(config: HostConfig): Record<string, number | string> {
  return {
    ...cpuBandwidth(config),
    ...(config.CpuShares ? { shares: config.CpuShares } : {}),
    ...(config.CpuRealtimePeriod ? { realtimePeriod: config.CpuRealtimePeriod } : {}),
    ...(config.CpuRealtimeRuntime ? { realtimeRuntime: config.CpuRealtimeRuntime } : {}),
    ...(config.CpusetCpus ? { cpus: config.CpusetCpus } : {}),
    ...(config.CpusetMems ? { mems: config.CpusetMems } : {}),
  };
}

/**
 * Limits of the process, by the names of ulimit. Nobody may raise a limit above its own without CAP_SYS_RESOURCE, so
 * they are cut to what this daemon has. In a user namespace nobody has it.
 */
export function rlimitsOf(
  config: Pick<HostConfig, 'Ulimits'>,
  machine: Pick<Machine, 'capabilities' | 'hardLimits'>,
  { mapped = false } = {},
): NonNullable<OciProcess['rlimits']> {
  const mayRaise = !mapped && machine.capabilities.has('CAP_SYS_RESOURCE');
  return (config.Ulimits ?? []).map(({ Name, Soft, Hard }) => {
    const own = mayRaise ? undefined : machine.hardLimits[Name];
    const cut = (value: number): number => {
      const wanted = value < 0 ? UNLIMITED : value;
      return own === undefined ? wanted : Math.min(wanted, own);
    };
    return { type: `RLIMIT_${Name.toUpperCase()}`, soft: cut(Soft), hard: cut(Hard) };
  });
}

/** RLIM_INFINITY as near as a JSON number comes to it; the kernel knows no limit that high. */
const UNLIMITED = 2 ** 63;
