import { existsSync, readFileSync } from 'node:fs';
import { cpus, hostname, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { capabilityName } from './capability-names.ts';
import type { CgroupLayout } from './cgroup-layout.ts';

/** What this machine and this process can give a container. */
export interface Machine {
  readonly hostname: string;
  readonly kernel: string;
  readonly os: string;
  readonly architecture: string;
  readonly cpus: number;
  /** CPUs and memory nodes that may be used, as the kernel lists them: `0-3`. */
  readonly usable: { readonly cpus: string; readonly mems: string };
  readonly memoryBytes: number;
  readonly bootId: string;
  /** Capabilities that this process may pass on. */
  readonly capabilities: ReadonlySet<string>;
  /** Hard limits of this process by the names of ulimit (nofile, nproc …); absent: unlimited. */
  readonly hardLimits: Readonly<Record<string, number>>;
  readonly cgroupVersion: 1 | 2;
  /** The kernel limits memory and swap together (version 1: only with swap accounting). */
  readonly swapLimit: boolean;
  /** The kernel shares block devices by weight (version 1: only with a scheduler that does). */
  readonly blockWeight: boolean;
  readonly seccomp: boolean;
}

export function readMachine(layout: CgroupLayout): Machine {
  return {
    hostname: hostname(),
    kernel: release(),
    os: osName(),
    architecture: process.arch === 'x64' ? 'x86_64' : process.arch === 'arm64' ? 'aarch64' : process.arch,
    cpus: cpus().length,
    usable: usableSets(layout),
    memoryBytes: totalmem(),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
    capabilities: ownCapabilities(),
    hardLimits: ownHardLimits(),
    cgroupVersion: layout.version,
    swapLimit: layout.version === 2 || hasFile(layout, 'memory', 'memory.memsw.limit_in_bytes'),
    blockWeight: layout.version === 2 || hasFile(layout, 'blkio', 'blkio.weight'),
    seccomp: existsSync('/proc/sys/kernel/seccomp/actions_avail'),
  };
}

function hasFile({ rootOf }: CgroupLayout, controller: string, file: string): boolean {
  const root = rootOf.get(controller);
  return root !== undefined && existsSync(join(root, file));
}

/** Where the kernel can't share them out all are usable. */
function usableSets({ version, roots, rootOf }: CgroupLayout): Machine['usable'] {
  const folder = version === 2 ? roots[0] : rootOf.get('cpuset');
  const suffix = version === 2 ? '.effective' : '';
  const read = (name: string, otherwise: string): string => {
    const file = join(folder ?? '', `cpuset.${name}${suffix}`);
    return folder !== undefined && existsSync(file) ? readFileSync(file, 'latin1').trim() : otherwise;
  };
  return { cpus: read('cpus', `0-${cpus().length - 1}`), mems: read('mems', '0') };
}

function osName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}

function ownCapabilities(): Set<string> {
  const status = readFileSync('/proc/self/status', 'latin1');
  const bits = BigInt(`0x${/^CapPrm:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const names = Array.from({ length: 64 }, (_all, bit) =>
    (bits >> BigInt(bit)) & 1n ? capabilityName(bit) : '',
  );
  return new Set(names.filter((name) => name !== ''));
}

const LIMIT_NAMES: Readonly<Record<string, string>> = {
  'Max cpu time': 'cpu',
  'Max file size': 'fsize',
  'Max data size': 'data',
  'Max stack size': 'stack',
  'Max core file size': 'core',
  'Max resident set': 'rss',
  'Max processes': 'nproc',
  'Max open files': 'nofile',
  'Max locked memory': 'memlock',
  'Max address space': 'as',
  'Max file locks': 'locks',
  'Max pending signals': 'sigpending',
  'Max msgqueue size': 'msgqueue',
  'Max nice priority': 'nice',
  'Max realtime priority': 'rtprio',
  'Max realtime timeout': 'rttime',
};

function ownHardLimits(): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const line of readFileSync('/proc/self/limits', 'latin1').split('\n').slice(1)) {
    const name = LIMIT_NAMES[line.slice(0, 26).trim()];
    const hard = line.slice(26).trim().split(/\s+/)[1];
    if (name !== undefined && hard !== undefined && hard !== 'unlimited') limits[name] = Number(hard);
  }
  return limits;
}
