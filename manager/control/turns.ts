import { ShoalError } from '#proto/base/errors.ts';

/** Callers that wait at most; each takes as long as a write takes. */
const WAITING_MAX = 1_000;

/**
 * One at a time, in order. Taken by what checks one object against others before it writes (a port against all
 * services, a network against its users): expectations guard the objects that are written, not those that must not
 * appear meanwhile. Only the leader writes, so its turns are everybody's.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Runs `step` when all before it are done. UNAVAILABLE when too many wait. */
  async take<T>(step: () => Promise<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX)
      throw new ShoalError('UNAVAILABLE', `too many changes are waiting (${this.#waiting}): try again later`);
    this.#waiting++;
    const mine = this.#last.then(step);
    this.#last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      this.#waiting--;
    }
  }
}
