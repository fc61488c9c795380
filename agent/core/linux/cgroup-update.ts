import type { Cgroup } from './cgroup.ts';

/** New limits of a running container; what is absent stays as it is. */
export interface LimitChanges {
  readonly memory?: number;
  /** Memory and swap together; -1: unlimited. */
  readonly memorySwap?: number;
  readonly memoryReservation?: number;
  readonly cpuShares?: number;
  readonly cpuPeriodUs?: number;
  /** -1: unlimited. */
  readonly cpuQuotaUs?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** -1: unlimited. */
  readonly pids?: number;
  /** Share of block devices, 10 to 1000. */
  readonly blockWeight?: number;
}

/** Changes the limits of a running group. A kernel's refusal (EBUSY: more is in use already) is thrown. */
export function changeLimits(group: Cgroup, changes: LimitChanges): void {
  if (group.layout.version === 2) changeV2(group, changes);
  else changeV1(group, changes);
}

function changeV1(group: Cgroup, changes: LimitChanges): void {
  const set = (controller: string, file: string, value: number | string | undefined): void => {
    if (value !== undefined) group.write(controller, file, String(value));
  };
  changeMemoryV1(group, changes);
  set('memory', 'memory.soft_limit_in_bytes', changes.memoryReservation);
  set('cpu', 'cpu.shares', changes.cpuShares);
  set('cpu', 'cpu.cfs_period_us', changes.cpuPeriodUs);
  set('cpu', 'cpu.cfs_quota_us', changes.cpuQuotaUs);
  set('cpuset', 'cpuset.cpus', changes.cpusetCpus);
  set('cpuset', 'cpuset.mems', changes.cpusetMems);
  set('pids', 'pids.max', changes.pids === -1 ? 'max' : changes.pids);
  set('blkio', 'blkio.weight', changes.blockWeight);
}

/** The kernel keeps "memory" at or below "memory and swap" at every moment: the order depends on the direction. */
function changeMemoryV1(group: Cgroup, { memory, memorySwap }: LimitChanges): void {
  const before = Number(group.read('memory', 'memory.memsw.limit_in_bytes') ?? Number.NaN);
  const both = Number.isNaN(before) ? undefined : memorySwap;
  const writes: [string, number | undefined][] = [
    ['memory.memsw.limit_in_bytes', both],
    ['memory.limit_in_bytes', memory],
  ];
  const raising = both !== undefined && (both === -1 || both > before);
  for (const [file, value] of raising ? writes : writes.reverse())
    if (value !== undefined) group.write('memory', file, String(value));
}

function changeV2(group: Cgroup, changes: LimitChanges): void {
  const { memory, memorySwap, cpuQuotaUs, cpuPeriodUs } = changes;
  const set = (file: string, value: number | string | undefined): void => {
    if (value !== undefined) group.write('', file, String(value));
  };
  if (memorySwap !== undefined)
    set('memory.swap.max', memorySwap === -1 ? 'max' : Math.max(0, memorySwap - (memory ?? limitNow(group))));
  set('memory.max', memory);
  set('memory.low', changes.memoryReservation);
  set('cpu.weight', changes.cpuShares === undefined ? undefined : weightOf(changes.cpuShares));
  if (cpuQuotaUs !== undefined || cpuPeriodUs !== undefined) {
    const [quota = 'max', period = '100000'] = (group.read('', 'cpu.max') ?? '').split(' ');
    set(
      'cpu.max',
      `${cpuQuotaUs === undefined ? quota : cpuQuotaUs < 0 ? 'max' : cpuQuotaUs} ${cpuPeriodUs ?? period}`,
    );
  }
  set('cpuset.cpus', changes.cpusetCpus);
  set('cpuset.mems', changes.cpusetMems);
  set('pids.max', changes.pids === -1 ? 'max' : changes.pids);
  if (changes.blockWeight !== undefined) changeBlockWeightV2(group, changes.blockWeight);
}

/** A machine's scheduler may take weights as they are; else they are 1 to 10,000, by the OCI runtime's own formula. */
function changeBlockWeightV2(group: Cgroup, weight: number): void {
  if (group.read('', 'io.bfq.weight') !== undefined) group.write('', 'io.bfq.weight', String(weight));
  else group.write('', 'io.weight', String(1 + Math.floor(((weight - 10) * 9999) / 990)));
}

function limitNow(group: Cgroup): number {
  const text = group.read('', 'memory.max') ?? 'max';
  return text === 'max' ? 0 : Number(text);
}

/** Shares of 2 to 262,144 as weights of 1 to 10,000, by the OCI runtime's own formula. */
function weightOf(shares: number): number {
  return Math.floor(1 + ((shares - 2) * 9999) / 262_142);
}
