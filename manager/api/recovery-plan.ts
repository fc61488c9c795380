import type { Member } from '../consensus/consensus.ts';
import { isWhole, type MemberReport, type RaftReport } from './raft-status.ts';

/** What going on alone would do, and what speaks against it. */
export interface RecoveryPlan {
  /** Reasons not to; each says what to do instead. */
  readonly refusals: readonly string[];
  readonly steps: readonly string[];
}

/** What it takes, and means, for the manager that answers to go on with the cluster alone. */
export function recoveryPlan(report: RaftReport): RecoveryPlan {
  const own = report.members.find(({ member }) => member.nodeId === report.self);
  const others = report.members.filter(({ member }) => member.nodeId !== report.self);
  return { refusals: refusals(report, others, own), steps: steps(report, others, own) };
}

function refusals(
  report: RaftReport,
  others: readonly MemberReport[],
  own: MemberReport | undefined,
): string[] {
  if (isWhole(report)) {
    return [
      'This cluster has a quorum and a leader: there is nothing to recover. "shoal node demote" removes a manager.',
    ];
  }
  const answering = others.filter(({ standing }) => standing !== undefined);
  return answering.map((other) => {
    const ahead = (other.standing?.commitIndex ?? 0) - (own?.standing?.commitIndex ?? 0);
    const more =
      ahead > 0 ? `, and knows ${ahead} committed entries more than this one: recover there instead` : '';
    return `Manager ${nameOf(other)} still answers${more}. Start the managers that are missing if you can; if they are lost for good, stop it first, or recover with --force, and it gives up what it has.`;
  });
}

function steps(report: RaftReport, others: readonly MemberReport[], own: MemberReport | undefined): string[] {
  const { cluster } = report.view;
  const self = own === undefined ? report.self : nameOf(own);
  const gone = others.map(nameOf).join(', ') || 'none';
  return [
    `${self} goes on alone with cluster ${cluster?.id ?? '(unknown)'}: its services, tasks, networks, tokens and certificates.`,
    `All of its log counts as committed (${own?.standing?.commitIndex ?? 0} entries are known to be). What other managers acknowledged and it never received is lost.`,
    `Removed from the managers: ${gone}. They become workers when they come back, and can be promoted again.`,
    'Running tasks go on. Those of nodes that do not return are placed elsewhere once these are found down.',
  ];
}

function nameOf({ hostname, member }: { readonly hostname: string; readonly member: Member }): string {
  return `${hostname || member.nodeId} (${member.controlAddr})`;
}
