import type { Clock } from '#proto/base/clock.ts';

export interface RestingModules {
  readonly clock: Pick<Clock, 'timer'>;
  /** Processor time of this process until now. */
  readonly cpuMs: () => number;
  /** Called when the process rests: gives back what it does not need for that. */
  readonly giveBack: () => void;
  /** Called now and then while the process works: gives back what the allocator holds and nobody uses. */
  readonly trim: () => void;
}

const LOOK_MS = 4_000;
/** Less than this in one look is rest: a manager of a cluster in which nothing happens takes half of it. */
const REST_CPU_MS_MAX = 200;
/** So much work is worth another clean-up. */
const WORK_CPU_MS_MIN = 1_000;
/** After so much work, what was freed in small pieces is worth giving back, though there is no rest. */
const TRIM_CPU_MS_MIN = 5_000;

/**
 * Has memory given back when the daemon rests after its start, and again when it rests after it has worked; a little of it
 * while it works and never rests.
 */
export function giveBackWhenResting({ clock, cpuMs, giveBack, trim }: RestingModules): Disposable {
  let sinceMs = Number.NEGATIVE_INFINITY;
  let lastMs = cpuMs();
  let trimmedMs = lastMs;
  const look = (): void => {
    const nowMs = cpuMs();
    const rests = nowMs - lastMs < REST_CPU_MS_MAX;
    if (rests && nowMs - sinceMs >= WORK_CPU_MS_MIN) {
      giveBack();
      sinceMs = cpuMs();
      trimmedMs = sinceMs;
    } else if (!rests && nowMs - trimmedMs >= TRIM_CPU_MS_MIN) {
      trim();
      trimmedMs = nowMs;
    }
    lastMs = cpuMs();
    cancel = clock.timer(LOOK_MS, look);
  };
  let cancel = clock.timer(LOOK_MS, look);
  return { [Symbol.dispose]: () => cancel() };
}

/** Larger heaps, a big cluster's, are left to V8: collecting them at once would stop the daemon for long. */
const COLLECTED_BYTES_MAX = 64 * 1024 * 1024;

/** Collects all garbage now, where the launcher has allowed for it. */
export function collectGarbage(): void {
  const collect = (globalThis as { gc?: (opts: object) => void }).gc;
  if (process.memoryUsage().heapUsed > COLLECTED_BYTES_MAX) return;
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** Processor time of this process until now. */
export function cpuMsOfProcess(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
