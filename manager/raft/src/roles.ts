import { assert } from './errors.ts';
import { NOBODY, type Raft } from './raft.ts';
import { appendEntries } from './replicate.ts';
import { EntryType, type PeerId, type Role } from './types.ts';

/*
 * From one role to another. A change of term forgets the vote; a change of role forgets who leads, all progress, and
 * everything that was promised to a leader's callers.
 */

/** Of this leader, or of nobody as yet. */
export function becomeFollower(raft: Raft, term: number, leader: PeerId): void {
  reset(raft, term);
  raft.leader = leader;
  enter(raft, 'follower');
}

/** Asks whether it could win: neither term nor vote change, so that nobody is disturbed. */
export function becomePreCandidate(raft: Raft): void {
  assert(raft.role !== 'leader', 'a leader does not campaign');
  raft.tracker.resetVotes();
  raft.leader = NOBODY;
  enter(raft, 'pre-candidate');
}

/** In the next term, with our own vote. */
export function becomeCandidate(raft: Raft): void {
  assert(raft.role !== 'leader', 'a leader does not campaign');
  reset(raft, raft.term + 1);
  raft.vote = raft.id;
  enter(raft, 'candidate');
}

/** Of a term that we have won. */
export function becomeLeader(raft: Raft): void {
  assert(raft.role === 'candidate', `a ${raft.role} does not become leader`);
  reset(raft, raft.term);
  raft.leader = raft.id;
  raft.role = 'leader';
  const { self } = raft;
  assert(self !== undefined, 'a leader is a member');
  // Its own log needs no probing, and it hears from itself.
  self.becomeReplicate();
  self.recentActive = true;
  raft.pendingConfIndex = raft.log.lastIndex;
  // With an entry of its own term it can commit those of earlier terms (Raft paper, section 5.4.2).
  const appended = appendEntries(raft, [{ type: EntryType.Normal, data: new Uint8Array() }]);
  assert(appended, 'an entry without data always has room');
  raft.trace?.({ kind: 'role-changed', role: 'leader', term: raft.term });
}

function enter(raft: Raft, role: Role): void {
  raft.role = role;
  raft.trace?.({ kind: 'role-changed', role, term: raft.term });
}

function reset(raft: Raft, term: number): void {
  if (raft.term !== term) {
    raft.term = term;
    raft.vote = NOBODY;
  }
  raft.leader = NOBODY;
  raft.electionElapsed = 0;
  raft.heartbeatElapsed = 0;
  drawElectionTimeout(raft);
  raft.transferee = NOBODY;
  raft.timeoutNowSent = false;
  raft.pendingConfIndex = 0;
  raft.uncommittedBytes = 0;
  raft.reads.reset();
  raft.tracker.resetVotes();
  const { lastIndex } = raft.log;
  for (const progress of raft.tracker.progress) progress.reset(lastIndex);
  if (raft.self !== undefined) raft.self.match = lastIndex;
}

function drawElectionTimeout(raft: Raft): void {
  const { electionTicks, random } = raft.settings;
  raft.electionTimeout = electionTicks + Math.floor(random() * electionTicks);
}
