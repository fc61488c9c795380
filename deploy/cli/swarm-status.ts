import type { Command } from 'commander';
import type { LatencyView, MemberView, RaftView } from '#manager/api/convert/raft-view.ts';
import { clientFor } from './context.ts';
import { ago, humanSize, printJson, printTable } from './output.ts';

/** `shoal swarm status`: how the managers' Raft group stands, also when it has lost its quorum. */
export function addStatus(swarm: Command): void {
  swarm
    .command('status')
    .description('Show how the managers stand: who leads, who is behind, whether there is a quorum')
    .option('--json', 'as the API gives it', false)
    .addHelpText(
      'after',
      `
Any manager answers, without a quorum too: it asks the others, and says which of them do not answer.
LAG is how many entries a manager has yet to commit of what the furthest one has. FSYNC is how long
writes of its log took in the last minute, half of them and all but one in a hundred.`,
    )
    .action(async (opts: { json: boolean }, command: Command) => {
      const status = await clientFor(command).call<RaftView>('GET', '/shoal/raft');
      if (opts.json) return printJson(status);
      for (const line of headlines(status, Date.now())) console.log(line);
      printMembers(status);
      for (const line of footnotes(status)) console.log(line);
    });
}

/** What comes before the table. */
export function headlines({ Quorum, ClusterID, Stale }: RaftView, nowMs: number): string[] {
  const { Kept, Voters, Needed, Reachable, LostSince, Message } = Quorum;
  const count = `${Reachable} of ${Voters} managers reachable, ${Needed} needed`;
  const voters = Voters === 2 ? [TWO] : [];
  if (Kept) return [`Cluster ${ClusterID}: quorum kept, ${count}.`, ...voters, ''];
  const since = LostSince === undefined ? '' : ` for ${ago(Date.parse(LostSince), nowMs).toLowerCase()}`;
  const lines = [`Cluster ${ClusterID}: NO LEADER${since}, ${count}.`, '', Message];
  if (Stale) lines.push('What follows is what this manager knew last, and what those say that answer.');
  return [...lines, ''];
}

/** What comes after the table. */
export function footnotes({ Spares, AutoLock, Members }: RaftView): string[] {
  const full = Members.filter(({ DiskFull }) => DiskFull).map(({ Hostname }) => Hostname);
  const spares = Spares.map(({ Hostname, Ready, AfterSeconds }) => {
    return `${Hostname} (after ${AfterSeconds} s${Ready ? '' : ', not ready'})`;
  });
  const lines = [
    ...(full.length > 0 ? [`No room on disk: ${full.join(', ')}. ${FULL}`] : []),
    ...(spares.length > 0 ? [`Spares for a manager that is lost: ${spares.join(', ')}.`] : []),
    ...(AutoLock ? ['Managers lock themselves: each needs the unlock key after a restart.'] : []),
  ];
  return lines.length > 0 ? ['', ...lines] : [];
}

const FULL = 'Until there is, such a manager takes no changes, and does not see those of the others.';

const TWO = 'Two managers: losing either of them loses the quorum. Run one, three or five.';

const HEADINGS = ['NODE', 'ID', 'ADDRESS', 'STATUS', 'VOTES', 'TERM', 'COMMIT', 'APPLIED', 'LAG'];

function printMembers({ Members, NodeID }: RaftView): void {
  printTable(
    [...HEADINGS, 'SNAPSHOT', 'FSYNC P50/P99', 'DISK'],
    Members.map((member) => rowOf(member, NodeID)),
  );
}

function rowOf(member: MemberView, self: string): string[] {
  const { NodeID, Hostname, Addr, Term, Commit, Applied, Lag, SnapshotIndex, DiskBytes, DiskFull } = member;
  return [
    NodeID === self ? `${Hostname} *` : Hostname,
    NodeID.slice(0, 12),
    Addr,
    stateOf(member),
    member.Voter ? 'yes' : 'not yet',
    ...[Term, Commit, Applied, Lag, SnapshotIndex].map((number) =>
      number === undefined ? '-' : `${number}`,
    ),
    latency(member.Fsync),
    DiskBytes === undefined ? '-' : `${humanSize(DiskBytes)}${DiskFull ? ' FULL' : ''}`,
  ];
}

function stateOf({ Leader, Reachable }: MemberView): string {
  if (!Reachable) return 'Unreachable';
  return Leader ? 'Leader' : 'Reachable';
}

function latency(measured: LatencyView | undefined): string {
  return measured === undefined ? '-' : `${measured.P50Ms} / ${measured.P99Ms} ms`;
}
