import type { Clock } from '#proto/base/clock.ts';
import type { Store } from '../store/view.ts';

/** Proof that the store is fresh, got once for all who wait for it at the same time: after a failover they are many. */
export class SharedBarrier {
  readonly #store: Pick<Store, 'readBarrier'>;
  readonly #clock: Pick<Clock, 'timer'>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(store: Pick<Store, 'readBarrier'>, clock: Pick<Clock, 'timer'>) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Resolves with true when the store shows everything acknowledged before the call, with false when that takes too long. */
  async pass(timeoutMs: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const cancel = this.#clock.timer(timeoutMs, () => late.resolve(false));
    const fresh = this.#shared().then(
      () => true,
      () => false,
    );
    return await Promise.race([fresh, late.promise]).finally(cancel);
  }

  /** One that is under way began too early: the next counts, and is shared by all who come meanwhile. */
  #shared(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#start();
      });
    return this.#next;
  }

  #start(): Promise<void> {
    const running = this.#store.readBarrier().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
