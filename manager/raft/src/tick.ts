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
