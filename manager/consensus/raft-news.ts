import { type TraceEvent, type TraceKind, type TraceLevel, traceLevel } from 'raft-ts';

/** Of what Raft tells about itself, what an operator wants to read without asking for more. */
const NEWS: ReadonlySet<TraceKind> = new Set([
  'election-started',
  'role-changed',
  'leader-gone',
  'conf-switched',
  'snapshot-restored',
  'transfer-started',
  'transfer-aborted',
]);
/** Without a quorum elections come several times a second, and each says the same. */
const ELECTIONS_EVERY_MS = 60_000;

/** How something is logged. */
export interface Loudness {
  readonly level: TraceLevel;
  /** Elections since one was last told of, this one among them. */
  readonly elections?: number;
}

/** How loud what Raft tells is to be logged: the first election of several in vain is news, the others rarely are. */
export class RaftNews {
  #elections = 0;
  #saidAtMs = Number.NEGATIVE_INFINITY;
  /** The election under way is not told of, and neither are the roles it leads to. */
  #isQuiet = false;

  /** Somebody leads: the next election is news again. */
  led(): void {
    this.#elections = 0;
    this.#saidAtMs = Number.NEGATIVE_INFINITY;
    this.#isQuiet = false;
  }

  loudness(event: TraceEvent, nowMs: number): Loudness {
    if (event.kind === 'election-started') return this.#election(nowMs);
    const level = traceLevel(event.kind);
    const isNews = level !== 'info' || NEWS.has(event.kind);
    const isEcho = this.#isQuiet && event.kind === 'role-changed' && event.role !== 'leader';
    return { level: isNews && !isEcho ? level : 'debug' };
  }

  #election(nowMs: number): Loudness {
    this.#elections += 1;
    this.#isQuiet = nowMs - this.#saidAtMs < ELECTIONS_EVERY_MS;
    if (this.#isQuiet) return { level: 'debug' };
    const elections = this.#elections;
    this.#elections = 0;
    this.#saidAtMs = nowMs;
    return { level: 'info', ...(elections > 1 && { elections }) };
  }
}
