import type { Message } from 'raft-ts';

/** Entries that the main thread has been given; once it has applied them, the responses go to Raft. */
export interface Given {
  /** Of the last of them. */
  readonly index: number;
  readonly bytes: number;
  readonly responses: readonly Message[];
}

/** What may be under way before the main thread has to say how far it is. */
const UNASKED_BYTES_MAX = 1024 * 1024;
const UNASKED_COUNT_MAX = 16;

/**
 * What the main thread has been given and has not said to be applied. It says so when it is asked, not for each entry:
 * an answer wakes the thread that waits for the next write.
 */
export class Applying {
  readonly #given: Given[] = [];
  #bytes = 0;
  #asked = false;

  /** Notes what is given, and says whether to ask for an answer with it. */
  add(given: Given, isUrgent: boolean): boolean {
    this.#given.push(given);
    this.#bytes += given.bytes;
    const isMuch = this.#bytes >= UNASKED_BYTES_MAX || this.#given.length >= UNASKED_COUNT_MAX;
    const asks = isUrgent || (isMuch && !this.#asked);
    this.#asked ||= asks;
    return asks;
  }

  /** Whether to ask now; to be called now and then. */
  ask(): boolean {
    if (this.#asked || this.#given.length === 0) return false;
    this.#asked = true;
    return true;
  }

  /** Everything up to here is applied: what was given and is done now. */
  applied(index: number): readonly Given[] {
    this.#asked = false;
    const open = this.#given.findIndex((given) => given.index > index);
    const done = this.#given.splice(0, open === -1 ? this.#given.length : open);
    for (const { bytes } of done) this.#bytes -= bytes;
    return done;
  }
}
