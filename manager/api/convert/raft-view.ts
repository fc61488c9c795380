import type { RaftLatency } from '#proto/gen/shoal.ts';
import type { Node } from '#proto/types/objects.ts';
import { spareAfterMs } from '../../leader/spares.ts';
import { quorumText } from '../quorum.ts';
import type { MemberReport, RaftReport } from '../raft-status.ts';
import { isWhole } from '../raft-status.ts';
import { timestamp } from './time.ts';

/** GET /shoal/raft: durations in milliseconds, sizes in bytes. */
export interface RaftView {
  readonly ClusterID: string;
  readonly Epoch: number;
  /** Who answered. */
  readonly NodeID: string;
  readonly Quorum: {
    readonly Kept: boolean;
    readonly Voters: number;
    readonly Needed: number;
    readonly Reachable: number;
    /** Since nobody leads. */
    readonly LostSince?: string;
    /** What is wrong and what to do; empty while nothing is. */
    readonly Message: string;
  };
  /** Without a leader, the list of members is what this manager knew last. */
  readonly Stale: boolean;
  readonly Members: readonly MemberView[];
  /** Workers that take the place of a manager that is lost. */
  readonly Spares: readonly SpareView[];
  /** Managers need the cluster's unlock key after a restart. */
  readonly AutoLock: boolean;
}

export interface SpareView {
  readonly NodeID: string;
  readonly Hostname: string;
  readonly Ready: boolean;
  /** How long a manager has to be lost. */
  readonly AfterSeconds: number;
}

export interface MemberView {
  readonly NodeID: string;
  readonly Hostname: string;
  readonly RaftID: number;
  readonly Addr: string;
  readonly RaftAddr: string;
  readonly Voter: boolean;
  readonly Leader: boolean;
  readonly Reachable: boolean;
  /** Why nothing more is known. */
  readonly Error?: string;
  readonly Term?: number;
  readonly Commit?: number;
  readonly Applied?: number;
  /** Entries that it has yet to commit of what the furthest one has. */
  readonly Lag?: number;
  readonly SnapshotIndex?: number;
  readonly DiskBytes?: number;
  /** It has no room for its log. */
  readonly DiskFull?: boolean;
  /** Of the last minute. */
  readonly Fsync?: LatencyView;
  readonly TickLate?: LatencyView;
}

export interface LatencyView {
  readonly Count: number;
  readonly P50Ms: number;
  readonly P99Ms: number;
}

export function raftView(report: RaftReport): RaftView {
  const { view, self, quorum, members, leader, leaderlessSinceMs } = report;
  const kept = isWhole(report);
  const furthest = Math.max(0, ...members.map(({ standing }) => standing?.commitIndex ?? 0));
  return {
    ClusterID: view.cluster?.id ?? '',
    Epoch: view.cluster?.epoch ?? 0,
    NodeID: self,
    Quorum: {
      Kept: kept,
      Voters: quorum.voters,
      Needed: quorum.needed,
      Reachable: quorum.reachable,
      ...(leaderlessSinceMs !== undefined && { LostSince: timestamp(leaderlessSinceMs) }),
      Message: kept ? '' : messageOf(report),
    },
    Stale: leader === undefined,
    Members: members.map((member) => memberView(member, leader, furthest)),
    Spares: [...view.nodes.all()].flatMap(spareView),
    AutoLock: view.cluster?.spec.autoLockManagers ?? false,
  };
}

function spareView(node: Node): SpareView[] {
  const afterMs = spareAfterMs(node);
  if (afterMs === undefined || node.spec.role === 'manager') return [];
  const { id, description, status } = node;
  const Ready = status.state === 'ready';
  return [{ NodeID: id, Hostname: description?.hostname ?? '', Ready, AfterSeconds: afterMs / 1_000 }];
}

function messageOf({ quorum, leaderlessSinceMs }: RaftReport): string {
  if (quorum.reachable < quorum.needed) return quorumText(quorum, leaderlessSinceMs);
  return 'Nobody leads although enough managers answer: an election is under way. If it does not end, look whether the managers reach each other at their Raft addresses.';
}

function memberView(
  { member, hostname, standing, error }: MemberReport,
  leader: string | undefined,
  furthest: number,
): MemberView {
  const { nodeId, raftId, controlAddr, raftAddr, learner } = member;
  const known = {
    ...{ NodeID: nodeId, Hostname: hostname, RaftID: raftId, Addr: controlAddr, RaftAddr: raftAddr },
    ...{ Voter: !learner, Leader: nodeId === leader, Reachable: standing !== undefined },
  };
  if (standing === undefined) return { ...known, ...(error !== undefined && { Error: error }) };
  const commit = standing.commitIndex;
  return {
    ...known,
    Term: standing.term,
    Commit: commit,
    Applied: standing.appliedIndex,
    Lag: Math.max(0, furthest - commit),
    SnapshotIndex: standing.snapshotIndex,
    DiskBytes: standing.diskBytes,
    ...(standing.diskFull && { DiskFull: true }),
    ...(standing.fsync && { Fsync: latencyView(standing.fsync) }),
    ...(standing.tickLate && { TickLate: latencyView(standing.tickLate) }),
  };
}

function latencyView({ count, p50Ms, p99Ms }: RaftLatency): LatencyView {
  return { Count: count, P50Ms: p50Ms, P99Ms: p99Ms };
}
