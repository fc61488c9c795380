import { hup } from './election.ts';
import { handleAppend, handleHeartbeat, handleSnapshot } from './follow.ts';
import { NOBODY, type Raft } from './raft.ts';
import { type Message, MessageType } from './types.ts';

/** A message to a follower, of its own term. False: a proposal in it is dropped. */
export function stepFollower(raft: Raft, message: Message): boolean {
  switch (message.type) {
    case MessageType.Prop:
      return handOnProposal(raft, message);
    case MessageType.App:
      hear(raft, message);
      handleAppend(raft, message);
      break;
    case MessageType.Heartbeat:
      hear(raft, message);
      handleHeartbeat(raft, message);
      break;
    case MessageType.Snap:
      hear(raft, message);
      handleSnapshot(raft, message);
      break;
    case MessageType.TransferLeader:
      handOnTransfer(raft, message);
      break;
    case MessageType.TimeoutNow:
      raft.trace?.({ kind: 'timeout-now-received', from: message.from, term: raft.term });
      hup(raft, 'transfer');
      break;
    case MessageType.ReadIndexResp:
      raft.readStates.push({ index: message.index ?? 0, context: message.context ?? new Uint8Array() });
      break;
    default:
      raft.trace?.({ kind: 'message-unexpected', type: message.type, from: message.from });
  }
  return true;
}

/** Only a term's leader sends these: now we know it. */
function hear(raft: Raft, message: Message): void {
  raft.electionElapsed = 0;
  raft.leader = message.from;
}

function handOnProposal(raft: Raft, message: Message): boolean {
  const { leader, term } = raft;
  if (leader === NOBODY || raft.settings.disableProposalForwarding) {
    const why = leader === NOBODY ? 'no-leader' : 'forwarding-disabled';
    raft.trace?.({ kind: 'proposal-dropped', why, term });
    return false;
  }
  raft.send({ ...message, to: leader, from: raft.id });
  return true;
}

function handOnTransfer(raft: Raft, { vote: to = NOBODY }: Message): void {
  if (raft.leader === NOBODY) raft.trace?.({ kind: 'transfer-ignored', to, why: 'no-leader' });
  else {
    raft.send({
      type: MessageType.TransferLeader,
      to: raft.leader,
      from: raft.id,
      term: raft.term,
      vote: to,
    });
  }
}
