import { type Clock, sleepOn } from '#proto/base/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly serial: number;
  readonly fire: () => void;
}

/** A clock that only moves when told to: no test waits for real time. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #serial = 0;
  readonly #startedAtMs: number;
  readonly #timers = new Set<Timer>();

  constructor(startedAtMs = 1_700_000_000_000) {
    this.#startedAtMs = startedAtMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#startedAtMs + this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  timer(ms: number, fire: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), serial: this.#serial++, fire };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Moves time on by `ms`, firing what falls due in order and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#timers.delete(next);
      this.#nowMs = next.atMs;
      next.fire();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Timer | undefined {
    return [...this.#timers]
      .filter((timer) => timer.atMs <= untilMs)
      .sort((a, b) => a.atMs - b.atMs || a.serial - b.serial)[0];
  }
}

/** Lets everything that is ready run: promises, and what they queue in turn. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
