import { LIMITS } from '#proto/base/limits.ts';
import type { ClusterSpec } from '#proto/types/specs.ts';

const NS_PER_MS = 1_000_000;
const DAY_NS = 24 * 3_600_000 * NS_PER_MS;

/** The one name a cluster may have. */
export const CLUSTER_NAME = 'default';

/** What a new cluster's settings are where nobody asks for others (Swarm's). */
export const CLUSTER_DEFAULTS: ClusterSpec = {
  name: CLUSTER_NAME,
  taskHistoryPerSlot: LIMITS.taskHistoryPerSlot,
  snapshotEveryEntries: LIMITS.snapshotEveryEntries,
  logEntriesForSlowFollowers: LIMITS.logEntriesForSlowFollowers,
  keepOldSnapshots: 0,
  electionTicks: 10,
  heartbeatTicks: 1,
  heartbeatPeriodNs: LIMITS.heartbeatPeriodMs * NS_PER_MS,
  nodeCertExpiryNs: 90 * DAY_NS,
  autoLockManagers: false,
};

/** Where a new cluster's networks and ports come from, likewise. */
export const SWARM_DEFAULTS = {
  listenAddr: '0.0.0.0:2377',
  addressPools: ['10.0.0.0/8'],
  subnetBits: 24,
  dataPathPort: 4789,
} as const;
