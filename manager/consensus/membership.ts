import {
  type ConfChange,
  ConfChangeType,
  type ConfState,
  decodeConfChange,
  type Entry,
  EntryType,
} from 'raft-ts';
import { decode } from '#proto/rpc/codec.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Member } from './consensus.ts';

/** A member as a conf change names it; whether it votes is the conf state's to say. */
export type Peer = Omit<Member, 'learner'>;

/** Who belongs to the group, at some index. A value: each change makes a new one. */
export interface Membership {
  readonly peers: readonly Peer[];
  readonly confState: ConfState;
  /** Ids are given out once, in order: one below this that is no member's was removed and never returns. */
  readonly nextRaftId: number;
}

export const NO_MEMBERSHIP: Membership = {
  peers: [],
  confState: { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
  nextRaftId: 1,
};

/**
 * The membership after a change: `confState` as raft-ts made it, addresses from the change's own context. Whoever still
 * has a say stays: of several that are removed at once, until those that are left have taken over.
 */
export function changeMembership(
  membership: Membership,
  change: ConfChange,
  confState: ConfState,
  peer: Peer | undefined,
): Membership {
  let peers = membership.peers;
  let nextRaftId = membership.nextRaftId;
  for (const { type, nodeId: raftId } of change.changes) {
    if (type === ConfChangeType.RemoveNode || peer?.raftId !== raftId) continue;
    peers = [...peers.filter((other) => other.raftId !== raftId), peer].sort((a, b) => a.raftId - b.raftId);
    nextRaftId = Math.max(nextRaftId, raftId + 1);
  }
  const { voters, learners, votersOutgoing } = confState;
  const present = new Set([...voters, ...learners, ...votersOutgoing]);
  return { peers: peers.filter(({ raftId }) => present.has(raftId)), confState, nextRaftId };
}

export function membersOf({ peers, confState }: Membership): Member[] {
  const voters = new Set([...confState.voters, ...confState.votersOutgoing]);
  return peers.map((peer) => ({ ...peer, learner: !voters.has(peer.raftId) }));
}

export function peerOf(membership: Membership, raftId: number): Peer | undefined {
  return membership.peers.find((peer) => peer.raftId === raftId);
}

/** Whether an id was a member's and is no more. */
export function wasRemoved(membership: Membership, raftId: number): boolean {
  return raftId < membership.nextRaftId && peerOf(membership, raftId) === undefined;
}

export function isConfChange(entry: Entry): boolean {
  return entry.type !== EntryType.Normal;
}

/** A committed change of members, and whom it is about. */
export function decodeChange(entry: Entry): { change: ConfChange; peer: Peer | undefined } {
  const change = decodeConfChange(entry.data);
  if (change.context.length === 0) return { change, peer: undefined };
  const { raftId, nodeId, raftAddr, controlAddr } = decode('RaftMember', change.context);
  return { change, peer: { raftId, nodeId: nodeId as NodeId, raftAddr, controlAddr } };
}

/** Keeps the membership at each index where it changed, back to the last snapshot. */
export class MembershipHistory {
  #steps: { readonly index: number; readonly membership: Membership }[];

  constructor(index: number, membership: Membership) {
    this.#steps = [{ index, membership }];
  }

  get current(): Membership {
    return (this.#steps.at(-1) as { membership: Membership }).membership;
  }

  add(index: number, membership: Membership): void {
    this.#steps.push({ index, membership });
  }

  /** The membership once everything up to `index` is applied; `index` is not older than the last snapshot. */
  at(index: number): Membership {
    const step = this.#steps.findLast((candidate) => candidate.index <= index);
    return (step ?? (this.#steps[0] as { membership: Membership })).membership;
  }

  /** Lets go of what only matters before `index`. */
  forgetBefore(index: number): void {
    const from = this.#steps.findLastIndex((step) => step.index <= index);
    if (from > 0) this.#steps = this.#steps.slice(from);
  }

  restart(index: number, membership: Membership): void {
    this.#steps = [{ index, membership }];
  }
}
