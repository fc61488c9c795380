import { codeOf, type FailureCode } from '#proto/base/errors.ts';
import type { NetworkView } from './network-views.ts';

/** The networks of the cluster, as the manager part of this node knows them; absent on nodes without one. */
export interface ClusterNetworks {
  list(): Promise<readonly NetworkView[]> | readonly NetworkView[];
  /** By id, name, or the beginning of an id; undefined when there is none. */
  find(idOrName: string): Promise<NetworkView | undefined> | NetworkView | undefined;
  /** POST /networks/create, with the body as it came. */
  create(body: unknown): Promise<{ Id: string; Warning: string }>;
  remove(id: string): Promise<void>;
  /** Removes what nothing uses, and gives the names. The query is that of POST /networks/prune. */
  prune(query: URLSearchParams): Promise<readonly string[]>;
}

/** An answer of the cluster; `otherwise` on a node that does not manage one. */
export async function ofCluster<T>(ask: () => Promise<T> | T, otherwise: T): Promise<T> {
  return await answerOr(ask, otherwise, ['NOT_MANAGER']);
}

/** As `ofCluster`, also while nobody leads: what is this machine's own must go on then. */
export async function ofClusterIfHeard<T>(ask: () => Promise<T> | T, otherwise: T): Promise<T> {
  return await answerOr(ask, otherwise, ['NOT_MANAGER', 'UNAVAILABLE', 'DEADLINE_EXCEEDED']);
}

async function answerOr<T>(
  ask: () => Promise<T> | T,
  otherwise: T,
  instead: readonly FailureCode[],
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (instead.includes(codeOf(error))) return otherwise;
    throw error;
  }
}
