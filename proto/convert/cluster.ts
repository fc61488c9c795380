import type * as wire from '../gen/shoal.ts';
import type { ClusterId } from '../types/ids.ts';
import type { Cluster, RootCa, Stored } from '../types/objects.ts';
import type { ClusterSpec } from '../types/specs.ts';
import { driver, storedObject } from './common.ts';
import {
  type Converter,
  flag,
  id,
  int64,
  list,
  optional,
  shape,
  text,
  textMap,
  uint32,
  uint64,
} from './shape.ts';

export const clusterSpec = shape<ClusterSpec, wire.ClusterSpec>('cluster spec', {
  name: text,
  labels: optional(textMap),
  taskHistoryPerSlot: uint64,
  snapshotEveryEntries: uint64,
  logEntriesForSlowFollowers: uint64,
  keepOldSnapshots: uint64,
  electionTicks: uint32,
  heartbeatTicks: uint32,
  heartbeatPeriodNs: int64,
  nodeCertExpiryNs: int64,
  autoLockManagers: flag,
  defaultLogDriver: optional(driver),
});

const rootCa = shape<RootCa, wire.RootCa>('root CA', {
  certificate: text,
  key: optional(text),
  digest: text,
});

type Flat = Omit<Cluster, keyof Stored | 'joinSecrets'>;

const flat = shape<Flat, Omit<wire.Cluster, 'stored' | 'workerJoinSecret' | 'managerJoinSecret'>>('cluster', {
  id: id<ClusterId>(),
  spec: clusterSpec,
  rootCa,
  addressPools: list(text),
  subnetBits: uint32,
  meshPool: text,
  dataPathPort: uint32,
  epoch: uint32,
  unlockKey: optional(text),
});

/** A cluster as a writer gives it. */
export const unstoredCluster: Converter<Omit<Cluster, keyof Stored>, Omit<wire.Cluster, 'stored'>> = {
  toWire: (cluster) => ({
    ...flat.toWire(cluster),
    workerJoinSecret: cluster.joinSecrets.worker,
    managerJoinSecret: cluster.joinSecrets.manager,
  }),
  fromWire: (message) =>
    Object.freeze({
      ...flat.fromWire(message),
      joinSecrets: Object.freeze({ worker: message.workerJoinSecret, manager: message.managerJoinSecret }),
    }),
};

export const cluster = storedObject<Cluster, wire.Cluster>('cluster', unstoredCluster);
