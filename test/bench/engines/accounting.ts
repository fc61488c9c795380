import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { processesNaming } from './leftovers.ts';

const CONTROL_GROUPS = '/sys/fs/cgroup';
const isUnified = existsSync(join(CONTROL_GROUPS, 'cgroup.controllers'));

function groupFolder(group: string): string {
  return isUnified ? join(CONTROL_GROUPS, group) : join(CONTROL_GROUPS, 'cpuacct', group);
}

/** Makes a group, and the processes given and all they have started so far count for it. Gives its folder. */
export async function enterControlGroup(group: string, ...pids: number[]): Promise<string> {
  const folder = groupFolder(group);
  await mkdir(folder, { recursive: true });
  for (const pid of pids.flatMap((parent) => [parent, ...descendantsOf(parent)]))
    await writeFile(join(folder, 'cgroup.procs'), String(pid));
  return folder;
}

/** Processor time of all that is and was in the group or within it: milliseconds. */
export function cpuMsOf(group: string): number {
  const read = (file: string): string => readFileSync(join(groupFolder(group), file), 'utf8');
  if (!isUnified) return Number(read('cpuacct.usage')) / 1e6;
  return Number(/^usage_usec (\d+)$/m.exec(read('cpu.stat'))?.[1]) / 1000;
}

/**
 * Memory of an engine whose paths, its pid file among them, are in `folder`, without that of the containers' own processes: MiB. `pss`: a page
 * that several processes share counts once, in parts; `rss`: it counts for each.
 */
export function memoryMibOf(folder: string): { readonly pss: number; readonly rss: number } {
  const daemon = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  const pids = new Set([...processesNaming(folder), ...childrenOf(daemon)]);
  const sum = (name: string): number =>
    [...pids].map((pid) => kbOf(pid, name)).reduce((total, kb) => total + kb, 0) / 1024;
  return { pss: sum('Pss'), rss: sum('Rss') };
}

function kbOf(pid: number, name: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text
      .split(' ')
      .filter((word) => word.trim() !== '')
      .map(Number);
  } catch {
    return [];
  }
}
