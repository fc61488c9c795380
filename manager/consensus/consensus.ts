import type { NodeId } from '#proto/types/ids.ts';
import type { DataKey } from './keys.ts';

/** One manager of the Raft group. */
export interface Member {
  readonly raftId: number;
  readonly nodeId: NodeId;
  /** host:port of its Raft transport. */
  readonly raftAddr: string;
  /** host:port of its control service. */
  readonly controlAddr: string;
  readonly learner: boolean;
}

export interface Leadership {
  readonly term: number;
  /** Absent while nobody is known to lead. */
  readonly leader?: Member;
  /** This member leads, and has committed an entry of its term: it may write. */
  readonly leading: boolean;
}

/** A committed entry for the state machine. Empty data (a leader's first entry, membership) only moves the index. */
export interface CommittedEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

/** What consensus drives: the replicated store. Called in index order, never twice for one index. */
export interface StateMachine {
  apply(entries: readonly CommittedEntry[]): void;
  /** The whole state as chunks; must be consistent at the last applied index when the first chunk is taken. */
  snapshot(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Replaces the whole state. */
  restore(chunks: AsyncIterable<Uint8Array>, index: number): Promise<void>;
}

export interface MemberStatus {
  readonly member: Member;
  /** As this member sees it: it answers (leader: acknowledged lately). */
  readonly reachable: boolean;
  /** Known to the leader only. */
  readonly matchIndex?: number;
}

export interface ConsensusStatus {
  readonly self: Member;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly snapshotIndex: number;
  readonly members: readonly MemberStatus[];
}

/**
 * The replicated log as the main loop sees it. Raft, its disk and its connections live in a worker of their own;
 * this is their whole face.
 */
export interface Consensus extends AsyncDisposable {
  /**
   * Resolves once the entry is committed and handed to the state machine; the store learns the outcome from its own
   * apply. Rejects UNAVAILABLE when it is certain that the entry was not and will not be committed, and
   * RESOURCE_EXHAUSTED when too many wait. Neither: the outcome is decided when leadership is.
   */
  propose(data: Uint8Array): Promise<{ readonly index: number; readonly term: number }>;
  /** Resolves when everything committed before the call has been applied here. */
  readBarrier(signal?: AbortSignal): Promise<void>;
  leadership(): Leadership;
  onLeadership(changed: (leadership: Leadership) => void): () => void;
  members(): readonly Member[];
  onMembers(changed: (members: readonly Member[]) => void): () => void;
  /** Told once this manager is no member any more: that its removal is committed, or that others go on without it. */
  onRemoved(removed: () => void): () => void;
  /** Whether that is so already. */
  isRemoved(): boolean;
  /** Leader only. Adds a manager as learner and makes it a voter once it has caught up. */
  addMember(member: Omit<Member, 'learner' | 'raftId'>): Promise<Member>;
  /** Leader only. Refuses (FAILED_PRECONDITION) when the rest would have no reachable quorum. */
  removeMember(raftId: number): Promise<void>;
  /** Hands leadership to another voter that is up to date; resolves when somebody else leads. */
  transferLeadership(): Promise<void>;
  status(): Promise<ConsensusStatus>;
}

/** When the log is summed up, and what is kept beside the newest snapshot. */
export interface SnapshotPolicy {
  /** A snapshot is due after so many entries, or sooner where they are large. */
  readonly everyEntries: number;
  /** So many entries before a snapshot stay, for followers that are a little behind. */
  readonly entriesForSlowFollowers: number;
  /** Snapshot files that are kept, the newest included. */
  readonly filesKept: number;
}

/** A consensus that has files of its own. */
export interface KeepsFiles {
  /** From now on; what is there already stays until the next snapshot. */
  setSnapshotPolicy(policy: SnapshotPolicy): void;
  /**
   * Encrypts with this key whatever is written from now on, and then everything that is there; resolves when nothing is
   * encrypted with another. Rejects when consensus stops first: then it is to be asked again.
   */
  rotateKey(key: DataKey): Promise<void>;
}
