import type { Cgroup } from './cgroup.ts';

export interface BlockIo {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
}

/** What a control group has used. Times in nanoseconds, sizes in bytes. */
export interface CgroupStats {
  readonly cpu: {
    readonly totalNs: number;
    readonly userNs: number;
    readonly kernelNs: number;
    readonly perCpuNs?: readonly number[];
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly memory: {
    readonly usage: number;
    /** 0: none. */
    readonly limit: number;
    readonly maxUsage?: number;
    readonly failures?: number;
    readonly stats: Readonly<Record<string, number>>;
  };
  readonly pids: { readonly current: number; readonly limit?: number };
  readonly blockIo: readonly BlockIo[];
}

export function readCgroupStats(group: Cgroup): CgroupStats {
  return group.layout.version === 2 ? statsV2(group) : statsV1(group);
}

function statsV2(group: Cgroup): CgroupStats {
  const cpu = keyed(group.read('cpu', 'cpu.stat'));
  return {
    cpu: {
      totalNs: (cpu['usage_usec'] ?? 0) * 1000,
      userNs: (cpu['user_usec'] ?? 0) * 1000,
      kernelNs: (cpu['system_usec'] ?? 0) * 1000,
      periods: cpu['nr_periods'] ?? 0,
      throttledPeriods: cpu['nr_throttled'] ?? 0,
      throttledNs: (cpu['throttled_usec'] ?? 0) * 1000,
    },
    memory: {
      usage: Number(group.read('memory', 'memory.current') ?? 0),
      limit: limited(group.read('memory', 'memory.max')),
      stats: keyed(group.read('memory', 'memory.stat')),
    },
    pids: pidsOf(group),
    blockIo: blockIoV2(group.read('io', 'io.stat') ?? ''),
  };
}

function statsV1(group: Cgroup): CgroupStats {
  const throttling = keyed(group.read('cpu', 'cpu.stat'));
  const percpu = group.read('cpuacct', 'cpuacct.usage_percpu');
  return {
    cpu: {
      totalNs: Number(group.read('cpuacct', 'cpuacct.usage') ?? 0),
      userNs: Number(group.read('cpuacct', 'cpuacct.usage_user') ?? 0),
      kernelNs: Number(group.read('cpuacct', 'cpuacct.usage_sys') ?? 0),
      ...(percpu === undefined ? {} : { perCpuNs: percpu.split(' ').map(Number) }),
      periods: throttling['nr_periods'] ?? 0,
      throttledPeriods: throttling['nr_throttled'] ?? 0,
      throttledNs: throttling['throttled_time'] ?? 0,
    },
    memory: {
      usage: Number(group.read('memory', 'memory.usage_in_bytes') ?? 0),
      limit: limited(group.read('memory', 'memory.limit_in_bytes')),
      maxUsage: Number(group.read('memory', 'memory.max_usage_in_bytes') ?? 0),
      failures: Number(group.read('memory', 'memory.failcnt') ?? 0),
      stats: keyed(group.read('memory', 'memory.stat')),
    },
    pids: pidsOf(group),
    blockIo: blockIoV1(group.read('blkio', 'blkio.throttle.io_service_bytes') ?? ''),
  };
}

/** Version 1 has no word for "no limit": it is the largest number of pages. */
const UNLIMITED_V1 = 2 ** 62;

function limited(value: string | undefined): number {
  const bytes = Number(value ?? 'max');
  return Number.isFinite(bytes) && bytes < UNLIMITED_V1 ? bytes : 0;
}

function pidsOf(group: Cgroup): CgroupStats['pids'] {
  const limit = Number(group.read('pids', 'pids.max') ?? 'max');
  return {
    current: Number(group.read('pids', 'pids.current') ?? 0),
    ...(Number.isFinite(limit) ? { limit } : {}),
  };
}

function keyed(text: string | undefined): Record<string, number> {
  const pairs = (text ?? '').split('\n').map((line) => line.split(' '));
  return Object.fromEntries(
    pairs.filter((pair) => pair.length === 2).map(([key, value]) => [key, Number(value)]),
  );
}

/** Lines `8:0 Read 4096`. */
function blockIoV1(text: string): BlockIo[] {
  return [...text.matchAll(/^(\d+):(\d+) (\w+) (\d+)$/gm)].map(([, major, minor, op, value]) => ({
    major: Number(major),
    minor: Number(minor),
    op: (op as string).toLowerCase(),
    value: Number(value),
  }));
}

/** Lines `8:0 rbytes=4096 wbytes=0 rios=…`. */
function blockIoV2(text: string): BlockIo[] {
  return [...text.matchAll(/^(\d+):(\d+) rbytes=(\d+) wbytes=(\d+)/gm)].flatMap(
    ([, major, minor, read, write]) => {
      const device = { major: Number(major), minor: Number(minor) };
      return [
        { ...device, op: 'read', value: Number(read) },
        { ...device, op: 'write', value: Number(write) },
      ];
    },
  );
}
