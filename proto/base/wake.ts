import type { Clock } from './clock.ts';

/** Something to wait for that others call: calls while nobody waits are remembered, as one. */
export class Wake {
  #called = false;
  #resolve: (() => void) | undefined;

  up(): void {
    this.#called = true;
    this.#resolve?.();
  }

  /** Waits for a call; rejects with the signal's reason. One waits at a time. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#called) await this.#untilCalled(signal);
    this.#called = false;
  }

  /** Waits for a call, but no longer than `ms`. */
  async within(ms: number, clock: Pick<Clock, 'timer'>, signal: AbortSignal): Promise<void> {
    const cancel = clock.timer(ms, () => this.up());
    try {
      await this.wait(signal);
    } finally {
      cancel();
    }
  }

  #untilCalled(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#resolve = () => {
        signal.removeEventListener('abort', abort);
        this.#resolve = undefined;
        resolve();
      };
    });
  }
}
