import { votersOf } from './conf-change.ts';
import { NOBODY, type Raft } from './raft.ts';
import { broadcastAppend } from './replicate.ts';
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts';
import { EntryType, type Message, MessageType } from './types.ts';

/** `transfer`: the leader asked for it, so there is no need to ask first, nor to wait for its lease to end. */
export type ElectionKind = 'pre' | 'real' | 'transfer';

/** In a request for a vote: the leader wants this election. Whoever believes in the leader votes all the same. */
const BY_TRANSFER = Uint8Array.of(1);

/** Did the leader ask for the election that this vote is for? */
export function isByTransfer(message: Message): boolean {
  return message.context !== undefined && message.context.length > 0;
}

/** Time is up, or somebody wants it: campaign, if this member may. */
export function hup(raft: Raft, kind: ElectionKind): void {
  if (raft.role === 'leader') return;
  if (!raft.promotable) {
    raft.trace?.({ kind: 'election-unpromotable' });
    return;
  }
  if (hasUnappliedConfChange(raft)) {
    raft.trace?.({ kind: 'election-conf-pending', term: raft.term });
    return;
  }
  raft.trace?.({ kind: 'election-started', term: raft.term });
  campaign(raft, kind);
}

/** What is committed counts, but we don't know yet who the members are. */
function hasUnappliedConfChange(raft: Raft): boolean {
  const { log } = raft;
  return log.some(log.applied + 1, log.committed + 1, ({ type }) => type !== EntryType.Normal);
}

function campaign(raft: Raft, kind: ElectionKind): void {
  const pre = kind === 'pre';
  if (pre) becomePreCandidate(raft);
  else becomeCandidate(raft);
  const term = pre ? raft.term + 1 : raft.term;
  for (const to of votersOf(raft.tracker.conf)) {
    // Our own vote counts once it is durable, like everybody's.
    if (to === raft.id) raft.sendAfterAppend({ type: responseType(pre), to, from: to, term });
    else requestVote(raft, to, term, kind);
  }
}

function requestVote(raft: Raft, to: number, term: number, kind: ElectionKind): void {
  const { last } = raft.log;
  const pre = kind === 'pre';
  raft.trace?.({ kind: 'vote-requested', pre, to, last, term: raft.term });
  raft.send({
    type: pre ? MessageType.PreVote : MessageType.Vote,
    to,
    from: raft.id,
    term,
    logTerm: last.term,
    index: last.index,
    ...(kind === 'transfer' ? { context: BY_TRANSFER } : {}),
  });
}

/** What a request for a vote, or a pre-vote, is answered with. */
export function responseType(pre: boolean): MessageType {
  return pre ? MessageType.PreVoteResp : MessageType.VoteResp;
}

/**
 * Counts an answer to our request for votes. Whoever is elected leads once its own vote is durable, too: if it crashed
 * before, it could be elected in the same term again, and write other entries where it wrote some already.
 */
export function countVote(raft: Raft, message: Message): void {
  const pre = message.type === MessageType.PreVoteResp;
  const granted = message.reject !== true;
  raft.trace?.({ kind: 'vote-received', pre, from: message.from, granted, term: raft.term });
  raft.tracker.recordVote(message.from, granted);
  const tally = raft.tracker.tally();
  raft.trace?.({ kind: 'votes-counted', pre, granted: tally.granted, rejected: tally.rejected });
  if (tally.result === 'lost') {
    // Also after a lost pre-vote: the term is as it was, only wait for the next timeout.
    becomeFollower(raft, raft.term, NOBODY);
  } else if (tally.result === 'won') {
    if (pre) campaign(raft, 'real');
    else if (raft.tracker.hasVoted(raft.id)) {
      becomeLeader(raft);
      broadcastAppend(raft);
    }
  }
}

/** The connection to this leader is closed: campaign at once, asking first, so that a leader others hear from stays. */
export function leaderGone(raft: Raft, leader: number): void {
  if (raft.role !== 'follower' || raft.leader === NOBODY || raft.leader !== leader) return;
  if (!forgetLeader(raft)) return;
  raft.trace?.({ kind: 'leader-gone', leader, term: raft.term });
  if (raft.promotable) hup(raft, 'pre');
}

/**
 * A follower stops to believe in its leader, until it hears from it again, and so may vote for others. False when that
 * is not possible: with lease reads it has promised to keep to it.
 */
export function forgetLeader(raft: Raft): boolean {
  if (raft.role !== 'follower') return false;
  if (raft.settings.reads === 'lease') {
    raft.trace?.({ kind: 'leader-kept', why: 'lease-reads' });
    return false;
  }
  if (raft.leader === NOBODY) return false;
  raft.trace?.({ kind: 'leader-forgotten', leader: raft.leader, term: raft.term });
  raft.leader = NOBODY;
  return true;
}
