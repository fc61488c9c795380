import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Share of the machine's processors in use below which it counts as quiet. */
const QUIET_BELOW = 0.3;
const LOOK_MS = 500;

/** Waits until the machine has little else to do; false when it still had after `msMax`. */
export async function untilQuiet(msMax: number, signal: AbortSignal): Promise<boolean> {
  const untilMs = performance.now() + msMax;
  do {
    const before = cpuTimes();
    await sleep(LOOK_MS, undefined, { signal });
    if (busyBetween(before, cpuTimes()) < QUIET_BELOW) return true;
  } while (performance.now() < untilMs);
  return false;
}

/** How busy the machine has been over the last minutes, for the record of a measurement. */
export function loadNote(): string {
  const [one, five] = loadavg();
  return `load ${one?.toFixed(2)} over 1 minute, ${five?.toFixed(2)} over 5, on ${cpus().length} processors`;
}

interface CpuTimes {
  readonly idle: number;
  readonly total: number;
}

/** The first line of /proc/stat: user nice system idle iowait irq softirq steal, in ticks since the start. */
function cpuTimes(): CpuTimes {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), total: ticks.reduce((sum, tick) => sum + tick, 0) };
}

function busyBetween(before: CpuTimes, after: CpuTimes): number {
  return 1 - (after.idle - before.idle) / Math.max(1, after.total - before.total);
}
