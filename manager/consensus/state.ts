import { ConfChangeType, type Entry, type HardState } from 'raft-ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Disk } from './disk.ts';
import { confChangeEntry, entriesToGoOnAlone } from './force-new-cluster.ts';
import type { Identity } from './items.ts';
import { createKeys, hasKeys, type KeyRing, type Keys, loadKeys } from './keys.ts';
import { LogStorage } from './log-storage.ts';
import { NO_MEMBERSHIP, type Peer } from './membership.ts';
import type { CoreModules, CoreOpts, StartOpts } from './opts.ts';
import { damaged } from './sealed.ts';
import { Snapshots, snapshotPaths } from './snapshots.ts';
import { Wal } from './wal.ts';
import { type LogContent, readWal } from './wal-read.ts';
import { type SnapshotInfo, snapshotOf } from './wire.ts';

/** Everything a member has on disk, opened. */
export interface State {
  readonly self: Peer;
  readonly keys: Keys;
  readonly wal: Wal;
  readonly snapshots: Snapshots;
  /** The log as Raft reads it; what it holds is on disk. */
  readonly storage: LogStorage;
  /** What the state machine starts from. */
  readonly snapshot: SnapshotInfo | undefined;
}

export function logDirectory(stateDir: string): string {
  return `${stateDir}/log`;
}

export function snapshotDirectory(stateDir: string): string {
  return `${stateDir}/snapshots`;
}

/**
 * Whether a manager's Raft state is there, or a part of it, so that it restarts rather than joins. Throws when it is
 * damaged, or can't be read for want of its keys.
 */
export function hasRaftState(disk: Disk, stateDir: string, lock?: Uint8Array): boolean {
  if (!holdsState(disk, stateDir) && !hasKeys(disk, stateDir)) return false;
  const modules = { disk, keys: loadKeys(disk, stateDir, lock) };
  const { identity } = readWal(logDirectory(stateDir), modules).content;
  return identity !== undefined || snapshotPaths(disk, snapshotDirectory(stateDir)).length > 0;
}

/** Opens a member's state, or makes it. Throws FAILED_PRECONDITION when it is damaged or another's, CONFLICT, NOT_FOUND. */
export function openState(
  opts: CoreOpts,
  modules: CoreModules,
  observeSync: (seconds: number) => void,
): State {
  const { disk } = modules;
  disk.makeDirectory(opts.stateDir);
  const wanted = wantedIdentity(opts);
  const keys = openKeys(opts, modules);
  const snapshots = openSnapshots(opts, modules, keys);
  disk.makeDirectory(logDirectory(opts.stateDir));
  const found = readWal(logDirectory(opts.stateDir), { disk, keys }).content;
  const identity = checkIdentity(opts, wanted, found, snapshots.latest !== undefined);
  refuseLoss(found, snapshots.latest?.index ?? 0);
  const self: Peer = { ...opts.self, raftId: identity.raftId };
  const walOpts = {
    directory: logDirectory(opts.stateDir),
    identity,
    segmentBytes: opts.limits.segmentBytes,
  };
  const { wal, content } = Wal.open(walOpts, { ...modules, keys, observeSync });
  const restored = reconcile(content, snapshots.latest, wal);
  if (content.identity === undefined) restored.push(firstWords(opts.start, self, wal));
  const storage = new LogStorage({ memoryBytes: opts.limits.logMemoryBytes }, wal);
  if (snapshots.latest !== undefined) storage.applySnapshot(snapshotOf(snapshots.latest));
  for (const words of restored) remember(words, storage);
  if (opts.forceNewCluster) remember(goOnAlone(self, snapshots.latest, restored, storage, wal), storage);
  return { self, keys, wal, snapshots, storage, snapshot: snapshots.latest };
}

/** Who we are if nothing is on disk yet. */
function wantedIdentity({ start, self }: CoreOpts): Identity | undefined {
  if (start.kind === 'restart') return undefined;
  return { raftId: start.kind === 'bootstrap' ? 1 : start.raftId, nodeId: self.nodeId };
}

function openKeys({ stateDir, start, lock }: CoreOpts, { disk, random }: CoreModules): Keys {
  const isNew = !hasKeys(disk, stateDir) && start.kind !== 'restart' && !holdsState(disk, stateDir);
  return isNew ? createKeys(disk, stateDir, random) : loadKeys(disk, stateDir, lock);
}

function holdsState(disk: Disk, stateDir: string): boolean {
  disk.makeDirectory(logDirectory(stateDir));
  disk.makeDirectory(snapshotDirectory(stateDir));
  return [...disk.list(logDirectory(stateDir)), ...disk.list(snapshotDirectory(stateDir))].length > 0;
}

