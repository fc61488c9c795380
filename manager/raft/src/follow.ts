import { restoreConf } from './conf-change.ts';
import { switchToConf } from './membership.ts';
import type { Raft } from './raft.ts';
import type { EntryId } from './trace.ts';
import { type Message, MessageType, type Snapshot } from './types.ts';

/*
 * What a follower does with what its leader sends.
 */

function acknowledge(raft: Raft, leader: number, index: number): void {
  raft.sendAfterAppend({ type: MessageType.AppResp, to: leader, from: raft.id, term: raft.term, index });
}

/** Takes the entries, if ours before them are the leader's too (Raft paper, section 5.3). */
export function handleAppend(raft: Raft, message: Message): void {
  const { log } = raft;
  const prev: EntryId = { term: message.logTerm ?? 0, index: message.index ?? 0 };
  if (prev.index < log.committed) {
    acknowledge(raft, message.from, log.committed);
    return;
  }
  const lastNew = log.maybeAppend(prev, message.entries ?? [], message.commit ?? 0);
  if (lastNew !== undefined) acknowledge(raft, message.from, lastNew);
  else refuseAppend(raft, message.from, prev);
}

/** Says where our logs may still be equal, so that the leader finds it in few attempts. */
function refuseAppend(raft: Raft, leader: number, prev: EntryId): void {
  const { log } = raft;
  raft.trace?.({ kind: 'append-refused', from: leader, prev, ownTermThere: log.term(prev.index) ?? 0 });
  const hint = log.findConflictByTerm(Math.min(prev.index, log.lastIndex), prev.term);
  raft.sendAfterAppend({
    type: MessageType.AppResp,
    to: leader,
    from: raft.id,
    term: raft.term,
    logTerm: hint.term,
    index: prev.index,
    reject: true,
    rejectHint: hint.index,
  });
}

/** The leader is there; so much is committed in what we have of its log. */
export function handleHeartbeat(raft: Raft, message: Message): void {
  raft.log.commitTo(message.commit ?? 0);
  raft.send({
    type: MessageType.HeartbeatResp,
    to: message.from,
    from: raft.id,
    term: raft.term,
    ...(message.context === undefined ? {} : { context: message.context }),
  });
}

/**
 * Starts anew from the leader's snapshot, if that is ahead of us. It may be older than our own membership: then the
 * entries after it will say so.
 */
export function handleSnapshot(raft: Raft, message: Message): void {
  const { snapshot } = message;
  if (snapshot === undefined) {
    raft.trace?.({ kind: 'message-unexpected', type: message.type, from: message.from });
    return;
  }
  acknowledge(raft, message.from, restore(raft, snapshot) ? raft.log.lastIndex : raft.log.committed);
}

function restore(raft: Raft, snapshot: Snapshot): boolean {
  const { log } = raft;
  const { index, term, confState } = snapshot.meta;
  const id = { index, term };
  if (index <= log.committed) {
    raft.trace?.({ kind: 'snapshot-ignored', snapshot: id, commit: log.committed });
    return false;
  }
  if (log.matches(id)) {
    // Its entries are here already: only they are known to be committed now.
    raft.trace?.({ kind: 'snapshot-fast-forwarded', snapshot: id, commit: log.committed });
    log.commitTo(index);
    return false;
  }
  log.restore(snapshot);
  switchToConf(raft, restoreConf(confState));
  raft.trace?.({ kind: 'snapshot-restored', snapshot: id, commit: log.committed, last: log.last });
  return true;
}
