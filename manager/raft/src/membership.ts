import { changeConf, isVoter } from './conf-change.ts';
import { NOBODY, type Raft } from './raft.ts';
import { broadcastAppend, maybeCommit, maybeSendAppend } from './replicate.ts';
import { becomeFollower } from './roles.ts';
import type { ConfChange, ConfState } from './types.ts';

/** Carries out a committed change of members. Throws ConfChangeError when the present ones do not allow it. */
export function applyConfChange(raft: Raft, change: ConfChange): ConfState {
  switchToConf(raft, changeConf(raft.tracker.conf, change));
  return raft.tracker.conf;
}

/** From now on these are the members. */
export function switchToConf(raft: Raft, conf: ConfState): void {
  raft.tracker.setConf(conf, raft.log.lastIndex);
  raft.trace?.({ kind: 'conf-switched', conf });
  if (raft.role !== 'leader') return;
  if (!isVoter(conf, raft.id)) {
    if (raft.settings.stepDownOnRemoval) becomeFollower(raft, raft.term, NOBODY);
    return;
  }
  if (maybeCommit(raft)) broadcastAppend(raft);
  else probeNewcomers(raft);
  if (!isVoter(conf, raft.transferee)) raft.transferee = NOBODY;
}

/** Who is new should not wait for the next proposal or heartbeat. */
function probeNewcomers(raft: Raft): void {
  for (const progress of raft.tracker.progress) {
    if (progress.id !== raft.id) maybeSendAppend(raft, progress, false);
  }
}
