import { EntryType } from 'raft-ts';
import { toChunks } from './chunk-stream.ts';
import type { Disk } from './disk.ts';
import type { LogItem } from './items.ts';
import { type KeyRing, loadKeys } from './keys.ts';
import { decodeChange, type Membership, type Peer } from './membership.ts';
import { SnapshotReader, snapshotPaths } from './snapshots.ts';
import { logDirectory, snapshotDirectory } from './state.ts';
import { readWal } from './wal-read.ts';

/** Something that a state directory says; values to print. */
export type DumpLine =
  | {
      readonly kind: 'snapshot';
      readonly path: string;
      readonly index: number;
      readonly term: number;
      readonly membership: Membership;
    }
  | {
      readonly kind: 'segment';
      readonly path: string;
      /** How much of the file belongs to the log. */
      readonly usedBytes: number;
      readonly bytes: number;
    }
  | { readonly kind: 'identity'; readonly raftId: number; readonly nodeId: string }
  | { readonly kind: 'hard-state'; readonly term: number; readonly vote: number; readonly commit: number }
  | { readonly kind: 'restart'; readonly index: number; readonly term: number }
  | { readonly kind: 'entry'; readonly index: number; readonly term: number; readonly data: Uint8Array }
  | {
      readonly kind: 'conf-change';
      readonly index: number;
      readonly term: number;
      readonly changes: readonly string[];
      readonly peer: Peer | undefined;
    };

const CHANGE_NAMES = ['add voter', 'remove', 'update', 'add learner'] as const;

/**
 * What a manager's state directory says, as it was written: snapshots, then the log with everything that was overwritten
 * later. Changes nothing; for a manager that does not run. Throws FAILED_PRECONDITION where it is damaged.
 */
export function* dumpState(
  disk: Disk,
  stateDir: string,
  lock?: Uint8Array,
): Generator<DumpLine, void, undefined> {
  const keys = loadKeys(disk, stateDir, lock);
  for (const path of snapshotPaths(disk, snapshotDirectory(stateDir))) {
    const { index, term, membership } = withSnapshot(disk, keys, path, (reader) => reader.info);
    yield { kind: 'snapshot', path, index, term, membership };
  }
  for (const { path, tail, bytes, items } of readWal(logDirectory(stateDir), { disk, keys }).segments) {
    yield { kind: 'segment', path, usedBytes: tail, bytes };
    for (const item of items) yield lineOf(item);
  }
}

/** The state machine's chunks in a snapshot that dumpState named. */
export async function* dumpSnapshot(
  disk: Disk,
  stateDir: string,
  path: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new SnapshotReader(path, { disk, keys: loadKeys(disk, stateDir) });
  try {
    yield* toChunks(piecesOf(reader));
  } finally {
    reader.close();
  }
}

async function* piecesOf(reader: SnapshotReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (let piece = reader.next(); piece !== undefined; piece = reader.next()) yield piece;
}

function withSnapshot<T>(disk: Disk, keys: KeyRing, path: string, use: (reader: SnapshotReader) => T): T {
  const reader = new SnapshotReader(path, { disk, keys });
  try {
    return use(reader);
  } finally {
    reader.close();
  }
}

function lineOf(item: LogItem): DumpLine {
  switch (item.kind) {
    case 'identity':
      return { kind: 'identity', ...item.identity };
    case 'hard-state':
      return { kind: 'hard-state', ...item.hardState };
    case 'restart':
      return item;
    case 'entry': {
      const { index, term, data, type } = item.entry;
      if (type === EntryType.Normal) return { kind: 'entry', index, term, data };
      const { change, peer } = decodeChange(item.entry);
      const changes = change.changes.map((one) => `${CHANGE_NAMES[one.type]} ${one.nodeId}`);
      return { kind: 'conf-change', index, term, changes, peer };
    }
  }
}
