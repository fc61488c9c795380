/**
 * Time as a module: nothing else in the house reads a clock, so a whole cluster can run under a virtual one.
 */
export interface Clock {
  /** Milliseconds, never going backwards; for durations and deadlines. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch; for timestamps people read. */
  wallMs(): number;
  /** Resolves after `ms`, or rejects with the signal's reason; leaves no timer behind. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fire` once after `ms`; the returned function cancels it and may be called at any time. */
  timer(ms: number, fire: () => void): () => void;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
  timer(ms, fire) {
    const handle = setTimeout(fire, ms);
    return () => clearTimeout(handle);
  },
};

/** `Clock.sleep` in terms of `Clock.timer`, for every implementation of the seam. */
export function sleepOn(clock: Pick<Clock, 'timer'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const cancel = clock.timer(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
