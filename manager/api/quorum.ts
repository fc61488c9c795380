import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Member } from '../consensus/consensus.ts';
import type { StoreView } from '../store/view.ts';
import { timestamp } from './convert/time.ts';
import { noLeader } from './forward.ts';
import type { ManagerParts } from './manager.ts';

/** Whether the managers that are reached are enough to decide anything. */
export interface Quorum {
  readonly voters: number;
  readonly needed: number;
  readonly reachable: number;
  /** Voters that are not reached, as people know them. */
  readonly missing: readonly string[];
}

export function quorumOf(
  members: readonly Member[],
  isReachable: (nodeId: NodeId) => boolean,
  view: Pick<StoreView, 'nodes'>,
): Quorum {
  const voters = members.filter(({ learner }) => !learner);
  const missing = voters.filter(({ nodeId }) => !isReachable(nodeId));
  return {
    voters: voters.length,
    needed: Math.floor(voters.length / 2) + 1,
    reachable: voters.length - missing.length,
    missing: missing.map((member) => `${hostnameOf(member.nodeId, view)} (${member.controlAddr})`),
  };
}

export function isKept({ reachable, needed }: Quorum): boolean {
  return reachable >= needed;
}

function hostnameOf(nodeId: NodeId, { nodes }: Pick<StoreView, 'nodes'>): string {
  return nodes.get(nodeId)?.description?.hostname ?? nodeId;
}

/** What is lost, since when, and what to do: a sentence or two for people. */
export function quorumText(quorum: Quorum, sinceMs: number | undefined): string {
  const { voters, needed, reachable, missing } = quorum;
  const since = sinceMs === undefined ? '' : ` since ${timestamp(sinceMs)}`;
  const are = reachable === 1 ? 'is' : 'are';
  return (
    `Quorum lost${since}: ${reachable} of ${voters} managers ${are} reachable and ${needed} are needed; ` +
    `not reachable: ${missing.join(', ')}. Start them again; only if they are lost for good, go on without them: ` +
    '"shoal swarm recover" on the manager that is left. Running tasks go on meanwhile.'
  );
}

type Knowing = Pick<ManagerParts, 'consensus' | 'store' | 'nodeId' | 'leaderless'>;

/** Why nobody leads, where it is for want of a quorum. */
export async function quorumTrouble(parts: Knowing): Promise<string | undefined> {
  const { members } = await parts.consensus.status();
  const reached = new Set(members.filter(({ reachable }) => reachable).map(({ member }) => member.nodeId));
  const quorum = quorumOf(
    members.map(({ member }) => member),
    (nodeId) => nodeId === parts.nodeId || reached.has(nodeId),
    parts.store.view(),
  );
  return isKept(quorum) ? undefined : quorumText(quorum, parts.leaderless?.()?.sinceMs);
}

/** The failure of a request, with the reason behind Docker's own words where it failed for want of a leader. */
export async function withReason(error: unknown, parts: Knowing): Promise<unknown> {
  const words = noLeader().message;
  if (codeOf(error) !== 'UNAVAILABLE' || messageOf(error) !== words) return error;
  const trouble = await quorumTrouble(parts).catch(() => undefined);
  return trouble === undefined
    ? error
    : new ShoalError('UNAVAILABLE', `${words} ${trouble}`, { cause: error });
}
