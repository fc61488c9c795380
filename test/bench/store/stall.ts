import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;
const NS_IN_MS = 1_000_000;
const US_IN_MS = 1_000;

/** The worst that happened to a loop. */
export interface Stall {
  /** It did not turn for so long, whoever had the processor. */
  readonly stallMs: number;
  /** It worked for so long without turning. */
  readonly workMs: number;
}

/** Watches the main loop from now on; the returned function ends it and says the worst. */
export function watchLoop(): () => Stall {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  let workUs = 0;
  let before = usedUs();
  const timer = setInterval(() => {
    const now = usedUs();
    workUs = Math.max(workUs, now - before);
    before = now;
  }, RESOLUTION_MS);
  return () => {
    delays.disable();
    clearInterval(timer);
    return { stallMs: Math.max(0, delays.max / NS_IN_MS - RESOLUTION_MS), workMs: workUs / US_IN_MS };
  };
}

/** What this thread has had of the processor. */
function usedUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}
