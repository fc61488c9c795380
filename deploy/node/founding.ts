import { newPrivateKey, signingRequest } from '#agent/session/keys.ts';
import type { InitRequest } from '#manager/api/convert/swarm-requests.ts';
import { foundCluster } from '#manager/ca/found.ts';
import { unlockKeyFor } from '#manager/ca/unlock-key.ts';
import { withAsked } from '#manager/control/cluster.ts';
import { CLUSTER_DEFAULTS } from '#manager/control/cluster-defaults.ts';
import { freshNetworks } from '#manager/leader/bootstrap.ts';
import type { Change } from '#manager/store/changes.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Random } from '#proto/base/random.ts';
import type { TlsIdentity } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';

/** What a new swarm begins with: its first node's identity, and what its store holds first. */
export interface Founding {
  readonly nodeId: NodeId;
  readonly identity: TlsIdentity;
  readonly changes: readonly Change[];
}

const NS_PER_MS = 1_000_000;
/** Every node gets a /20 of it for published ports (facts of the mesh: proto/types/mesh.ts). */
const MESH_POOL = '100.64.0.0/10';

/** Makes a swarm's root, its first manager's certificate, and everything it starts from. Stores nothing; refuses what control refuses. */
export async function found(
  request: InitRequest,
  modules: { readonly clock: Clock; readonly random: Random },
): Promise<Founding> {
  const spec = withAsked(CLUSTER_DEFAULTS, request.spec);
  const key = newPrivateKey();
  const founded = await foundCluster(
    await signingRequest(key),
    { lifetimeMs: spec.nodeCertExpiryNs / NS_PER_MS },
    modules,
  );
  const { nodeId, rootCa, joinSecrets } = founded;
  const cluster = {
    id: founded.clusterId,
    spec,
    rootCa,
    joinSecrets,
    addressPools: request.addressPools,
    subnetBits: request.subnetBits,
    meshPool: MESH_POOL,
    dataPathPort: request.dataPathPort,
    epoch: 1,
    ...unlockKeyFor({ spec }, false, modules.random),
  };
  const node = {
    id: nodeId,
    spec: { role: 'manager', availability: request.availability },
    role: 'manager',
    status: { state: 'unknown', sinceMs: Math.floor(modules.clock.wallMs()) },
    certificateExpiresAtMs: founded.expiresAtMs,
  } as const;
  return {
    nodeId,
    identity: { certificate: founded.certificate, key, roots: rootCa.certificate },
    changes: [
      { kind: 'putCluster', cluster },
      { kind: 'putNode', node },
      { kind: 'setNodeSpec', nodeId: node.id, spec: node.spec },
      ...freshNetworks(modules.random),
    ],
  };
}
