import { isJoint, leavesJoint } from './conf-change.ts';
import { decodeConfChange } from './conf-change-codec.ts';
import { ConfChangeError } from './errors.ts';
import { decodeHeartbeat } from './heartbeat.ts';
import { settleReads, takeRead } from './leader-reads.ts';
import type { Progress } from './progress.ts';
import { NOBODY, type Raft } from './raft.ts';
import {
  appendEntries,
  broadcastAppend,
  maybeCommit,
  type Proposal,
  sendAllAppends,
  sendAppend,
  sendTimeoutNow,
} from './replicate.ts';
import type { DroppedProposal, RefusedConfChange } from './trace.ts';
import { type ConfChange, EntryType, type Message, MessageType, type PeerId } from './types.ts';

/** A message to the leader, of its own term. False: a proposal in it is dropped. */
export function stepLeader(raft: Raft, message: Message): boolean {
  switch (message.type) {
    case MessageType.Prop:
      return proposeAsLeader(raft, message.entries ?? []);
    case MessageType.ReadIndex:
      takeRead(raft, { from: message.from, context: message.context ?? new Uint8Array() });
      return true;
    case MessageType.TransferLeader:
      transferLeadership(raft, message.vote ?? NOBODY);
      return true;
    default:
      stepAnswer(raft, message);
      return true;
  }
}

/** What a peer says about its log, or about us leading. */
function stepAnswer(raft: Raft, message: Message): void {
  const { type, from } = message;
  const progress = raft.tracker.get(from);
  if (progress !== undefined && type === MessageType.AppResp) handleAppendResponse(raft, progress, message);
  else if (progress !== undefined && type === MessageType.HeartbeatResp)
    handleHeartbeatResponse(raft, progress, message);
  else raft.trace?.({ kind: 'message-unexpected', type, from });
}

/** Takes proposals into the log and sends them off. False: they are dropped. */
export function proposeAsLeader(raft: Raft, proposals: readonly Proposal[]): boolean {
  const why = whyNoProposals(raft, proposals);
  if (why !== undefined) {
    raft.trace?.({ kind: 'proposal-dropped', why, term: raft.term });
    return false;
  }
  const nextIndex = raft.log.lastIndex + 1;
  const { pendingConfIndex } = raft;
  const taken = proposals.map((proposal, at) =>
    proposal.type === EntryType.Normal ? proposal : admitConfChange(raft, proposal, nextIndex + at),
  );
  if (!appendEntries(raft, taken)) {
    raft.pendingConfIndex = pendingConfIndex;
    return false;
  }
  broadcastAppend(raft);
  return true;
}

function whyNoProposals(raft: Raft, proposals: readonly Proposal[]): DroppedProposal | undefined {
  // Removed and still leading: what we take could not be told apart from what the next leader takes.
  if (raft.self === undefined) return 'removed';
  // A proposal now would keep the next leader from being up to date.
  if (raft.transferee !== NOBODY) return 'transferring';
  return proposals.length === 0 ? 'empty' : undefined;
}

/** A change of members that may not be made now becomes an entry without effect, so that its proposer learns of it. */
function admitConfChange(raft: Raft, proposal: Proposal, index: number): Proposal {
  const change = tryDecode(proposal.data);
  const reason = whyNotNow(raft, change);
  if (reason !== undefined) {
    raft.trace?.({ kind: 'conf-change-refused', change, conf: raft.tracker.conf, reason });
    return { type: EntryType.Normal, data: new Uint8Array() };
  }
  raft.pendingConfIndex = index;
  return proposal;
}

function tryDecode(data: Uint8Array): ConfChange | undefined {
  try {
    return decodeConfChange(data);
  } catch (error) {
    if (error instanceof ConfChangeError) return undefined;
    throw error;
  }
}

/** One change after the other: each must be applied before the next is taken (thesis, section 4.1). */
function whyNotNow(raft: Raft, change: ConfChange | undefined): RefusedConfChange | undefined {
  if (change === undefined) return { why: 'malformed' };
  if (raft.settings.disableConfChangeValidation) return undefined;
  const { applied } = raft.log;
  if (raft.pendingConfIndex > applied) return { why: 'pending', index: raft.pendingConfIndex, applied };
  const leaves = leavesJoint(change);
  if (isJoint(raft.tracker.conf)) return leaves ? undefined : { why: 'joint' };
  return leaves ? { why: 'not-joint' } : undefined;
}

