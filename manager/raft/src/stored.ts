import { entriesBytes, payloadBytes } from './entry-list.ts';
import type { Raft } from './raft.ts';
import { proposeAsLeader } from './step-leader.ts';
import { type Entry, EntryType, type Message, type Snapshot } from './types.ts';

/*
 * What storage reports: a write is durable, or entries are applied.
 */

/** A StorageAppendResp of our own term. */
export function handleAppended(raft: Raft, { index, logTerm, snapshot }: Message): void {
  if (index !== undefined && logTerm !== undefined) raft.log.unstable.stableTo(index, logTerm);
  if (snapshot !== undefined) appliedSnapshot(raft, snapshot);
}

/**
 * A StorageAppendResp of an earlier term. Its entries may have been overwritten since, and written again as they were:
 * only the report of that later write can be believed. A snapshot is what it is in any term.
 */
export function handleAppendedEarlier(raft: Raft, { snapshot }: Message): void {
  if (snapshot !== undefined) appliedSnapshot(raft, snapshot);
}

function appliedSnapshot(raft: Raft, { meta }: Snapshot): void {
  raft.log.unstable.stableSnapshotTo(meta.index);
  appliedTo(raft, meta.index, 0);
}

/** These entries, which were handed out, are applied. */
export function handleApplied(raft: Raft, entries: readonly Entry[]): void {
  const last = entries.at(-1);
  if (last === undefined) return;
  raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - payloadBytes(entries));
  appliedTo(raft, last.index, entriesBytes(entries));
}

function appliedTo(raft: Raft, index: number, bytes: number): void {
  raft.log.appliedTo(Math.max(index, raft.log.applied), bytes);
  maybeLeaveJoint(raft);
}

/**
 * A joint configuration that leaves itself does so once it is applied by the leader. A transfer of leadership drops this
 * proposal; then the next entry applied, here or at the new leader, tries again.
 */
function maybeLeaveJoint(raft: Raft): void {
  const { conf } = raft.tracker;
  if (!conf.autoLeave || raft.role !== 'leader' || raft.log.applied < raft.pendingConfIndex) return;
  if (proposeAsLeader(raft, [{ type: EntryType.ConfChangeV2, data: new Uint8Array() }]))
    raft.trace?.({ kind: 'leaving-joint', conf });
}
