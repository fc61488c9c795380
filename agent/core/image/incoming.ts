import { open } from 'node:fs/promises';
import { ShoalError } from '#proto/base/errors.ts';

const READ_BYTES = 256 * 1024;

/** Content on its way here. */
export interface Chunks extends AsyncIterable<Uint8Array> {
  /** From where it was made, not from somebody who may be waiting for us. */
  readonly isFirstHand?: boolean;
}

type State = 'first hand' | 'second hand' | 'whole';

/**
 * A blob that is being written. While it comes first hand, others may read along, so that they need not wait for its end:
 * only then, or two nodes that read from each other would wait for ever.
 */
export class Incoming {
  readonly #file: string;
  readonly #waiting = new Set<() => void>();
  #size = 0;
  #state: State = 'second hand';

  constructor(file: string) {
    this.#file = file;
  }

  get isFirstHand(): boolean {
    return this.#state === 'first hand';
  }

  comesFrom({ isFirstHand }: Chunks): void {
    this.#become(isFirstHand === true ? 'first hand' : 'second hand');
  }

  /** No more comes from there. */
  brokeOff(): void {
    if (this.isFirstHand) this.#become('second hand');
  }

  /** All of it is here, and right. */
  isWhole(): void {
    this.#become('whole');
  }

  /** So many bytes are in the file. */
  grew(size: number): void {
    this.#size = size;
    this.#wake();
  }

  #become(state: State): void {
    this.#state = state;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** The bytes from an offset on, as they come. UNAVAILABLE when they stop coming. */
  async *follow(offset: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    // Open, so that it can be read when it has got its name, or has lost the one it had.
    await using handle = await open(this.#file, 'r');
    for (let at = offset; ; ) {
      signal?.throwIfAborted();
      const length = Math.min(READ_BYTES, this.#size - at);
      if (length > 0) {
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, at);
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      } else if (this.#state === 'whole') return;
      else if (!this.isFirstHand)
        throw new ShoalError('UNAVAILABLE', 'the fetch that was read along broke off');
      else await this.#more(signal);
    }
  }

  async #more(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#waiting.add(wake);
    signal?.addEventListener('abort', wake, { once: true });
    await promise;
    signal?.removeEventListener('abort', wake);
    this.#waiting.delete(wake);
  }
}
