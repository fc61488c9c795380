/*
 * The vocabulary of raft-ts: plain values, no classes. Numbers are integers below 2^53. Values that were handed in or
 * out are never changed afterwards by either side.
 */

/** A member of the group; 0 means none. */
export type PeerId = number;

/** ConfChange: one member, in one step. ConfChangeV2: any ConfChange. Both carry what encodeConfChange makes. */
export const EntryType = { Normal: 0, ConfChange: 1, ConfChangeV2: 2 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/** A step of the history that all members apply alike. */
export interface Entry {
  readonly type: EntryType;
  readonly term: number;
  readonly index: number;
  /** Empty and Normal: nothing to apply (a new leader's first entry, or a change of members that was refused). */
  readonly data: Uint8Array;
}

/** What must be on disk before anything that depends on it is sent. */
export interface HardState {
  readonly term: number;
  /** Whom this member voted for in `term`. */
  readonly vote: PeerId;
  readonly commit: number;
}

/** What is known of leadership; nothing of it needs to be kept. */
export interface SoftState {
  readonly leader: PeerId;
  readonly role: Role;
}

/** What a member is in its term. */
export type Role = 'follower' | 'candidate' | 'pre-candidate' | 'leader';

/** Who votes and who only listens. Joint while votersOutgoing is not empty (Raft thesis, section 4.3). */
export interface ConfState {
  readonly voters: readonly PeerId[];
  readonly learners: readonly PeerId[];
  readonly votersOutgoing: readonly PeerId[];
  readonly learnersNext: readonly PeerId[];
  readonly autoLeave: boolean;
}

/** What a snapshot stands for: everything up to an entry, and the members as of it. */
export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/** A snapshot by name: the data itself travels beside raft-ts, however the driver likes. */
export interface Snapshot {
  readonly meta: SnapshotMeta;
  readonly data: Uint8Array;
}

export const ConfChangeType = { AddNode: 0, RemoveNode: 1, UpdateNode: 2, AddLearnerNode: 3 } as const;
export type ConfChangeType = (typeof ConfChangeType)[keyof typeof ConfChangeType];

/** What becomes of one member. */
export interface ConfChangeSingle {
  readonly type: ConfChangeType;
  readonly nodeId: PeerId;
}

/** How a change of several members goes: `auto` uses joint consensus only where one step is not enough. */
export type ConfChangeTransition = 'auto' | 'joint-implicit' | 'joint-explicit';

/** A change of members, in one entry. */
export interface ConfChange {
  readonly transition: ConfChangeTransition;
  /** Empty, with `auto`: leave the joint configuration. */
  readonly changes: readonly ConfChangeSingle[];
  /** The caller's own, e.g. the member's address. */
  readonly context: Uint8Array;
}

export const MessageType = {
  Prop: 2,
  App: 3,
  AppResp: 4,
  Vote: 5,
  VoteResp: 6,
  Snap: 7,
  Heartbeat: 8,
  HeartbeatResp: 9,
  TransferLeader: 13,
  TimeoutNow: 14,
  ReadIndex: 15,
  ReadIndexResp: 16,
  PreVote: 17,
  PreVoteResp: 18,
  StorageAppend: 19,
  StorageAppendResp: 20,
  StorageApply: 21,
  StorageApplyResp: 22,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** Addresses of the local storage threads, when storage writes are asynchronous. */
export const LOCAL_APPEND = Number.MAX_SAFE_INTEGER;
export const LOCAL_APPLY = Number.MAX_SAFE_INTEGER - 1;

/**
 * A message between members. Fields that its type does not use are absent. Prop and ReadIndex have term 0: what is asked
 * for does not depend on the term.
 */
export interface Message {
  readonly type: MessageType;
  readonly to: PeerId;
  readonly from: PeerId;
  readonly term: number;
  /**
   * Term of the entry before the first one (App), of the candidate's last one (Vote), of the hint (AppResp), of the entry
   * at `commit` (VoteResp).
   */
  readonly logTerm?: number;
  readonly index?: number;
  /** Prop: their terms and indices are 0, the leader gives them. */
  readonly entries?: readonly Entry[];
  /** VoteResp, rejecting: what is known to be committed. */
  readonly commit?: number;
  /** StorageAppend: the vote to keep. TransferLeader: who is to lead. */
  readonly vote?: PeerId;
  readonly snapshot?: Snapshot;
  readonly reject?: boolean;
  /** AppResp: our log may match up to here. */
  readonly rejectHint?: number;
  /** ReadIndex and its answer: the caller's. Vote: the leader asked for it. Heartbeat: given back in its answer. */
  readonly context?: Uint8Array;
  /** StorageAppend and StorageApply: to be delivered once the write is durable, or the entries applied. */
  readonly responses?: readonly Message[];
}

/** A read may be answered once everything up to `index` is applied (Raft thesis, section 6.4). */
export interface ReadState {
  readonly index: number;
  readonly context: Uint8Array;
}

/**
 * What the state machine wants done. In this order: make entries and hard state durable (and the snapshot), send the
 * messages, apply the committed entries, then call advance(). With asynchronous storage writes, messages to
 * LOCAL_APPEND and LOCAL_APPLY say the same and their responses replace advance().
 */
export interface Ready {
  readonly softState?: SoftState;
  readonly hardState?: HardState;
  readonly readStates: readonly ReadState[];
  readonly entries: readonly Entry[];
  readonly snapshot?: Snapshot;
  readonly committedEntries: readonly Entry[];
  readonly messages: readonly Message[];
  /**
   * The hard state and entries must be synced before the messages go; false when only the commit index moved, which a
   * restart can do without. A snapshot must be durable before the messages go in any case.
   */
  readonly mustSync: boolean;
}

/** The durable part of the log, as raft-ts reads it back. Synchronous: the driver keeps it in memory, or most of it. */
export interface Storage {
  initialState(): { readonly hardState: HardState; readonly confState: ConfState };
  /**
   * Entries lo <= index < hi, at most `bytesMax`, counted by entryBytes, but at least one; fewer where reading more would
   * take long. The array is the caller's. Throws CompactedError, UnavailableError.
   */
  entries(lo: number, hi: number, bytesMax: number): readonly Entry[];
  /** Of an entry, or of the one before the first. Throws CompactedError, UnavailableError. */
  term(index: number): number;
  firstIndex(): number;
  lastIndex(): number;
  /**
   * Entries before this one take a while to read: a peer that lacks them is sent a few messages ahead of its answers, not
   * as many as it may have. Left out: all are at hand.
   */
  firstAtHand?(): number;
  /** Throws SnapshotTemporarilyUnavailableError while one is being made. */
  snapshot(): Snapshot;
}
