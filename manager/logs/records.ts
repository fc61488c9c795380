import type { NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';

/** What of the output of tasks is asked for. */
export interface LogOpts {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** Nanoseconds since 1970. */
  readonly sinceNs?: bigint;
  readonly untilNs?: bigint;
  /** The last lines of each task only. */
  readonly tail?: number;
}

/** Whose output: of all tasks a service has and will have, or of one task. */
export type LogSelector = { readonly serviceId: ServiceId } | { readonly taskId: TaskId };

/** Something a task has said: a line, or a part of a long one. */
export interface LogRecord {
  readonly taskId: TaskId;
  readonly serviceId: ServiceId;
  readonly nodeId: NodeId;
  readonly stderr: boolean;
  /** RFC 3339 with nanoseconds, as its node wrote it. */
  readonly at: string;
  readonly atNs: bigint;
  readonly data: Uint8Array;
}

const NS_PER_MS = 1_000_000n;

/** A moment in RFC 3339 as nanoseconds since 1970; 0 for what is none. */
export function nanoseconds(at: string): bigint {
  const [, whole = '', fraction = '', zone = ''] = /^(.+?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(at) ?? [];
  const ms = Date.parse(`${whole}${zone}`);
  return Number.isNaN(ms) ? 0n : BigInt(ms) * NS_PER_MS + BigInt(fraction.padEnd(9, '0'));
}
