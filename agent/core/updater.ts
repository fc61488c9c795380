import { ShoalError } from '#proto/base/errors.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import type { HostConfig } from './container-types.ts';
import { changeLimits, type LimitChanges } from './linux/cgroup-update.ts';
import type { Machine } from './linux/machine.ts';
import { cpuBandwidth } from './oci/resources.ts';
import type { EngineParts } from './parts.ts';
import { checkPolicy, checkResources, WEIGHT_DISCARDED } from './settings.ts';
import type { Starter } from './starter.ts';

/** What `docker update` can change. */
export type HostConfigChanges = Pick<
  HostConfig,
  | 'RestartPolicy'
  | 'Memory'
  | 'MemorySwap'
  | 'MemoryReservation'
  | 'NanoCpus'
  | 'CpuShares'
  | 'CpuPeriod'
  | 'CpuQuota'
  | 'CpusetCpus'
  | 'CpusetMems'
  | 'PidsLimit'
  | 'BlkioWeight'
>;

/** Changes limits and restart policy of containers, running or not. */
export class Updater {
  readonly #parts: Pick<EngineParts, 'containers' | 'events' | 'machine'>;
  readonly #starter: Pick<Starter, 'cgroup'>;

  constructor(
    parts: Pick<EngineParts, 'containers' | 'events' | 'machine'>,
    modules: { starter: Pick<Starter, 'cgroup'> },
  ) {
    this.#parts = parts;
    this.#starter = modules.starter;
  }

  /** Warnings are of what was asked for and can't be had. */
  async update(idOrName: string, asked: HostConfigChanges): Promise<string[]> {
    const container = this.#parts.containers.find(idOrName);
    const { machine } = this.#parts;
    const changes = given(asked, machine);
    await container.lock.run(async () => {
      const before = container.spec.hostConfig;
      const hostConfig: HostConfig = { ...before, ...changes };
      this.#check(container, hostConfig, changes);
      if (container.hasProcess) changeLimits(this.#starter.cgroup(container.spec), limitsOf(changes));
      container.updateSpec({ hostConfig });
      emitContainer(this.#parts.events, container, 'update');
    });
    return asked.BlkioWeight && changes.BlkioWeight === undefined ? [WEIGHT_DISCARDED] : [];
  }

  #check(
    { id, spec: { hostConfig: before } }: Container,
    after: HostConfig,
    changes: HostConfigChanges,
  ): void {
    if (changes.RestartPolicy) {
      if (before.AutoRemove && changes.RestartPolicy.Name !== 'no')
        throw cannotUpdate(
          id,
          'Restart policy cannot be updated because AutoRemove is enabled for the container',
        );
      checkPolicy(after);
    }
    const { Memory: memory = 0, MemorySwap: swap } = changes;
    const oldSwap = before.MemorySwap ?? 0;
    if (memory > 0 && swap === undefined && oldSwap > 0 && memory > oldSwap)
      throw cannotUpdate(
        id,
        'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
      );
    const conflict = bandwidthConflict(before, changes);
    if (conflict) throw cannotUpdate(id, conflict);
    checkResources(after, this.#parts.machine);
  }
}

/** A limit in CPUs is kept as a quota: whoever set the one can't change the other. */
function bandwidthConflict(before: HostConfig, changes: HostConfigChanges): string | undefined {
  const said = (what: string, other: string): string =>
    `Conflicting options: ${what} cannot be updated as ${other} has already been set`;
  if (changes.NanoCpus && before.CpuPeriod) return said('Nano CPUs', 'CPU Period');
  if (changes.NanoCpus && before.CpuQuota) return said('Nano CPUs', 'CPU Quota');
  if (changes.CpuPeriod && before.NanoCpus) return said('CPU Period', 'NanoCPUs');
  if (changes.CpuQuota && before.NanoCpus) return said('CPU Quota', 'NanoCPUs');
  return undefined;
}

function cannotUpdate(id: string, why: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `Cannot update container ${id}: ${why}`);
}

/** Clients send every field: 0 and '' mean that nothing was said. */
function given(asked: HostConfigChanges, { blockWeight }: Pick<Machine, 'blockWeight'>): HostConfigChanges {
  const entries = Object.entries(asked).filter(([key, value]) => {
    if (key === 'BlkioWeight' && !blockWeight) return false;
    if (key === 'RestartPolicy') return Boolean((value as HostConfig['RestartPolicy'])?.Name);
    return value !== undefined && value !== null && value !== 0 && value !== '';
  });
  const changes: HostConfigChanges = Object.fromEntries(entries);
  return (changes.PidsLimit ?? 0) < 0 ? { ...changes, PidsLimit: 0 } : changes;
}

function limitsOf(changes: HostConfigChanges): LimitChanges {
  const { quota, period } = cpuBandwidth(changes);
  const cpuQuota = changes.CpuQuota && changes.CpuQuota < 0 ? -1 : quota;
  return {
    ...(changes.Memory === undefined ? {} : { memory: changes.Memory }),
    ...(changes.MemorySwap === undefined ? {} : { memorySwap: changes.MemorySwap }),
    ...(changes.MemoryReservation === undefined ? {} : { memoryReservation: changes.MemoryReservation }),
    ...(changes.CpuShares === undefined ? {} : { cpuShares: changes.CpuShares }),
    ...(cpuQuota === undefined ? {} : { cpuQuotaUs: cpuQuota }),
    ...(period === undefined ? {} : { cpuPeriodUs: period }),
    ...(changes.CpusetCpus === undefined ? {} : { cpusetCpus: changes.CpusetCpus }),
    ...(changes.CpusetMems === undefined ? {} : { cpusetMems: changes.CpusetMems }),
    ...(typeof changes.PidsLimit === 'number' ? { pids: changes.PidsLimit || -1 } : {}),
    ...(changes.BlkioWeight ? { blockWeight: changes.BlkioWeight } : {}),
  };
}
