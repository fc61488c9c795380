import { ShoalError } from '#proto/base/errors.ts';
import type { ApiRequest, Reply } from '#proto/http/types.ts';
import { boolQuery, stream } from '#proto/http/types.ts';
import type { ClusterId, NodeId } from '#proto/types/ids.ts';
import { SHOAL_VERSION } from '#proto/types/version.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { LeadWatch } from '../consensus/lead-watch.ts';
import type { Store } from '../store/view.ts';
import { freshView } from './handlers.ts';

/*
 * A backup as it travels: a line of JSON that says what it is, then the chunks of the store's snapshot, which say
 * themselves where they end.
 */

export const BACKUP_TYPE = 'application/x-shoal-backup';
const FORMAT = 1;
const LINE_BYTES_MAX = 64 * 1024;
const NEWLINE = 10;

/** What a backup says of itself. */
export interface BackupHeader {
  readonly Format: number;
  readonly ClusterID: ClusterId;
  readonly CreatedAt: string;
  /** The manager that gave it. */
  readonly NodeID: NodeId;
  readonly Version: string;
  /** Of the log's last entry that is in it, and the term when it was taken. */
  readonly Index: number;
  readonly Term: number;
  /** No member of the group it was taken from has this id or a higher one. */
  readonly NextRaftID: number;
  readonly Counts: Readonly<Record<'Nodes' | 'Services' | 'Networks' | 'Tasks', number>>;
}

export interface BackupParts {
  readonly nodeId: NodeId;
  readonly store: Pick<Store, 'view' | 'readBarrier'>;
  readonly consensus: Pick<Consensus, 'status' | 'leadership'>;
  readonly leadWatch: Pick<LeadWatch, 'leaderless'>;
  /** The state as it is when the first chunk is asked for. */
  readonly snapshot: () => AsyncIterable<Uint8Array>;
}

/** Everything the cluster knows, as of now; with `?stale=1` as of what this manager knows, which needs no quorum. */
export async function backup(
  parts: BackupParts,
  { query, signal }: ApiRequest,
  nowMs: number,
): Promise<Reply> {
  const leaderless = () => parts.leadWatch.leaderless();
  if (!boolQuery(query, 'stale')) await freshView({ ...parts, leaderless }, signal);
  const { term, members } = await parts.consensus.status();
  const nextRaftId = Math.max(0, ...members.map(({ member }) => member.raftId)) + 1;
  return stream(BACKUP_TYPE, backupOf(parts, { term, nextRaftId, nowMs }));
}

async function* backupOf(
  { nodeId, store, snapshot }: BackupParts,
  { term, nextRaftId, nowMs }: { term: number; nextRaftId: number; nowMs: number },
): AsyncGenerator<Uint8Array> {
  const chunks = snapshot()[Symbol.asyncIterator]();
  // The view and the snapshot are taken in one turn: nothing is applied in between.
  const view = store.view();
  const first = chunks.next();
  const { cluster, nodes, services, networks, tasks, version } = view;
  if (cluster === undefined) throw new ShoalError('UNAVAILABLE', 'the swarm is not there yet: try again');
  const header: BackupHeader = {
    Format: FORMAT,
    ClusterID: cluster.id,
    CreatedAt: new Date(nowMs).toISOString(),
    NodeID: nodeId,
    Version: SHOAL_VERSION,
    Index: version,
    Term: term,
    NextRaftID: nextRaftId,
    Counts: { Nodes: nodes.size, Services: services.size, Networks: networks.size, Tasks: tasks.size },
  };
  yield Buffer.from(`${JSON.stringify(header)}\n`);
  for (let next = await first; !next.done; next = await chunks.next()) yield next.value;
}

/** Takes a backup apart: what it says of itself, and the chunks behind. INVALID_ARGUMENT on what is none. */
export async function readBackup(
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ header: BackupHeader; chunks: AsyncIterable<Uint8Array> }> {
  const source = bytes[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (!head.includes(NEWLINE)) {
    const next = await source.next();
    if (next.done || head.length > LINE_BYTES_MAX) throw noBackup('it does not start as one');
    head = Buffer.concat([head, next.value]);
  }
  const end = head.indexOf(NEWLINE);
  return { header: headerIn(head.toString('utf8', 0, end)), chunks: behind(head.subarray(end + 1), source) };
}

async function* behind(first: Uint8Array, source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
}

function headerIn(line: string): BackupHeader {
  let header: Partial<BackupHeader>;
  try {
    header = JSON.parse(line) as Partial<BackupHeader>;
  } catch {
    throw noBackup('it does not start as one');
  }
  const { Format, ClusterID, Index, Term, NextRaftID, Version } = header;
  if (typeof Format !== 'number' || typeof ClusterID !== 'string') throw noBackup('it does not start as one');
  if (Format > FORMAT)
    throw noBackup(`it has format ${Format} of Shoal ${Version}, newer than this one's ${FORMAT}`);
  if (![Index, Term, NextRaftID].every((number) => Number.isSafeInteger(number) && Number(number) > 0)) {
    throw noBackup('it does not say where its log ends');
  }
  return header as BackupHeader;
}

function noBackup(why: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `this is no backup that can be restored: ${why}`);
}
