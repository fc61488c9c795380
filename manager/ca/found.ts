import { type ClusterId, type NodeId, newId } from '#proto/types/ids.ts';
import type { Cluster, RootCa } from '#proto/types/objects.ts';
import { type Issued, issueCertificate, nodeIdOf, requestedKey } from './issue.ts';
import { createRootCa, type IssuerModules } from './root.ts';
import { newJoinSecrets } from './tokens.ts';

/** What a new cluster starts from: its root, its join secrets, and the first manager's certificate. */
export interface Founded extends Issued {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  readonly rootCa: RootCa;
  readonly joinSecrets: Cluster['joinSecrets'];
}

/** Founds a cluster with the requester (a signing request, PEM) as its first manager. Stores nothing. */
export async function foundCluster(
  request: string,
  opts: { readonly lifetimeMs: number },
  modules: IssuerModules,
): Promise<Founded> {
  const key = await requestedKey(request);
  const rootCa = await createRootCa(modules);
  const who = {
    nodeId: nodeIdOf(key),
    role: 'manager',
    clusterId: newId<'cluster'>(modules.random),
  } as const;
  const issued = await issueCertificate(rootCa, { ...who, lifetimeMs: opts.lifetimeMs }, key, modules);
  const { nodeId, clusterId } = who;
  return { ...issued, clusterId, nodeId, rootCa, joinSecrets: newJoinSecrets(modules.random) };
}
