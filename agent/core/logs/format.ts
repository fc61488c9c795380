import type { LogRecord } from '../engine.ts';

/*
 * What conmon writes for each piece of output (the format of Kubernetes' log files):
 * `2026-11-21T09:17:12.162750287+00:00 stdout F text`. F: the line is whole; P: more of it follows.
 */

const NEWLINE = 0x0a;
const SPACE = 0x20;

/** One record with how far it reaches. */
export interface ParsedRecord extends LogRecord {
  /** It ends a line. */
  readonly full: boolean;
}

/** Undefined for what is no record, such as a line that a crash tore. */
export function parseRecord(line: Buffer): ParsedRecord | undefined {
  const afterTime = line.indexOf(SPACE);
  const afterStream = line.indexOf(SPACE, afterTime + 1);
  const flag = line[afterStream + 1];
  if (afterTime < 20 || afterStream < 0 || line[afterStream + 2] !== SPACE) return undefined;
  const stream = line.toString('latin1', afterTime + 1, afterStream);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const full = flag === 0x46;
  const text = line.subarray(afterStream + 3);
  return {
    stream,
    full,
    at: line.toString('latin1', 0, afterTime).replace('+00:00', 'Z'),
    data: full ? Buffer.concat([text, Buffer.of(NEWLINE)]) : text,
  };
}

/** Cuts bytes that come in pieces into lines; what has no newline yet is kept for the next piece. */
export class LineCutter {
  #rest: Buffer = Buffer.alloc(0);

  /** The lines that are complete now, without their newlines. */
  push(piece: Buffer): Buffer[] {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, piece]) : piece;
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = data.indexOf(NEWLINE); at >= 0; at = data.indexOf(NEWLINE, from)) {
      lines.push(data.subarray(from, at));
      from = at + 1;
    }
    this.#rest = data.subarray(from);
    return lines;
  }
}

/** Nanoseconds since 1970 of an RFC 3339 time in UTC. */
export function nanosecondsOf(at: string): bigint {
  const [seconds = '', fraction = ''] = at.replace('Z', '').split('.');
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
}
