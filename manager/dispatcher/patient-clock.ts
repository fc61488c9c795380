import type { Clock } from '#proto/base/clock.ts';

const TICK_MS = 250;
/** A timer may be this late on a busy but working machine. */
const TOLERANCE_MS = 100;

/**
 * Time as far as this process was there to notice it: while its loop stood still (a long collection of garbage, a stopped
 * process, a suspended machine) no time passes here. Silence measured by it is the other side's, never our own.
 */
export class PatientClock implements Disposable {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'timer'>;
  /** Our time and the clock's at the last tick. */
  #noticedMs = 0;
  #tickedMs: number;
  #cancel: () => void = () => undefined;

  constructor(clock: Pick<Clock, 'monotonicMs' | 'timer'>) {
    this.#clock = clock;
    this.#tickedMs = clock.monotonicMs();
    this.#schedule();
  }

  /** Milliseconds, never going backwards; comparable with nothing but itself. */
  nowMs(): number {
    const sinceMs = this.#clock.monotonicMs() - this.#tickedMs;
    return this.#noticedMs + Math.min(sinceMs, TICK_MS + TOLERANCE_MS);
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }

  #schedule(): void {
    this.#cancel = this.#clock.timer(TICK_MS, () => {
      this.#noticedMs = this.nowMs();
      this.#tickedMs = this.#clock.monotonicMs();
      this.#schedule();
    });
  }
}
