import { NOBODY, type Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';
import { stepCandidate } from './step-candidate.ts';
import { stepFollower } from './step-follower.ts';
import { stepLeader } from './step-leader.ts';
import { handleAppended, handleAppendedEarlier, handleApplied } from './stored.ts';
import { type Message, MessageType } from './types.ts';
import { keepsToLeader, learnCommit, rejectVote, stepVote } from './vote.ts';

/** Takes a message, from a peer or from our own storage. False: a proposal in it is dropped. */
export function step(raft: Raft, message: Message): boolean {
  // Term 0: does not depend on the term.
  if (message.term > raft.term) {
    if (!enterTerm(raft, message)) return true;
  } else if (message.term < raft.term && message.term !== 0) {
    answerEarlierTerm(raft, message);
    return true;
  }
  switch (message.type) {
    case MessageType.StorageAppendResp:
      handleAppended(raft, message);
      return true;
    case MessageType.StorageApplyResp:
      handleApplied(raft, message.entries ?? []);
      return true;
    case MessageType.Vote:
    case MessageType.PreVote:
      stepVote(raft, message);
      return true;
    case MessageType.VoteResp:
    case MessageType.PreVoteResp:
      learnCommit(raft, message);
      return stepRole(raft, message);
    default:
      return stepRole(raft, message);
  }
}

function stepRole(raft: Raft, message: Message): boolean {
  switch (raft.role) {
    case 'leader':
      return stepLeader(raft, message);
    case 'follower':
      return stepFollower(raft, message);
    default:
      return stepCandidate(raft, message);
  }
}

/** A message of a later term: whoever we were, we follow now (Raft paper, section 5.1). False: ignore the message. */
function enterTerm(raft: Raft, message: Message): boolean {
  const { type, from, term } = message;
  const asksForVote = type === MessageType.Vote || type === MessageType.PreVote;
  if (asksForVote && keepsToLeader(raft, message)) return false;
  // A pre-vote is about a term that nobody has entered yet; so is its being granted.
  if (type === MessageType.PreVote || (type === MessageType.PreVoteResp && !message.reject)) return true;
  raft.trace?.({ kind: 'term-raised', type, from, term, ownTerm: raft.term });
  const fromLeader = type === MessageType.App || type === MessageType.Heartbeat || type === MessageType.Snap;
  becomeFollower(raft, term, fromLeader ? from : NOBODY);
  return true;
}

function answerEarlierTerm(raft: Raft, message: Message): void {
  const { type, from, term } = message;
  const { checkQuorum, preVote } = raft.settings;
  const fromLeader = type === MessageType.App || type === MessageType.Heartbeat;
  if ((checkQuorum || preVote) && fromLeader) {
    // We got ahead of its term, and others ignore our requests for votes because they hear from it: our answer makes it
    // step down, or we would never take part again.
    raft.sendAfterAppend({ type: MessageType.AppResp, to: from, from: raft.id, term: raft.term });
  } else if (type === MessageType.PreVote) {
    // So that a candidate that is behind learns the term, even where every member asks first.
    rejectVote(raft, message);
  } else {
    if (type === MessageType.StorageAppendResp) handleAppendedEarlier(raft, message);
    raft.trace?.({ kind: 'message-outdated', type, from, term, ownTerm: raft.term });
  }
}
