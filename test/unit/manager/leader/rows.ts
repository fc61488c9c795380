import type { ClusterId, NetworkId, NodeId } from '#proto/types/ids.ts';
import type { Cluster, Network, Node, Stored } from '#proto/types/objects.ts';
import type { NetworkSpec, NodeSpec } from '#proto/types/specs.ts';

type Unstored<T> = Omit<T, keyof Stored>;

export function clusterRow(): Unstored<Cluster> {
  return {
    id: 'cluster' as ClusterId,
    spec: {
      name: 'default',
      taskHistoryPerSlot: 5,
      snapshotEveryEntries: 10_000,
      logEntriesForSlowFollowers: 500,
      keepOldSnapshots: 0,
      electionTicks: 10,
      heartbeatTicks: 1,
      heartbeatPeriodNs: 5e9,
      nodeCertExpiryNs: 7_776e12,
      autoLockManagers: false,
    },
    rootCa: { certificate: '', digest: '' },
    joinSecrets: { worker: '', manager: '' },
    addressPools: ['10.0.0.0/8'],
    subnetBits: 24,
    meshPool: '100.64.0.0/10',
    dataPathPort: 4789,
    epoch: 0,
  };
}

export function networkRow(name: string, spec: Partial<NetworkSpec> = {}): Unstored<Network> {
  return { id: `net-${name}` as NetworkId, spec: { name, driver: 'overlay', ...spec } };
}

export function nodeRow(name: string, spec: Partial<NodeSpec> = {}): Unstored<Node> {
  return {
    id: name as NodeId,
    spec: { role: 'worker', availability: 'active', ...spec },
    role: 'worker',
    status: { state: 'ready', addr: '192.168.0.1' },
    description: {
      hostname: name,
      platform: { os: 'linux', architecture: 'x86_64' },
      resources: { nanoCpus: 8e9, memoryBytes: 8e9 },
      engine: { version: '1' },
      peerAddr: '',
      dataPathAddr: '192.168.0.1',
    },
  };
}
