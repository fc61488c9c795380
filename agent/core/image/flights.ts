/**
 * Work that many may want at once and that is done once: whoever comes second waits for the first. When the first gives
 * up, the next who waits does it.
 */
export class Flights<T> {
  readonly #underWay = new Map<string, Promise<T>>();

  /** `there` is asked before each try, and right after another's work ended. */
  async run(
    key: string,
    signal: AbortSignal | undefined,
    there: () => T | undefined,
    make: () => Promise<T>,
  ): Promise<T> {
    for (;;) {
      signal?.throwIfAborted();
      const done = there();
      if (done !== undefined) return done;
      const other = this.#underWay.get(key);
      if (!other) break;
      await settledOrAborted(other, signal);
    }
    const work = make().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, work);
    return await work;
  }
}

async function settledOrAborted(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  work.then(done, done);
  signal?.addEventListener('abort', done, { once: true });
  await promise;
  signal?.removeEventListener('abort', done);
}

/** Lets so many in at a time; the rest wait in line. */
export class Limiter {
  readonly #max: number;
  readonly #line: (() => void)[] = [];
  #inside = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get inside(): number {
    return this.#inside;
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#inside >= this.#max) await this.#turn(signal);
    else this.#inside += 1;
    try {
      signal?.throwIfAborted();
      return await work();
    } finally {
      this.#leave();
    }
  }

  /** Resolves with the place of one who left. */
  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#line.push(resolve);
    const onAbort = (): void => {
      const at = this.#line.indexOf(resolve);
      if (at < 0) return;
      this.#line.splice(at, 1);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #leave(): void {
    const next = this.#line.shift();
    if (next) next();
    else this.#inside -= 1;
  }
}
