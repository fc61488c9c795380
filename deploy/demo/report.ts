import Table from 'cli-table3';
import type { Progress } from './scenario.ts';

/** The outcome of a run; times in milliseconds. */
export interface Report {
  readonly ok: boolean;
  readonly firstReplicaMs: number | undefined;
  readonly leaderlessMs: number | undefined;
  readonly phases: readonly { readonly name: string; readonly ms: number; readonly failed?: string }[];
  readonly requests: {
    readonly sent: number;
    readonly failed: number;
    readonly versions: Readonly<Record<string, number>>;
    readonly lastFailure?: string;
  };
}

/** Sums a run up: it is good when every phase converged and no request failed. */
export function reportOf({ phases, load, firstReplicaMs, leaderlessMs }: Progress): Report {
  const failed = phases.some((phase) => phase.failed !== undefined || phase.endedAtMs === undefined);
  const unanswered = load === undefined ? 0 : load.sent - load.answered - load.failed;
  const requestsFailed = (load?.failed ?? 0) + unanswered;
  return {
    ok: !failed && load !== undefined && load.answered > 0 && requestsFailed === 0,
    firstReplicaMs: rounded(firstReplicaMs),
    leaderlessMs: rounded(leaderlessMs),
    phases: phases.map(({ name, startedAtMs, endedAtMs, failed: why }) => ({
      name,
      ms: Math.round((endedAtMs ?? startedAtMs) - startedAtMs),
      ...(why === undefined ? {} : { failed: why }),
    })),
    requests: {
      sent: load?.sent ?? 0,
      failed: requestsFailed,
      versions: load?.versions ?? {},
      ...(load?.lastFailure ? { lastFailure: load.lastFailure } : {}),
    },
  };
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}

/** The report as a table for people. */
export function tableOf(report: Report): string {
  const table = new Table({
    head: ['what', 'result'],
    colAligns: ['left', 'right'],
    style: { head: [], border: [] },
  });
  for (const { name, ms, failed } of report.phases) table.push([name, failed ?? seconds(ms)]);
  table.push(
    ['time to first replica (create to first answer)', seconds(report.firstReplicaMs)],
    ['time without a leader', seconds(report.leaderlessMs)],
    ['requests sent', String(report.requests.sent)],
    ['requests failed', String(report.requests.failed)],
    ['versions seen', versionsText(report.requests.versions)],
  );
  return table.toString();
}

export function versionsText(versions: Readonly<Record<string, number>>): string {
  const seen = Object.entries(versions).sort(([a], [b]) => a.localeCompare(b));
  return seen.map(([version, count]) => `${version}: ${count}`).join(', ') || 'none';
}

export function seconds(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
