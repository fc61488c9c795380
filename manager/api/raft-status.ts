import { messageOf } from '#proto/base/errors.ts';
import type { RaftStandingReply } from '#proto/gen/shoal.ts';
import type { Implementation, RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Consensus, Member } from '../consensus/consensus.ts';
import type { RaftHealth } from '../consensus/health.ts';
import type { LeadWatch } from '../consensus/lead-watch.ts';
import type { Store, StoreView } from '../store/view.ts';
import { isKept, type Quorum, quorumOf } from './quorum.ts';

/** What a manager's own standing is read from. */
export interface StandingParts {
  readonly nodeId: NodeId;
  readonly store: Pick<Store, 'view'>;
  readonly consensus: Pick<Consensus, 'leadership' | 'status'>;
  readonly health: Pick<RaftHealth, 'fsync' | 'tickLate' | 'diskBytes' | 'diskFull'>;
  readonly leadWatch: Pick<LeadWatch, 'leaderless'>;
}

export interface RaftStatusParts extends StandingParts {
  readonly dialer: Pick<RpcDialer, 'client'>;
}

/** A manager that does not answer within this counts as unreachable. */
const ANSWER_MS_MAX = 2_000;

type Standing = RaftStandingReply;

/** How this manager's Raft stands. Needs nobody else. */
async function standingOf(parts: StandingParts): Promise<Standing> {
  const { nodeId, store, consensus, health, leadWatch } = parts;
  const [{ term, commitIndex, appliedIndex, snapshotIndex }, diskBytes] = await Promise.all([
    consensus.status(),
    health.diskBytes(),
  ]);
  const leaderlessSinceMs = leadWatch.leaderless()?.sinceMs;
  return {
    ...{ nodeId, term, commitIndex, appliedIndex, snapshotIndex, diskBytes },
    leader: consensus.leadership().leader?.nodeId ?? '',
    fsync: health.fsync(),
    tickLate: health.tickLate(),
    diskFull: health.diskFull,
    ...(leaderlessSinceMs !== undefined && { leaderlessSinceMs }),
    epoch: store.view().cluster?.epoch ?? 0,
  };
}

/** Answers the other managers. */
export function raftReportService(parts: StandingParts): Implementation<'RaftReport'> {
  return { standing: () => standingOf(parts) };
}

/** A member, with what it says of itself or why it says nothing. */
export interface MemberReport {
  readonly member: Member;
  readonly hostname: string;
  readonly standing?: Standing;
  readonly error?: string;
}

/** The whole Raft group as one manager can find out. */
export interface RaftReport {
  readonly self: NodeId;
  readonly view: StoreView;
  readonly quorum: Quorum;
  readonly members: readonly MemberReport[];
  /** As the one that answers knows it; absent while nobody is known to lead. */
  readonly leader?: NodeId;
  readonly leaderlessSinceMs?: number;
}

/** Asks every member how it stands; those that do not answer are told as such. Works without a quorum. */
export async function collectRaftReport(parts: RaftStatusParts, signal: AbortSignal): Promise<RaftReport> {
  const { consensus, store, nodeId, leadWatch } = parts;
  const { members } = await consensus.status();
  const view = store.view();
  const reports = await Promise.all(
    members.map(async ({ member }): Promise<MemberReport> => {
      const hostname = view.nodes.get(member.nodeId)?.description?.hostname ?? '';
      return { member, hostname, ...(await ask(parts, member, signal)) };
    }),
  );
  const answered = new Set(reports.flatMap(({ member, standing }) => (standing ? [member.nodeId] : [])));
  const leader = consensus.leadership().leader?.nodeId;
  const leaderlessSinceMs = leadWatch.leaderless()?.sinceMs;
  return {
    self: nodeId,
    view,
    quorum: quorumOf(
      members.map(({ member }) => member),
      (id) => answered.has(id),
      view,
    ),
    members: reports,
    ...(leader !== undefined && { leader }),
    ...(leaderlessSinceMs !== undefined && { leaderlessSinceMs }),
  };
}

/** Enough of its managers answer, and one of them leads. */
export function isWhole({ quorum, leader }: Pick<RaftReport, 'quorum' | 'leader'>): boolean {
  return isKept(quorum) && leader !== undefined;
}

async function ask(
  parts: RaftStatusParts,
  { nodeId, controlAddr }: Member,
  signal: AbortSignal,
): Promise<Pick<MemberReport, 'standing' | 'error'>> {
  try {
    if (nodeId === parts.nodeId) return { standing: await standingOf(parts) };
    const client = parts.dialer.client('RaftReport', controlAddr, 'manager');
    const standing = await client.standing({}, { signal, timeoutMs: ANSWER_MS_MAX });
    if (standing.nodeId === nodeId) return { standing };
    return { error: `manager ${standing.nodeId} answers at ${controlAddr}` };
  } catch (error) {
    return { error: messageOf(error) };
  }
}
