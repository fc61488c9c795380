import { newPrivateKey, signingRequest } from '#agent/session/keys.ts';
import { issueCertificate, nodeIdOf, requestedKey } from '#manager/ca/issue.ts';
import { createRootCa } from '#manager/ca/root.ts';
import { newJoinSecrets } from '#manager/ca/tokens.ts';
import { systemClock } from '#proto/base/clock.ts';
import { systemRandom } from '#proto/base/random.ts';
import { HeldIdentity } from '#proto/rpc/identity.ts';
import type { PeerIdentity } from '#proto/rpc/types.ts';
import { type ClusterId, newId } from '#proto/types/ids.ts';
import type { Cluster, RootCa, Stored } from '#proto/types/objects.ts';
import type { NodeRole } from '#proto/types/states.ts';

const DAY_MS = 24 * 3_600_000;
const MS_NS = 1_000_000;

/** A node of a test: who it is, and the identity that shows it. */
export interface TestNode extends PeerIdentity {
  readonly identity: HeldIdentity;
}

/** A cluster's root, as far as certificates go. */
export interface TestCa {
  readonly root: RootCa;
  readonly clusterId: ClusterId;
  /** A new node. `ageMs`: how long ago its certificate of 90 days was issued. */
  node(role: NodeRole, ageMs?: number): Promise<TestNode>;
}

/** A new root; with `clusterId`, another root of the same cluster. */
export async function testCa(clusterId = newId<'cluster'>(systemRandom)): Promise<TestCa> {
  const modules = { clock: systemClock, random: systemRandom };
  const root = await createRootCa(modules);
  return {
    root,
    clusterId,
    async node(role, ageMs = 0) {
      const key = newPrivateKey();
      const publicKey = await requestedKey(await signingRequest(key));
      const peer = { nodeId: nodeIdOf(publicKey), role, clusterId };
      const clock = { wallMs: () => systemClock.wallMs() - ageMs };
      const subject = { ...peer, lifetimeMs: 90 * DAY_MS };
      const { certificate } = await issueCertificate(root, subject, publicKey, { ...modules, clock });
      return { ...peer, identity: new HeldIdentity({ certificate, key, roots: root.certificate }) };
    },
  };
}

/** The cluster row that goes with a root, as `swarm init` would make it. */
export function clusterRow({ root, clusterId }: TestCa): Omit<Cluster, keyof Stored> {
  return {
    id: clusterId,
    spec: {
      name: 'default',
      taskHistoryPerSlot: 5,
      snapshotEveryEntries: 10_000,
      logEntriesForSlowFollowers: 500,
      keepOldSnapshots: 0,
      electionTicks: 10,
      heartbeatTicks: 1,
      heartbeatPeriodNs: 5_000 * MS_NS,
      nodeCertExpiryNs: 90 * DAY_MS * MS_NS,
      autoLockManagers: false,
    },
    rootCa: root,
    joinSecrets: newJoinSecrets(systemRandom),
    addressPools: ['10.0.0.0/8'],
    subnetBits: 24,
    meshPool: '100.64.0.0/10',
    dataPathPort: 4789,
    epoch: 1,
  };
}
