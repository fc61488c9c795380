import type { Clock } from '#proto/base/clock.ts';
import { Wake } from '#proto/base/wake.ts';

/** What is merged by the time it carries. */
export interface Timed {
  readonly atNs: bigint;
  readonly data: Uint8Array;
}

/** How long the first word of a source is waited for, before others are told without it. */
const FIRST_WAIT_MS = 1_000;
/** How long something is held back, for something older may still come. */
const WINDOW_MS = 100;
/** What is kept of one source before it is read on. */
const BUFFER_BYTES_MAX = 64 * 1024;
/** What a record costs besides its data. */
const RECORD_BYTES = 64;

interface Held<T> {
  readonly record: T;
  readonly arrivedMs: number;
}

/** One source: what has been read of it and not been told yet. */
class Source<T extends Timed> {
  readonly iterator: AsyncIterator<T>;
  readonly held: Held<T>[] = [];
  isReading = false;
  hasEnded = false;
  emptySinceMs: number;
  patienceMs = FIRST_WAIT_MS;
  #bytes = 0;

  constructor(iterator: AsyncIterator<T>, nowMs: number) {
    this.iterator = iterator;
    this.emptySinceMs = nowMs;
  }

  get isFull(): boolean {
    return this.#bytes >= BUFFER_BYTES_MAX;
  }

  push(record: T, arrivedMs: number): void {
    this.held.push({ record, arrivedMs });
    this.#bytes += record.data.length + RECORD_BYTES;
    this.patienceMs = WINDOW_MS;
  }

  shift(nowMs: number): T {
    const { record } = this.held.shift() as Held<T>;
    this.#bytes -= record.data.length + RECORD_BYTES;
    if (this.held.length === 0) this.emptySinceMs = nowMs;
    return record;
  }

  /** When others need not wait for it any longer; 0 when they need not at all. */
  get waitedForUntilMs(): number {
    return this.hasEnded || this.held.length > 0 ? 0 : this.emptySinceMs + this.patienceMs;
  }
}

/**
 * Joins streams whose records are in order of time into one, in that order as far as that can be known in a moment: what
 * comes later than others by more than a small window is told late. Each is read no faster than all are taken.
 */
export class Merge<T extends Timed> {
  readonly #clock: Pick<Clock, 'timer' | 'monotonicMs'>;
  readonly #sources = new Set<Source<T>>();
  readonly #wake = new Wake();
  #isClosed = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(modules: { readonly clock: Pick<Clock, 'timer' | 'monotonicMs'> }) {
    this.#clock = modules.clock;
  }

  get size(): number {
    return this.#sources.size;
  }

  add(records: AsyncIterable<T>): void {
    const source = new Source(records[Symbol.asyncIterator](), this.#clock.monotonicMs());
    this.#sources.add(source);
    void this.#read(source);
  }

  /** No more are added: the stream ends with those there are. */
  close(): void {
    this.#isClosed = true;
    this.#wake.up();
  }

  /** What is told, until the sources have ended, one has failed or the signal aborts; all are left then. */
  async *records(signal: AbortSignal): AsyncGenerator<T> {
    try {
      while (!signal.aborted && !(this.#isClosed && this.#sources.size === 0)) {
        if (this.#failure !== undefined) throw this.#failure.error;
        const { source, untilMs } = this.#next();
        const nowMs = this.#clock.monotonicMs();
        if (source !== undefined && untilMs <= nowMs) yield this.#take(source, nowMs);
        else if (source === undefined) await this.#wake.wait(signal);
        else await this.#wake.within(untilMs - nowMs, this.#clock, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      for (const { iterator } of this.#sources) void iterator.return?.().catch(() => undefined);
      this.#sources.clear();
    }
  }

  /** The source with the oldest record, and the moment from which it may be told. */
  #next(): { readonly source?: Source<T>; readonly untilMs: number } {
    let oldest: Source<T> | undefined;
    let waitUntilMs = 0;
    for (const source of this.#sources) {
      waitUntilMs = Math.max(waitUntilMs, source.waitedForUntilMs);
      const head = source.held[0];
      const best = oldest?.held[0];
      if (head !== undefined && (best === undefined || head.record.atNs < best.record.atNs)) oldest = source;
    }
    if (oldest === undefined) return { untilMs: 0 };
    if (waitUntilMs === 0 || oldest.isFull) return { source: oldest, untilMs: waitUntilMs };
    const heldUntilMs = (oldest.held[0] as Held<T>).arrivedMs + WINDOW_MS;
    return { source: oldest, untilMs: Math.max(waitUntilMs, heldUntilMs) };
  }

  #take(source: Source<T>, nowMs: number): T {
    const record = source.shift(nowMs);
    if (source.hasEnded && source.held.length === 0) this.#sources.delete(source);
    else void this.#read(source);
    return record;
  }

  /** Reads a source until it is full or has ended. */
  async #read(source: Source<T>): Promise<void> {
    if (source.isReading || source.hasEnded) return;
    source.isReading = true;
    try {
      while (!source.isFull && !source.hasEnded) {
        const next = await source.iterator.next();
        if (next.done) source.hasEnded = true;
        else source.push(next.value, this.#clock.monotonicMs());
        this.#wake.up();
      }
    } catch (error) {
      this.#failure = { error };
    }
    source.isReading = false;
    if (source.hasEnded && source.held.length === 0) this.#sources.delete(source);
    this.#wake.up();
  }
}