function handleAppendResponse(raft: Raft, progress: Progress, message: Message): void {
  progress.recentActive = true;
  if (message.reject) handleRejection(raft, progress, message);
  else handleAcknowledgement(raft, progress, message.index ?? 0);
}

/** Tries again where the peer says that its log may match. */
function handleRejection(raft: Raft, progress: Progress, message: Message): void {
  const { index: rejected = 0, rejectHint = 0, logTerm = 0 } = message;
  const hint = { index: rejectHint, term: logTerm };
  raft.trace?.({ kind: 'append-rejected', from: progress.id, index: rejected, hint });
  // Above the hint the peer's terms are higher than the hint's; where ours are, too, nothing can match.
  const probe = hint.term > 0 ? raft.log.findConflictByTerm(hint.index, hint.term).index : hint.index;
  if (!progress.maybeDecrease(rejected, probe)) return;
  raft.trace?.({ kind: 'progress-decreased', progress: progress.status() });
  if (progress.state === 'replicate') progress.becomeProbe();
  sendAppend(raft, progress);
}

/** Its log equals ours up to `index`: perhaps more is committed, and it can take more. */
function handleAcknowledgement(raft: Raft, progress: Progress, index: number): void {
  const probed = progress.match === index && progress.state === 'probe';
  if (!progress.maybeUpdate(index) && !probed) return;
  resume(raft, progress, index);
  const isPeer = progress.id !== raft.id;
  if (maybeCommit(raft)) broadcastAppend(raft);
  else if (isPeer && progress.canBumpCommit(raft.log.committed)) sendAppend(raft, progress);
  if (isPeer) sendAllAppends(raft, progress);
  if (progress.id === raft.transferee && progress.match === raft.log.lastIndex)
    sendTimeoutNow(raft, progress);
}

function resume(raft: Raft, progress: Progress, index: number): void {
  if (progress.state === 'probe') progress.becomeReplicate();
  else if (progress.state === 'replicate') progress.inflights.freeThrough(index);
  else if (progress.match + 1 >= raft.log.firstIndex) {
    // From there on our log has what it needs, whether or not the snapshot's own arrival was reported.
    raft.trace?.({ kind: 'snapshot-recovered', progress: progress.status() });
    progress.becomeProbe();
    progress.becomeReplicate();
  }
}

function handleHeartbeatResponse(raft: Raft, progress: Progress, message: Message): void {
  progress.recentActive = true;
  progress.appendsPaused = false;
  // It may have missed something, or nobody knows where its log ends: its answer to an append will tell.
  if (progress.match < raft.log.lastIndex || progress.state === 'probe') sendAppend(raft, progress);
  const heartbeat = decodeHeartbeat(message.context);
  if (heartbeat === undefined) return;
  progress.ackedRound = Math.max(progress.ackedRound, heartbeat.round);
  progress.ackedTick = Math.max(progress.ackedTick, heartbeat.tick);
  settleReads(raft);
}

/** Hands leadership to a voter, once its log is complete; until then, and for electionTicks, takes no proposals. */
export function transferLeadership(raft: Raft, to: PeerId): void {
  const progress = raft.tracker.get(to);
  if (progress === undefined || progress.isLearner) {
    raft.trace?.({ kind: 'transfer-ignored', to, why: 'learner' });
    return;
  }
  if (raft.transferee === to) {
    raft.trace?.({ kind: 'transfer-ignored', to, why: 'under-way' });
    return;
  }
  abortTransfer(raft);
  if (to === raft.id) {
    raft.trace?.({ kind: 'transfer-ignored', to, why: 'self' });
    return;
  }
  raft.trace?.({ kind: 'transfer-started', to, term: raft.term });
  raft.electionElapsed = 0;
  raft.transferee = to;
  if (progress.match === raft.log.lastIndex) sendTimeoutNow(raft, progress);
  else sendAppend(raft, progress);
}

/** Leads on, and takes proposals again. */
export function abortTransfer(raft: Raft): void {
  if (raft.transferee === NOBODY) return;
  raft.trace?.({ kind: 'transfer-aborted', to: raft.transferee, term: raft.term });
  raft.transferee = NOBODY;
}
