import { payloadBytes } from './entry-list.ts';
import { assert } from './errors.ts';
import { encodeHeartbeat } from './heartbeat.ts';
import { releasePostponedReads, settleReads } from './leader-reads.ts';
import type { Progress } from './progress.ts';
import type { Raft } from './raft.ts';
import { type Entry, type EntryType, MessageType } from './types.ts';

/*
 * The leader's side of replication: from its own log to the peers' logs, and from their answers to the commit index.
 */

/** What is asked to be in the log; the leader gives it a term and an index. */
export interface Proposal {
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/** Messages with entries that take long to read, ahead of a peer's answers: one is read while another is written. */
const LONG_READS_AHEAD = 2;

/** Puts proposals into our own log. False when there is no room for them. */
export function appendEntries(raft: Raft, proposals: readonly Proposal[]): boolean {
  const bytes = proposals.reduce((sum, { data }) => sum + data.length, 0);
  if (!reserve(raft, bytes)) {
    raft.trace?.({ kind: 'proposal-dropped', why: 'no-room', term: raft.term });
    return false;
  }
  let index = raft.log.lastIndex;
  const entries: Entry[] = [];
  for (const { type, data } of proposals) {
    index += 1;
    entries.push({ type, term: raft.term, index, data });
  }
  raft.log.append(entries);
  acknowledgeOwn(raft, index);
  return true;
}

/** Proposals without data always have room: a leader's first entry, and leaving a joint configuration. */
function reserve(raft: Raft, bytes: number): boolean {
  const room = raft.settings.uncommittedBytesMax - raft.uncommittedBytes;
  if (bytes > 0 && bytes > room && raft.uncommittedBytes > 0) return false;
  raft.uncommittedBytes += bytes;
  return true;
}

/** The leader counts its own log only once that is durable. Of several such messages the last one says it all. */
function acknowledgeOwn(raft: Raft, index: number): void {
  const pending = raft.messagesAfterAppend;
  const last = pending.at(-1);
  if (last?.type === MessageType.AppResp && last.to === raft.id && last.term === raft.term) pending.pop();
  raft.sendAfterAppend({
    type: MessageType.AppResp,
    to: raft.id,
    from: raft.id,
    term: raft.term,
    index,
  });
}

/** Sends every peer what it lacks, or at least the commit index. */
export function broadcastAppend(raft: Raft): void {
  for (const progress of raft.tracker.progress) {
    if (progress.id !== raft.id) sendAppend(raft, progress);
  }
}

/** Sends a peer what it lacks, or at least the commit index; unless it is paused. */
export function sendAppend(raft: Raft, progress: Progress): void {
  maybeSendAppend(raft, progress, true);
}

/** Sends a peer as much as it lacks and its limits allow. */
export function sendAllAppends(raft: Raft, progress: Progress): void {
  let sent = true;
  while (sent) sent = maybeSendAppend(raft, progress, false);
}

/** Sends a peer one message of what it lacks, or a snapshot. False when nothing was sent. */
export function maybeSendAppend(raft: Raft, progress: Progress, evenIfEmpty: boolean): boolean {
  if (progress.paused) return false;
  const { log } = raft;
  const prevIndex = progress.next - 1;
  const prevTerm = log.term(prevIndex);
  if (prevTerm === undefined) return maybeSendSnapshot(raft, progress);
  const entries = holdsBack(raft, progress)
    ? []
    : log.entriesFrom(progress.next, raft.settings.messageBytesMax);
  if (entries === undefined) return maybeSendSnapshot(raft, progress);
  if (entries.length === 0 && !evenIfEmpty) return false;
  raft.send({
    type: MessageType.App,
    to: progress.id,
    from: raft.id,
    term: raft.term,
    logTerm: prevTerm,
    index: prevIndex,
    entries,
    commit: log.committed,
  });
  progress.sentEntries(entries.length, payloadBytes(entries));
  progress.appendsPaused ||= holdsBack(raft, progress);
  progress.sentCommit(log.committed);
  return true;
}

/** Is so much under way to a peer that its answers are awaited first? */
function holdsBack({ log }: Raft, { state, inflights, next }: Progress): boolean {
  if (state !== 'replicate') return false;
  return inflights.full || (inflights.count >= LONG_READS_AHEAD && log.takesLong(next));
}

function maybeSendSnapshot(raft: Raft, progress: Progress): boolean {
  const to = progress.id;
  if (!progress.recentActive) {
    raft.trace?.({ kind: 'snapshot-held-back', to, why: 'inactive' });
    return false;
  }
  const snapshot = raft.log.snapshot();
  if (snapshot === undefined) {
    raft.trace?.({ kind: 'snapshot-held-back', to, why: 'unavailable' });
    return false;
  }
  const { index, term } = snapshot.meta;
  assert(index > 0, `member ${to} needs compacted entries, but the storage has no snapshot`);
  const before = progress.status();
  progress.becomeSnapshot(index);
  raft.trace?.({
    kind: 'snapshot-sent',
    firstIndex: raft.log.firstIndex,
    commit: raft.log.committed,
    snapshot: { term, index },
    before,
    after: progress.status(),
  });
  raft.send({ type: MessageType.Snap, to, from: raft.id, term: raft.term, snapshot });
  return true;
}

/** Tells every peer that we lead, and begins a round that confirms reads and prolongs the lease. */
export function broadcastHeartbeat(raft: Raft): void {
  const context = encodeHeartbeat({ round: raft.reads.nextRound(), tick: raft.ticks });
  for (const progress of raft.tracker.progress) {
    if (progress.id === raft.id) continue;
    // Beyond its match a peer's log may differ from ours: it must not commit there.
    const commit = Math.min(progress.match, raft.log.committed);
    raft.send({
      type: MessageType.Heartbeat,
      to: progress.id,
      from: raft.id,
      term: raft.term,
      commit,
      context,
    });
    progress.sentCommit(commit);
  }
  settleReads(raft);
}

/** Commits what a quorum has. True when that is more than before; the peers should be told. */
export function maybeCommit(raft: Raft): boolean {
  if (!raft.log.maybeCommit(raft.tracker.committed(), raft.term)) return false;
  releasePostponedReads(raft);
  return true;
}

/** Tells a peer whose log is complete to campaign at once (thesis, section 3.10). */
export function sendTimeoutNow(raft: Raft, progress: Progress): void {
  raft.timeoutNowSent = true;
  raft.send({ type: MessageType.TimeoutNow, to: progress.id, from: raft.id, term: raft.term });
  raft.trace?.({ kind: 'timeout-now-sent', to: progress.id });
}
