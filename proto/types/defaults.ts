import type { RestartPolicy, UpdateConfig } from './specs.ts';

const SECOND_NS = 1_000_000_000;

/** What an absent field of an update or rollback config means (Engine API, `insertDefaults`). */
export const UPDATE_DEFAULTS: Required<UpdateConfig> = {
  parallelism: 1,
  delayNs: 0,
  failureAction: 'pause',
  monitorNs: 5 * SECOND_NS,
  maxFailureRatio: 0,
  order: 'stop-first',
};

/** What an absent field of a restart policy means; window 0 = the life of the spec version, attempts 0 = no end. */
export const RESTART_DEFAULTS: Required<RestartPolicy> = {
  condition: 'any',
  delayNs: 5 * SECOND_NS,
  maxAttempts: 0,
  windowNs: 0,
};

export const STOP_GRACE_DEFAULT_NS = 10 * SECOND_NS;
