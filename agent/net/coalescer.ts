/**
 * Runs one piece of work at a time. Whoever asks while it runs shares the next run with all others who do: a run
 * that began after the call has seen everything that was there at the call.
 */
export class Coalescer<T> {
  readonly #work: () => Promise<T>;
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  run(): Promise<T> {
    this.#next ??= this.#after(this.#current);
    return this.#next;
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#next !== undefined) await this.#next.catch(() => undefined);
    await this.#current.catch(() => undefined);
  }

  async #after(current: Promise<unknown>): Promise<T> {
    await current.catch(() => undefined);
    this.#next = undefined;
    const running = this.#work();
    this.#current = running;
    return await running;
  }
}
