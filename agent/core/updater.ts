import { ShoalError } from '#proto/base/errors.ts';
import { emitContainer } from './container-events.ts';
import type { HostConfig } from './container-types.ts';
import { changeLimits, type LimitChanges } from './linux/cgroup-update.ts';
import { cpuBandwidth } from './oci/resources.ts';
import type { EngineParts } from './parts.ts';
import { checkPolicy, checkResources } from './settings.ts';
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

  async update(idOrName: string, asked: HostConfigChanges): Promise<void> {
    const container = this.#parts.containers.find(idOrName);
    await container.lock.run(async () => {
      const changes = given(asked);
      const before = container.spec.hostConfig;
      const hostConfig: HostConfig = { ...before, ...changes };
      this.#check(before, hostConfig, changes);
      if (container.hasProcess) changeLimits(this.#starter.cgroup(container.spec), limitsOf(changes));
      container.updateSpec({ hostConfig });
      emitContainer(this.#parts.events, container, 'update');
    });
  }

  #check(before: HostConfig, after: HostConfig, changes: HostConfigChanges): void {
    if (changes.RestartPolicy) {
      if (before.AutoRemove && changes.RestartPolicy.Name !== 'no')
        throw new ShoalError(
          'INVALID_ARGUMENT',
          'Restart policy cannot be updated because AutoRemove is enabled for the container',
        );
      checkPolicy(after);
    }
    const { Memory: memory = 0, MemorySwap: swap } = changes;
    const oldSwap = before.MemorySwap ?? 0;
    if (memory > 0 && swap === undefined && oldSwap > 0 && memory > oldSwap)
      throw new ShoalError(
        'INTERNAL',
        'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
      );
    checkResources(after, this.#parts.machine);
  }
}

/** Clients send every field: 0 and '' mean that nothing was said. */
function given(asked: HostConfigChanges): HostConfigChanges {
  const entries = Object.entries(asked).filter(([key, value]) => {
    if (key === 'RestartPolicy') return Boolean((value as HostConfig['RestartPolicy'])?.Name);
    return value !== undefined && value !== null && value !== 0 && value !== '';
  });
  return Object.fromEntries(entries);
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
    ...(changes.PidsLimit ? { pids: changes.PidsLimit < 0 ? -1 : changes.PidsLimit } : {}),
  };
}
