import { readFileSync, writeFileSync } from 'node:fs';

/** One process rather than a number: pids are used again, and the start time (clock ticks since boot) tells. */
export interface ProcessRef {
  readonly pid: number;
  readonly startTime: number;
}

/** The process that has this pid now; undefined when there is none, or only a zombie. */
export function processRef(pid: number): ProcessRef | undefined {
  const fields = statFields(pid);
  if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, startTime: Number(fields[19]) };
}

export function isAlive(process: ProcessRef): boolean {
  return processRef(process.pid)?.startTime === process.startTime;
}

/** Sends a signal, by number or name, to that very process; false when it is gone. */
export function signalProcess(target: ProcessRef, signal: number | NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  return signalPid(target.pid, signal);
}

/** Sends a signal to whoever has this pid; false when nobody has. */
export function signalPid(pid: number, signal: number | NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** From -1000, the kernel never ends it for want of memory, to 1000, it is the first. Below what it is takes a right. */
export function setOomScore(pid: number, score: number): void {
  writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
}

/** The file that stands for a namespace (net, pid, ipc …) of a process. */
export function namespaceFile(pid: number, kind: string): string {
  return `/proc/${pid}/ns/${kind}`;
}

/** The root folder as a process sees it. */
export function rootOf(pid: number): string {
  return `/proc/${pid}/root`;
}

/** Fields of /proc/PID/stat from the third (state) on; the second, a name, may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
