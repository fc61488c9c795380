import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt } from '#deploy/local/run.ts';

const CONTROL_GROUPS = '/sys/fs/cgroup';
const END_MS_MAX = 5_000;
const POLL_MS = 20;

/**
 * Kills what an engine left running: processes with one of its paths (below `folder`) on their command line, and those
 * in its control group. Resolves when they are gone.
 */
export async function endProcesses(folder: string, group: string): Promise<void> {
  const untilMs = performance.now() + END_MS_MAX;
  for (;;) {
    const left = [...processesNaming(folder), ...processesIn(group)];
    if (left.length === 0) return;
    if (performance.now() > untilMs) throw new Error(`processes that do not end: ${left.join(' ')}`);
    for (const pid of left) killIfThere(pid);
    await sleep(POLL_MS);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Processes with a path below the folder on their command line. */
export function processesNaming(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) =>
      readIfThere(join('/proc', pid, 'cmdline'))
        .split('\0')
        .some((word) => word.startsWith(folder)),
    )
    .map(Number);
}

function processesIn(group: string): number[] {
  return foldersOf(group)
    .flatMap((folder) => readIfThere(join(folder, 'cgroup.procs')).split('\n'))
    .filter((line) => line !== '')
    .map(Number);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The group's folder in every hierarchy (version 1) or in the only one (version 2), with those within, innermost first. */
function foldersOf(group: string): string[] {
  const hierarchies = existsSync(join(CONTROL_GROUPS, 'cgroup.controllers'))
    ? [CONTROL_GROUPS]
    : readdirSync(CONTROL_GROUPS).map((name) => join(CONTROL_GROUPS, name));
  return hierarchies.map((hierarchy) => join(hierarchy, group)).flatMap(innermostFirst);
}

function innermostFirst(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const within = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...within.flatMap(({ name }) => innermostFirst(join(folder, name))), folder];
}

/** Removes a control group in which nothing runs any more, with those within. */
export function removeControlGroup(group: string): void {
  for (const folder of foldersOf(group)) rmdirSync(folder);
}

/** Unmounts everything below a folder, innermost first. */
export async function unmountBelow(folder: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`));
  for (const path of mounts.toReversed()) await attempt(['umount', '-l', path]);
}
