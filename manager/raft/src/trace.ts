import type { PeerProgress } from './progress.ts';
import type { ConfChange, ConfState, MessageType, PeerId, Role } from './types.ts';

/** An entry by its place. */
export interface EntryId {
  readonly term: number;
  readonly index: number;
}

/** A request for a vote, and the voter's own state. */
interface Ballot {
  readonly pre: boolean;
  readonly from: PeerId;
  /** Where the candidate's log ends. */
  readonly last: EntryId;
  readonly ownLast: EntryId;
  readonly ownVote: PeerId;
  readonly ownTerm: number;
}

/** Why a proposal was not taken. */
export type DroppedProposal =
  | 'no-leader'
  | 'forwarding-disabled'
  | 'transferring'
  | 'removed'
  | 'no-room'
  | 'empty';

/** Why a change of members can not be made now. */
export type RefusedConfChange =
  | { readonly why: 'pending'; readonly index: number; readonly applied: number }
  | { readonly why: 'joint' | 'not-joint' | 'malformed' };

/** What happens inside, by kind; the level says who wants to know. */
interface TraceKinds {
  started: {
    readonly voters: readonly PeerId[];
    readonly term: number;
    readonly commit: number;
    readonly applied: number;
    readonly last: EntryId;
  };
  'role-changed': { readonly role: Role; readonly term: number };
  'conf-switched': { readonly conf: ConfState };
  'conf-change-refused': {
    readonly change: ConfChange | undefined;
    readonly conf: ConfState;
    readonly reason: RefusedConfChange;
  };
  'leaving-joint': { readonly conf: ConfState };

  'election-started': { readonly term: number };
  'election-unpromotable': Record<never, never>;
  'election-conf-pending': { readonly term: number };
  'vote-requested': {
    readonly pre: boolean;
    readonly to: PeerId;
    readonly last: EntryId;
    readonly term: number;
  };
  'vote-cast': Ballot;
  'vote-rejected': Ballot;
  /** The leader is heard of: no vote now, and no change of term. */
  'vote-ignored': Ballot & { readonly remainingTicks: number };
  'vote-received': {
    readonly pre: boolean;
    readonly from: PeerId;
    readonly granted: boolean;
    readonly term: number;
  };
  'votes-counted': { readonly pre: boolean; readonly granted: number; readonly rejected: number };
  'quorum-lost': Record<never, never>;
  'leader-forgotten': { readonly leader: PeerId; readonly term: number };
  'leader-kept': { readonly why: 'lease-reads' };
  'leader-gone': { readonly leader: PeerId; readonly term: number };

  'term-raised': {
    readonly type: MessageType;
    readonly from: PeerId;
    readonly term: number;
    readonly ownTerm: number;
  };
  'message-outdated': {
    readonly type: MessageType;
    readonly from: PeerId;
    readonly term: number;
    readonly ownTerm: number;
  };
  'message-unexpected': { readonly type: MessageType; readonly from: PeerId };
  /** An answer of somebody who is no member (any more). */
  'message-from-stranger': { readonly type: MessageType; readonly from: PeerId };

  'proposal-dropped': { readonly why: DroppedProposal; readonly term: number };
  'read-dropped': { readonly why: 'no-leader' | 'no-room'; readonly from: PeerId };

  'append-refused': { readonly from: PeerId; readonly prev: EntryId; readonly ownTermThere: number };
  'append-rejected': { readonly from: PeerId; readonly index: number; readonly hint: EntryId };
  'progress-decreased': { readonly progress: PeerProgress };
  'peer-unreachable': { readonly progress: PeerProgress };

  'snapshot-sent': {
    readonly firstIndex: number;
    readonly commit: number;
    readonly snapshot: EntryId;
    readonly before: PeerProgress;
    readonly after: PeerProgress;
  };
  'snapshot-held-back': { readonly to: PeerId; readonly why: 'inactive' | 'unavailable' };
  'snapshot-reported': { readonly ok: boolean; readonly progress: PeerProgress };
  'snapshot-recovered': { readonly progress: PeerProgress };
  'snapshot-restoring': {
    readonly snapshot: EntryId;
    readonly commit: number;
    readonly applied: number;
    readonly applying: number;
    readonly unstableOffset: number;
    readonly unstableOffsetInProgress: number;
    readonly unstableLength: number;
  };
  'snapshot-restored': { readonly snapshot: EntryId; readonly commit: number; readonly last: EntryId };
  'snapshot-fast-forwarded': { readonly snapshot: EntryId; readonly commit: number };
  'snapshot-ignored': { readonly snapshot: EntryId; readonly commit: number };

  'log-conflict': { readonly index: number; readonly term: number; readonly ownTerm: number };
  /** Entries that were not durable gave way: all of them, or those from `from` on. */
  'log-overwritten': { readonly from: number; readonly whole: boolean };
  'stable-missing': { readonly index: number };
  'stable-overwritten': { readonly index: number; readonly term: number; readonly ownTerm: number };

  'transfer-started': { readonly to: PeerId; readonly term: number };
  'transfer-ignored': { readonly to: PeerId; readonly why: 'no-leader' | 'learner' | 'under-way' | 'self' };
  'transfer-aborted': { readonly to: PeerId; readonly term: number };
  'timeout-now-sent': { readonly to: PeerId };
  'timeout-now-received': { readonly from: PeerId; readonly term: number };
}

/** Names what happened. */
export type TraceKind = keyof TraceKinds;

/** Something that happened inside a member: plain data, to be logged, counted, or compared with a script. */
export type TraceEvent = { [K in TraceKind]: { readonly kind: K } & TraceKinds[K] }[TraceKind];

/** Called at once, in the middle of things: it must not call back into the member. */
export type Tracer = (event: TraceEvent) => void;

/** How loud. */
export type TraceLevel = 'debug' | 'info' | 'warn' | 'error';

const LEVELS: Partial<Record<TraceKind, TraceLevel>> = {
  'append-refused': 'debug',
  'append-rejected': 'debug',
  'progress-decreased': 'debug',
  'peer-unreachable': 'debug',
  'snapshot-sent': 'debug',
  'snapshot-held-back': 'debug',
  'snapshot-reported': 'debug',
  'snapshot-recovered': 'debug',
  'message-unexpected': 'debug',
  'message-from-stranger': 'debug',
  'read-dropped': 'debug',
  'transfer-ignored': 'debug',
  'election-unpromotable': 'warn',
  'election-conf-pending': 'warn',
  'quorum-lost': 'warn',
  'leader-kept': 'error',
};

/** How loud an event is. */
export function traceLevel(kind: TraceKind): TraceLevel {
  return LEVELS[kind] ?? 'info';
}
