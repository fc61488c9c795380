import type { Cluster } from '#proto/types/objects.ts';
import type { ClusterSpec } from '#proto/types/specs.ts';
import { joinToken } from '../../ca/tokens.ts';
import { SWARM_DEFAULTS } from '../../control/cluster-defaults.ts';
import { sameValue } from '../../store/same.ts';
import {
  count,
  decodeBody,
  givenCount,
  givenFlag,
  givenWhole,
  object,
  shown,
  text,
  textMap,
  whole,
} from './fields.ts';
import { driver } from './task-spec.ts';
import { metaView } from './time.ts';
import { tlsInfo } from './tls-info.ts';

/** The settings of a swarm as the API groups them. */
export interface WireSpec {
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly orchestration?: Pick<Partial<ClusterSpec>, 'taskHistoryPerSlot'>;
  readonly raft?: Pick<
    Partial<ClusterSpec>,
    | 'snapshotEveryEntries'
    | 'keepOldSnapshots'
    | 'logEntriesForSlowFollowers'
    | 'electionTicks'
    | 'heartbeatTicks'
  >;
  readonly dispatcher?: Pick<Partial<ClusterSpec>, 'heartbeatPeriodNs'>;
  readonly ca?: Pick<Partial<ClusterSpec>, 'nodeCertExpiryNs'>;
  readonly defaults?: Pick<ClusterSpec, 'defaultLogDriver'>;
  readonly encryption?: Pick<Partial<ClusterSpec>, 'autoLockManagers'>;
}

export const swarmSpec = object<WireSpec>({
  name: ['Name', text],
  labels: ['Labels', shown(textMap, {})],
  orchestration: [
    'Orchestration',
    object<NonNullable<WireSpec['orchestration']>>({
      taskHistoryPerSlot: ['TaskHistoryRetentionLimit', givenWhole],
    }),
  ],
  raft: [
    'Raft',
    object<NonNullable<WireSpec['raft']>>({
      snapshotEveryEntries: ['SnapshotInterval', count],
      keepOldSnapshots: ['KeepOldSnapshots', givenCount],
      logEntriesForSlowFollowers: ['LogEntriesForSlowFollowers', count],
      electionTicks: ['ElectionTick', count],
      heartbeatTicks: ['HeartbeatTick', count],
    }),
  ],
  dispatcher: [
    'Dispatcher',
    object<NonNullable<WireSpec['dispatcher']>>({ heartbeatPeriodNs: ['HeartbeatPeriod', whole] }),
  ],
  ca: [
    'CAConfig',
    object<NonNullable<WireSpec['ca']>>(
      { nodeCertExpiryNs: ['NodeCertExpiry', whole] },
      {
        refused: {
          ExternalCAs: 'external certificate authorities',
          SigningCACert: 'roots that are brought along',
          SigningCAKey: 'roots that are brought along',
          ForceRotate: 'rotations of the root',
        },
      },
    ),
  ],
  defaults: [
    'TaskDefaults',
    object<NonNullable<WireSpec['defaults']>>({ defaultLogDriver: ['LogDriver', driver] }),
  ],
  encryption: [
    'EncryptionConfig',
    object<NonNullable<WireSpec['encryption']>>({ autoLockManagers: ['AutoLockManagers', givenFlag] }),
  ],
});

/** What of a swarm's settings is asked for; the rest stays as it is. */
export type SwarmSpecRequest = Partial<ClusterSpec>;

/** The body of POST /swarm/update. */
export function swarmSpecRequest(body: unknown): SwarmSpecRequest {
  return flat(decodeBody(swarmSpec, body));
}

/** The same without the groups. */
export function flat(spec: WireSpec): SwarmSpecRequest {
  const { name, labels, orchestration, raft, dispatcher, ca, defaults, encryption } = spec;
  return {
    ...(name !== undefined && { name }),
    ...(labels !== undefined && { labels }),
    ...orchestration,
    ...raft,
    ...dispatcher,
    ...ca,
    ...defaults,
    ...encryption,
  };
}

function swarmSpecView(spec: ClusterSpec): unknown {
  const { name, labels, taskHistoryPerSlot, heartbeatPeriodNs, nodeCertExpiryNs } = spec;
  const { snapshotEveryEntries, keepOldSnapshots, logEntriesForSlowFollowers } = spec;
  const { electionTicks, heartbeatTicks, defaultLogDriver, autoLockManagers } = spec;
  return swarmSpec.encode({
    name,
    ...(labels && { labels }),
    orchestration: { taskHistoryPerSlot },
    raft: {
      snapshotEveryEntries,
      keepOldSnapshots,
      logEntriesForSlowFollowers,
      electionTicks,
      heartbeatTicks,
    },
    dispatcher: { heartbeatPeriodNs },
    ca: { nodeCertExpiryNs },
    defaults: defaultLogDriver ? { defaultLogDriver } : {},
    encryption: { autoLockManagers },
  });
}

/** The swarm as GET /info shows it. */
export function clusterView(cluster: Cluster): Record<string, unknown> {
  return {
    ID: cluster.id,
    ...metaView(cluster),
    Spec: swarmSpecView(cluster.spec),
    TLSInfo: tlsInfo(cluster.rootCa.certificate),
    RootRotationInProgress: false,
    DefaultAddrPool: isDefaultPool(cluster) ? null : [...cluster.addressPools],
    SubnetSize: cluster.subnetBits,
    DataPathPort: cluster.dataPathPort,
  };
}

/** Docker names pools only where somebody chose them. */
function isDefaultPool({ addressPools }: Cluster): boolean {
  return sameValue(addressPools, SWARM_DEFAULTS.addressPools);
}

/** The swarm as GET /swarm shows it: with the tokens to join it. */
export function swarmView(cluster: Cluster): Record<string, unknown> {
  return {
    ...clusterView(cluster),
    JoinTokens: { Worker: joinToken(cluster, 'worker'), Manager: joinToken(cluster, 'manager') },
  };
}
