import { messageOf, ShoalError } from '#proto/base/errors.ts';

/** Content as one node gives it: `length` bytes from an offset on. */
export type Lane = (offset: number, length: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;

export interface Range {
  readonly from: number;
  /** The first byte that is not wanted. */
  readonly to: number;
}

/** Small enough that what a slow node has begun does not keep the others waiting for long. */
const PIECE_BYTES = 2 * 1024 * 1024;
/** Pieces in memory, on their way or waiting for those before them. */
const AHEAD_MAX = 6;

/**
 * A range of a blob in order, from several nodes at once. One that breaks off is left out, and what it owed comes from the
 * others. UNAVAILABLE when none is left.
 */
export async function* striped(
  lanes: readonly Lane[],
  range: Range,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stop = new AbortController();
  const within = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const pieces = new Pieces(range, lanes.length);
  within.addEventListener('abort', () => pieces.wake(), { once: true });
  const work = lanes.map((lane) => drive(lane, pieces, within));
  try {
    for (let index = 0; index < pieces.count; index++) yield* await pieces.take(index, within);
  } finally {
    stop.abort(new Error('nobody reads any more'));
    await Promise.all(work);
  }
}

/** Fetches piece after piece, until there is none left or one can't be had. */
async function drive(lane: Lane, pieces: Pieces, signal: AbortSignal): Promise<void> {
  let index: number | undefined;
  try {
    for (;;) {
      index = await pieces.next(signal);
      if (index === undefined) return;
      const { from, to } = pieces.rangeOf(index);
      pieces.put(index, await whole(lane(from, to - from, signal), to - from));
    }
  } catch (error) {
    pieces.giveUp(index, error);
  }
}

async function whole(chunks: AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  let left = length;
  for await (const chunk of chunks) {
    // A node that does not know of lengths gives all that follows.
    parts.push(chunk.subarray(0, left));
    left -= chunk.length;
    if (left <= 0) return parts;
  }
  throw new ShoalError('UNAVAILABLE', `unexpected EOF: ${left} bytes are missing`);
}

/** Which pieces are wanted, on their way, here. */
class Pieces {
  readonly count: number;
  readonly #range: Range;
  readonly #again: number[] = [];
  readonly #here = new Map<number, Uint8Array[]>();
  #lanes: number;
  #failure: unknown;
  #begun = 0;
  #taken = 0;
  #changed = Promise.withResolvers<void>();

  constructor(range: Range, lanes: number) {
    this.#range = range;
    this.#lanes = lanes;
    this.count = Math.ceil((range.to - range.from) / PIECE_BYTES);
  }

  rangeOf(index: number): Range {
    const from = this.#range.from + index * PIECE_BYTES;
    return { from, to: Math.min(from + PIECE_BYTES, this.#range.to) };
  }

  wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** A piece to fetch, once there is room for it; undefined when all have been taken. */
  async next(signal: AbortSignal): Promise<number | undefined> {
    for (;;) {
      signal.throwIfAborted();
      const again = this.#again.shift();
      if (again !== undefined) return again;
      if (this.#begun < Math.min(this.count, this.#taken + AHEAD_MAX)) return this.#begun++;
      if (this.#taken === this.count) return undefined;
      await this.#changed.promise;
    }
  }

  put(index: number, parts: Uint8Array[]): void {
    this.#here.set(index, parts);
    this.wake();
  }

  /** A lane ends; what it was about to fetch is for another. */
  giveUp(index: number | undefined, failure: unknown): void {
    if (index !== undefined) this.#again.push(index);
    this.#failure = failure;
    this.#lanes -= 1;
    this.wake();
  }

  /** The piece whose turn it is to be read. */
  async take(index: number, signal: AbortSignal): Promise<Uint8Array[]> {
    for (;;) {
      signal.throwIfAborted();
      const parts = this.#here.get(index);
      if (parts) {
        this.#here.delete(index);
        this.#taken = index + 1;
        this.wake();
        return parts;
      }
      if (this.#lanes === 0) {
        throw new ShoalError('UNAVAILABLE', `no node gives the rest: ${messageOf(this.#failure)}`);
      }
      await this.#changed.promise;
    }
  }
}
