import type { PeerProgress } from './progress.ts';
import type { Raft } from './raft.ts';
import type { ConfState, PeerId, Role } from './types.ts';

/** How a member stands: a value to look at. */
export interface Status {
  readonly id: PeerId;
  readonly role: Role;
  readonly term: number;
  readonly vote: PeerId;
  /** 0: none known. */
  readonly leader: PeerId;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly confState: ConfState;
  /** To whom leadership is being handed; 0: to nobody. */
  readonly leadTransferee: PeerId;
  /** Of every member, sorted by id; empty unless this member leads. */
  readonly progress: readonly PeerProgress[];
}

/** As it is now. */
export function statusOf(raft: Raft): Status {
  return {
    id: raft.id,
    role: raft.role,
    term: raft.term,
    vote: raft.vote,
    leader: raft.leader,
    commit: raft.log.committed,
    applied: raft.log.applied,
    lastIndex: raft.log.lastIndex,
    confState: raft.tracker.conf,
    leadTransferee: raft.transferee,
    progress: raft.role === 'leader' ? raft.tracker.progress.map((progress) => progress.status()) : [],
  };
}
