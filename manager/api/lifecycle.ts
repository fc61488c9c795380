import type { NodeId } from '#proto/types/ids.ts';
import type { Addresses, InitRequest, JoinRequest, RestoreRequest } from './convert/swarm-requests.ts';

/** How this node stands to a swarm, as GET /info says. */
export type LocalNodeState = 'inactive' | 'pending' | 'active' | 'error' | 'locked';

export interface LocalSwarmInfo {
  readonly state: LocalNodeState;
  /** Absent while the node is in no swarm. */
  readonly nodeId?: NodeId;
  /** The address it is known by, without port. */
  readonly nodeAddr?: string;
  /** What went wrong, in the states `error` and `pending`. */
  readonly error?: string;
  /** Managers that the node knows; a manager takes them from the cluster. */
  readonly managers: readonly { readonly nodeId: NodeId; readonly addr: string }[];
}

/** What the node does about its own place in a swarm. Refusals are thrown in Docker's words. */
export interface SwarmLifecycle {
  /** Makes a swarm with this node as its first manager. UNAVAILABLE when it is in one already. */
  init(request: InitRequest): Promise<NodeId>;
  /** Resolves when the node has been let in. */
  join(request: JoinRequest): Promise<void>;
  leave(force: boolean): Promise<void>;
  /** Opens the state of a manager that is locked, with the cluster's key as the store keeps it. UNAUTHENTICATED with another. */
  unlock(key: string): Promise<void>;
  info(): LocalSwarmInfo;
}

/** What the node does about its place in a swarm that only Shoal's own API asks for. */
export interface OperatorLifecycle {
  /** Goes on with the swarm alone, as the manager that is left. NOT_MANAGER when this node is none. */
  recover(asked?: Addresses): Promise<NodeId>;
  /** Encrypts what this manager has on disk with a new key, while it runs; resolves when nothing is left of the old. */
  rotateKey(): Promise<void>;
  /** Takes a swarm up from a backup, as its only manager. UNAVAILABLE when the node is in one already. */
  restore(request: RestoreRequest, backup: AsyncIterable<Uint8Array>): Promise<NodeId>;
}
