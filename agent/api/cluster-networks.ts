import type { NetworkView } from './network-views.ts';

/** The networks of the cluster, as the manager part of this node knows them; absent on nodes without one. */
export interface ClusterNetworks {
  list(): Promise<readonly NetworkView[]> | readonly NetworkView[];
  /** By id, name, or the beginning of an id; undefined when there is none. */
  find(idOrName: string): Promise<NetworkView | undefined> | NetworkView | undefined;
  /** POST /networks/create, with the body as it came. */
  create(body: unknown): Promise<{ Id: string; Warning: string }>;
  remove(id: string): Promise<void>;
}
