import { hup } from './election.ts';
import { NOBODY, type Raft } from './raft.ts';
import { broadcastHeartbeat } from './replicate.ts';
import { becomeFollower } from './roles.ts';
import { abortTransfer } from './step-leader.ts';

/** Time goes by. */
export function tick(raft: Raft): void {
  raft.ticks += 1;
  raft.electionElapsed += 1;
  if (raft.role === 'leader') tickLeader(raft);
  else if (raft.promotable && raft.electionElapsed >= raft.electionTimeout) {
    raft.electionElapsed = 0;
    hup(raft, raft.settings.preVote ? 'pre' : 'real');
  }
}

function tickLeader(raft: Raft): void {
  const { electionTicks, heartbeatTicks, checkQuorum } = raft.settings;
  raft.heartbeatElapsed += 1;
  if (raft.electionElapsed >= electionTicks) {
    raft.electionElapsed = 0;
    if (checkQuorum && !keepsQuorum(raft)) return;
    // A transfer that takes so long has failed: lead on.
    abortTransfer(raft);
  }
  if (raft.heartbeatElapsed < heartbeatTicks) return;
  raft.heartbeatElapsed = 0;
  broadcastHeartbeat(raft);
}

/** Steps down unless a quorum has answered since the last check (thesis, section 6.2). */
function keepsQuorum(raft: Raft): boolean {
  if (!raft.tracker.quorumActive()) {
    raft.trace?.({ kind: 'quorum-lost' });
    becomeFollower(raft, raft.term, NOBODY);
    return false;
  }
  for (const progress of raft.tracker.progress) {
    if (progress.id !== raft.id) progress.recentActive = false;
  }
  return true;
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
