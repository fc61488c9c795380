import { cgroupPath } from './bundle.ts';
import type { Container } from './container.ts';
import { Cgroup } from './linux/cgroup.ts';
import { type CgroupStats, readCgroupStats } from './linux/cgroup-stats.ts';
import { type InterfaceStats, machineCpuNs, readInterfaceStats } from './linux/net-stats.ts';
import type { EngineParts } from './parts.ts';

/** What a running container has used so far. */
export interface Usage {
  readonly group: CgroupStats;
  readonly interfaces: Readonly<Record<string, InterfaceStats>>;
  /** CPU time of the whole machine, to compare with. */
  readonly machineCpuNs: number;
}

export function cgroupOf(
  { opts, cgroups, clock }: Pick<EngineParts, 'opts' | 'cgroups' | 'clock'>,
  { spec }: Container,
): Cgroup {
  return new Cgroup({ layout: cgroups, path: cgroupPath(opts, spec) }, { clock });
}

/** Undefined when it has no process. */
export function usageOf(
  parts: Pick<EngineParts, 'opts' | 'cgroups' | 'clock'>,
  container: Container,
): Usage | undefined {
  const { init } = container.run;
  if (!container.hasProcess || init === undefined) return undefined;
  return {
    group: readCgroupStats(cgroupOf(parts, container)),
    interfaces: readInterfaceStats(init.pid),
    machineCpuNs: machineCpuNs(),
  };
}
