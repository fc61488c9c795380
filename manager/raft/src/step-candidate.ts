import { countVote } from './election.ts';
import { handleAppend, handleHeartbeat, handleSnapshot } from './follow.ts';
import type { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';
import { type Message, MessageType } from './types.ts';

/** A message to a candidate or pre-candidate, of its own term. False: a proposal in it is dropped. */
export function stepCandidate(raft: Raft, message: Message): boolean {
  switch (message.type) {
    case MessageType.Prop:
      raft.trace?.({ kind: 'proposal-dropped', why: 'no-leader', term: raft.term });
      return false;
    case MessageType.App:
      becomeFollower(raft, message.term, message.from);
      handleAppend(raft, message);
      break;
    case MessageType.Heartbeat:
      becomeFollower(raft, message.term, message.from);
      handleHeartbeat(raft, message);
      break;
    case MessageType.Snap:
      becomeFollower(raft, message.term, message.from);
      handleSnapshot(raft, message);
      break;
    case MessageType.PreVoteResp:
      if (raft.role === 'pre-candidate') countVote(raft, message);
      break;
    case MessageType.VoteResp:
      if (raft.role === 'candidate') countVote(raft, message);
      break;
    default:
      raft.trace?.({ kind: 'message-unexpected', type: message.type, from: message.from });
  }
  return true;
}