function openSnapshots({ stateDir, limits }: CoreOpts, modules: CoreModules, keys: KeyRing): Snapshots {
  const opts = { directory: snapshotDirectory(stateDir), keep: limits.snapshotsKept };
  return new Snapshots(opts, { ...modules, keys });
}

function checkIdentity(
  opts: CoreOpts,
  wanted: Identity | undefined,
  content: LogContent,
  hasSnapshot: boolean,
): Identity {
  const found = content.identity;
  const { stateDir } = opts;
  if (found === undefined) {
    if (hasSnapshot) throw damaged(`${stateDir} holds a snapshot, and the log that goes with it is missing`);
    if (wanted !== undefined) return wanted;
    throw new ShoalError('NOT_FOUND', `${stateDir} holds no Raft state: this manager has yet to join`);
  }
  if (wanted !== undefined) {
    const message = `${stateDir} already holds the Raft state of manager ${found.nodeId}: restart it, or remove it first`;
    throw new ShoalError('CONFLICT', message);
  }
  if (found.nodeId === opts.self.nodeId) return found;
  const message = `${stateDir} holds the Raft state of manager ${found.nodeId}, and this is ${opts.self.nodeId}: give it the state that belongs to it`;
  throw new ShoalError('FAILED_PRECONDITION', message);
}

interface Restored {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

/**
 * What of the log goes on behind the snapshot. A log that does not reach the snapshot, or differs there, was about to be
 * emptied for it when the machine stopped (Raft paper, section 7): that is done now.
 */
function reconcile(content: LogContent, snapshot: SnapshotInfo | undefined, wal: Wal): Restored[] {
  const { entries, hardState } = content;
  const { index: base, term: baseTerm } = snapshot ?? { index: 0, term: 0 };
  const firstIndex = firstIndexOf(content);
  const lastIndex = firstIndex + entries.length - 1;
  const there = entries[base - firstIndex];
  const differs = lastIndex < base || (there !== undefined && there.term !== baseTerm);
  if (!differs) {
    const commit = Math.max(hardState.commit, base);
    return [
      { hardState: { ...hardState, commit }, entries: entries.slice(Math.max(0, base + 1 - firstIndex)) },
    ];
  }
  const term = Math.max(hardState.term, baseTerm);
  const emptied = { term, vote: term === hardState.term ? hardState.vote : 0, commit: base };
  wal.append({ restart: { index: base, term: baseTerm }, hardState: emptied, entries: [] });
  return [{ hardState: emptied, entries: [] }];
}

/** A log that does not go on where the newest snapshot ends: one that was confirmed is missing. Nothing is written before. */
function refuseLoss(content: LogContent, snapshotIndex: number): void {
  const { entries, restart, committedIndex } = content;
  // One without entries was emptied for all that it calls committed.
  const behind = Math.max(restart?.index ?? 0, entries.length === 0 ? committedIndex : 0);
  if (behind > snapshotIndex)
    throw damaged(`the log goes on behind a snapshot at index ${behind}, and that snapshot is missing`);
  const first = firstIndexOf(content);
  if (first > snapshotIndex + 1)
    throw damaged(`entries ${snapshotIndex + 1} to ${first - 1} of the log are missing`);
}

function firstIndexOf({ entries, restart }: LogContent): number {
  return entries[0]?.index ?? (restart?.index ?? 0) + 1;
}

/** The first thing a new member writes: who it is, and when it is the first of all, that it is one. */
function firstWords(start: StartOpts, self: Peer, wal: Wal): Restored {
  const isFirst = start.kind === 'bootstrap';
  const change = { type: ConfChangeType.AddNode, nodeId: self.raftId };
  const words: Restored = {
    hardState: isFirst ? { term: 1, vote: 0, commit: 1 } : { term: 0, vote: 0, commit: 0 },
    entries: isFirst ? [confChangeEntry(change, self, { index: 1, term: 1 })] : [],
  };
  wal.append(words);
  return words;
}

function remember({ entries, hardState }: Restored, storage: LogStorage): void {
  storage.append(entries);
  storage.setHardState(hardState);
}

/** What a member says that goes on alone, after all that it has. */
function goOnAlone(
  self: Peer,
  snapshot: SnapshotInfo | undefined,
  restored: readonly Restored[],
  storage: LogStorage,
  wal: Wal,
): Restored {
  const { hardState } = storage.initialState();
  const place = { lastIndex: storage.lastIndex(), term: hardState.term };
  const log = restored.flatMap((words) => words.entries);
  const entries = entriesToGoOnAlone(self, snapshot?.membership ?? NO_MEMBERSHIP, log, place);
  const words = { entries, hardState: { ...hardState, commit: place.lastIndex + entries.length } };
  wal.append(words);
  return words;
}
