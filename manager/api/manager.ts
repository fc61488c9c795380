import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Leaderless } from '../consensus/lead-watch.ts';
import type { Control } from '../control/control.ts';
import type { LogBroker } from '../logs/broker.ts';
import type { Store } from '../store/view.ts';
import type { SwarmLifecycle } from './lifecycle.ts';

/** What the API needs of the manager on this node, while there is one. */
export interface ManagerParts {
  readonly nodeId: NodeId;
  readonly store: Pick<Store, 'view' | 'readBarrier'>;
  readonly consensus: Pick<Consensus, 'leadership' | 'onLeadership' | 'members' | 'status'>;
  readonly dialer: Pick<RpcDialer, 'client'>;
  readonly control: Control;
  readonly logs: Pick<LogBroker, 'read'>;
  /** Since when nobody is known to lead; undefined while somebody does. */
  readonly leaderless?: () => Leaderless | undefined;
  /** Its log has no room on disk: it takes no writes, and sees none of the others'. */
  readonly diskFull?: () => boolean;
}

export const DISK_FULL =
  'The disk of this manager is full: it takes no changes, and does not see those of the others, until there is room. ' +
  'Ask another manager meanwhile, or this one for what it knew last (?stale=1).';

/**
 * Why this node can't answer for the cluster: it is in none, is a worker, is only becoming a manager (or lost touch with
 * the others), or has a store that is locked or certificates that have expired.
 */
export type NoManager = 'inactive' | 'worker' | 'starting' | 'locked' | 'expired';

export interface ClusterApiModules {
  /** Asked anew for each request: nodes become managers and cease to be. */
  readonly manager: () => ManagerParts | NoManager;
  readonly lifecycle: SwarmLifecycle;
  readonly clock: Clock;
  readonly log: Log;
}

const REFUSALS: Readonly<Record<NoManager, string>> = {
  inactive:
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  worker:
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
  starting:
    'This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.',
  locked:
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
  expired: 'Swarm certificates have expired. To replace them, leave the swarm and join again.',
};

/** The manager of this node; NOT_MANAGER, in Docker's words, when there is none. */
export function requireManager({ manager }: Pick<ClusterApiModules, 'manager'>): ManagerParts {
  const found = manager();
  if (typeof found === 'string') throw refusalOf(found);
  return found;
}

/** NOT_MANAGER in Docker's words. */
export function refusalOf(reason: NoManager): ShoalError {
  return new ShoalError('NOT_MANAGER', REFUSALS[reason]);
}
