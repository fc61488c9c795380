import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;
const NS_IN_MS = 1_000_000;

/** Measures how long the main loop does not turn, from now on; the returned function ends it and says the worst. */
export function watchLoop(): () => number {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  return () => {
    delays.disable();
    return Math.max(0, delays.max / NS_IN_MS - RESOLUTION_MS);
  };
}
