/*
 * A leader that is alive but held up is worse than none: its heartbeats just keep the others from electing one that works.
 * This notices two ways to be held up, and says when somebody else should lead.
 */

/** What the loop is late by is summed up over so long. */
const WINDOW_MS = 10_000;
/** Held up for this part of it, and again and again rather than once: its disk or its processor is too slow. */
const HELD_UP_SHARE = 0.5;
const HOLD_UPS_MIN = 10;
/** The main thread says nothing for so long: nobody's request is answered any more. */
const SILENT_MS = 5_000;
/** How often it is asked for a word. */
const ASK_EVERY_MS = 1_000;
/** After the lead was given away for this, so long passes before it is again; twice as long each time it happens soon after. */
const REST_MS = 60_000;
const REST_MS_MAX = 3_600_000;

interface HoldUp {
  readonly atMs: number;
  readonly lateMs: number;
}

/** Times are those of a monotonic clock. */
export class StallWatch {
  #holdUps: HoldUp[] = [];
  #heldUpMs = 0;
  /** Since when an answer of the main thread is awaited. */
  #askedMs: number | undefined;
  #lastAskMs = Number.NEGATIVE_INFINITY;
  #restMs = REST_MS;
  #restUntilMs = Number.NEGATIVE_INFINITY;

  /** The loop came round, this much too late. What the others do not mind is no delay. */
  came(nowMs: number, lateMs: number, harmlessMs: number): void {
    if (lateMs > harmlessMs) {
      this.#holdUps.push({ atMs: nowMs, lateMs });
      this.#heldUpMs += lateMs;
    }
    while (this.#holdUps[0] !== undefined && nowMs - this.#holdUps[0].atMs > WINDOW_MS)
      this.#heldUpMs -= (this.#holdUps.shift() as HoldUp).lateMs;
    // While the loop itself stood still the main thread could not be heard: that time does not count.
    if (this.#askedMs !== undefined) this.#askedMs = Math.min(nowMs, this.#askedMs + Math.max(0, lateMs));
  }

  /** Whether to ask the main thread for a word now. */
  asks(nowMs: number): boolean {
    if (nowMs - this.#lastAskMs < ASK_EVERY_MS) return false;
    this.#lastAskMs = nowMs;
    this.#askedMs ??= nowMs;
    return true;
  }

  /** The main thread said something. */
  heard(): void {
    this.#askedMs = undefined;
  }

  /** Why somebody else should lead; nothing while all is well, or it was said not long ago. */
  complaint(nowMs: number): string | undefined {
    if (nowMs < this.#restUntilMs) return undefined;
    if (this.#askedMs !== undefined && nowMs - this.#askedMs >= SILENT_MS)
      return 'the main thread of this manager does not answer';
    if (this.#holdUps.length < HOLD_UPS_MIN || this.#heldUpMs < WINDOW_MS * HELD_UP_SHARE) return undefined;
    return 'the disk or the processor of this manager holds its Raft loop up again and again';
  }

  /** It was heeded. */
  heeded(nowMs: number): void {
    const again = nowMs - this.#restUntilMs < this.#restMs;
    this.#restMs = again ? Math.min(REST_MS_MAX, 2 * this.#restMs) : REST_MS;
    this.#restUntilMs = nowMs + this.#restMs;
    this.#holdUps = [];
    this.#heldUpMs = 0;
    this.#askedMs = undefined;
  }
}
