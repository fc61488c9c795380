import type { ContainerConfig, HostConfig } from './container-types.ts';

const FIRST_DELAY_MS = 100;
const DELAY_MS_MAX = 60_000;
/** A run of at least this long counts as a good one: the next restart is quick again. */
const GOOD_RUN_MS = 10_000;

export type RestartPolicy = NonNullable<HostConfig['RestartPolicy']>;

/** One end of a container, as far as starting it again is concerned. */
export interface Ended {
  readonly exitCode: number;
  /** Restarts by its policy so far. */
  readonly restartCount: number;
  readonly stoppedByUser: boolean;
}

/** Whether a container that has ended is to be started again by itself. */
export function restarts(policy: RestartPolicy | undefined, ended: Ended): boolean {
  if (ended.stoppedByUser) return false;
  switch (policy?.Name) {
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure': {
      const max = policy.MaximumRetryCount ?? 0;
      return ended.exitCode !== 0 && (max === 0 || ended.restartCount < max);
    }
    default:
      return false;
  }
}

/** Whether a container that does not run is to be started when the engine starts. */
export function startsWithEngine(
  policy: RestartPolicy | undefined,
  last: Ended & { readonly everStarted: boolean },
): boolean {
  if (!last.everStarted) return false;
  if (policy?.Name === 'always') return true;
  return restarts(policy, last);
}

/** How long to wait before the next start: doubling, until a run was long enough to be called good. */
export function restartDelayMs(lastDelayMs: number, ranMs: number): number {
  if (lastDelayMs === 0 || ranMs >= GOOD_RUN_MS) return FIRST_DELAY_MS;
  return Math.min(lastDelayMs * 2, DELAY_MS_MAX);
}

/** Docker's default signal and patience of `docker stop`. */
export function stopDefaults(config: ContainerConfig): { signal: string; graceMs: number } {
  return {
    signal: config.StopSignal || 'SIGTERM',
    graceMs: (config.StopTimeout ?? 10) * 1000,
  };
}
