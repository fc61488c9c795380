import { isByTransfer, responseType } from './election.ts';
import { NOBODY, type Raft } from './raft.ts';
import type { EntryId } from './trace.ts';
import { type Message, MessageType } from './types.ts';

/** Where a candidate's log ends. */
function lastOf({ logTerm = 0, index = 0 }: Message): EntryId {
  return { term: logTerm, index };
}

function ballot(raft: Raft, message: Message) {
  return {
    pre: message.type === MessageType.PreVote,
    from: message.from,
    last: lastOf(message),
    ownLast: raft.log.last,
    ownVote: raft.vote,
    ownTerm: raft.term,
  };
}

/**
 * We heard from a leader so recently that a candidate can only be one that was cut off (thesis, section 4.2.3); or, with
 * lease reads, we may have promised so before a restart. Unless the leader itself asked for the election.
 */
export function keepsToLeader(raft: Raft, message: Message): boolean {
  if (isByTransfer(message)) return false;
  const { electionTicks, checkQuorum } = raft.settings;
  const remainingTicks =
    checkQuorum && raft.leader !== NOBODY
      ? electionTicks - raft.electionElapsed
      : raft.silentUntil - raft.ticks;
  if (remainingTicks <= 0) return false;
  raft.trace?.({ kind: 'vote-ignored', ...ballot(raft, message), remainingTicks });
  return true;
}

/** Votes for the candidate, or not (Raft paper, sections 5.2 and 5.4.1). Its term is at least ours. */
export function stepVote(raft: Raft, message: Message): void {
  const pre = message.type === MessageType.PreVote;
  const free =
    raft.vote === message.from ||
    (raft.vote === NOBODY && raft.leader === NOBODY) ||
    (pre && message.term > raft.term);
  if (!free || !raft.log.isUpToDate(lastOf(message))) {
    rejectVote(raft, message);
    return;
  }
  // Learners vote as well: they may have become voters without knowing it yet.
  raft.trace?.({ kind: 'vote-cast', ...ballot(raft, message) });
  // The term of the request: a pre-vote asks about one that we have not entered.
  raft.sendAfterAppend({ type: responseType(pre), to: message.from, from: raft.id, term: message.term });
  if (pre) return;
  raft.electionElapsed = 0;
  raft.vote = message.from;
}

/** Says also what is committed, see learnCommit. */
export function rejectVote(raft: Raft, message: Message): void {
  const pre = message.type === MessageType.PreVote;
  const { committed } = raft.log;
  raft.trace?.({ kind: 'vote-rejected', ...ballot(raft, message) });
  raft.sendAfterAppend({
    type: responseType(pre),
    to: message.from,
    from: raft.id,
    term: raft.term,
    reject: true,
    commit: committed,
    logTerm: raft.log.term(committed) ?? 0,
  });
}

/**
 * Whoever rejects our candidacy may know of more that is committed, in our log, too. Without this a group could stand
 * still for ever: its leader committed its own removal, wrote on, and stopped; the others have the removal but don't know
 * that it is committed, so they still need the vote of that member, whose log is longer than theirs.
 */
export function learnCommit(raft: Raft, { commit = 0, logTerm = 0 }: Message): void {
  if (
    raft.role !== 'leader' &&
    commit > raft.log.committed &&
    raft.log.matches({ index: commit, term: logTerm })
  )
    raft.log.commitTo(commit);
}
