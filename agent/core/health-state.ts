import type { HealthConfig, HealthState } from './container-types.ts';

const NS_PER_MS = 1_000_000;
const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_START_INTERVAL_MS = 5_000;
const DEFAULT_RETRIES = 3;
const RESULTS_KEPT = 5;

/** A health check with Docker's defaults filled in. */
export interface HealthCheck {
  readonly command: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

export type HealthResult = HealthState['Log'][number];

const DEFAULT_SHELL = ['/bin/sh', '-c'];

/** Undefined when there is none, or it is switched off. */
export function healthCheckOf(
  config: HealthConfig | null | undefined,
  shell: readonly string[] | null | undefined,
): HealthCheck | undefined {
  const [kind, ...rest] = config?.Test ?? [];
  if (!config || kind === undefined || kind === 'NONE') return undefined;
  const ms = (value: number | undefined, otherwise: number): number =>
    value ? value / NS_PER_MS : otherwise;
  return {
    command: kind === 'CMD-SHELL' ? [...(shell ?? DEFAULT_SHELL), rest.join(' ')] : rest,
    intervalMs: ms(config.Interval, DEFAULT_INTERVAL_MS),
    timeoutMs: ms(config.Timeout, DEFAULT_TIMEOUT_MS),
    startPeriodMs: ms(config.StartPeriod, 0),
    startIntervalMs: ms(config.StartInterval, DEFAULT_START_INTERVAL_MS),
    retries: config.Retries || DEFAULT_RETRIES,
  };
}

export const STARTING: HealthState = { Status: 'starting', FailingStreak: 0, Log: [] };

/**
 * The state after one more result. Failures while a container is still starting do not count: within the start
 * period, until the first success.
 */
export function nextHealth(
  state: HealthState,
  result: HealthResult,
  check: HealthCheck,
  sinceStartMs: number,
): HealthState {
  const Log = [...state.Log, result].slice(-RESULTS_KEPT);
  if (result.ExitCode === 0) return { Status: 'healthy', FailingStreak: 0, Log };
  if (state.Status === 'starting' && sinceStartMs < check.startPeriodMs) return { ...state, Log };
  const FailingStreak = state.FailingStreak + 1;
  return { Status: FailingStreak >= check.retries ? 'unhealthy' : state.Status, FailingStreak, Log };
}

/** How long until the next look: more often while the container is starting. */
export function nextCheckMs(state: HealthState, check: HealthCheck, sinceStartMs: number): number {
  const starting = state.Status === 'starting' && sinceStartMs < check.startPeriodMs;
  return starting ? Math.min(check.startIntervalMs, check.intervalMs) : check.intervalMs;
}
