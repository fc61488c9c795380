import type { Entry, HardState, Message, Snapshot } from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import { isDiskFull } from './disk.ts';
import type { LogStorage } from './log-storage.ts';
import type { Soon } from './opts.ts';
import type { Wal, WalBatch } from './wal.ts';

/** How often a write is tried again while the disk is full. */
const FULL_RETRY_MS = 500;

export interface DiskQueueModules {
  readonly wal: Pick<Wal, 'append'>;
  readonly storage: Pick<LogStorage, 'initialState' | 'setHardState' | 'applySnapshot' | 'append'>;
  /** Puts a received snapshot in place on disk, before the log goes on behind it. */
  readonly install: (snapshot: Snapshot) => void;
  readonly soon: Soon;
  readonly clock: Pick<Clock, 'timer'>;
  readonly log: Log;
  /** What was written is durable: these may go. */
  readonly written: (responses: readonly Message[]) => void;
  readonly fullChanged: (full: boolean) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Raft's writes, in order. A write starts a little after it is asked for, so that what is sent in the same breath leaves
 * first and what arrives meanwhile shares the sync. While the disk is full, writes wait, and what depends on them with
 * them.
 */
export class DiskQueue implements Disposable {
  readonly #modules: DiskQueueModules;
  #waiting: Message[] = [];
  #scheduled = false;
  #full = false;
  #durable: HardState;
  /** Newer than what is durable only in its commit index, which may wait for the next write. */
  #hardState: HardState;
  #cancelRetry: (() => void) | undefined;
  #installed: Snapshot | undefined;
  #stopped = false;

  constructor(modules: DiskQueueModules) {
    this.#modules = modules;
    this.#durable = modules.storage.initialState().hardState;
    this.#hardState = this.#durable;
  }

  /** No room on the disk: nothing that needs a write should be begun. */
  get full(): boolean {
    return this.#full;
  }

  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** Whether a snapshot is to be put in place. */
  holdsSnapshot(index: number): boolean {
    return this.#waiting.some((append) => append.snapshot?.meta.index === index);
  }

  /** A StorageAppend: its responses are given out once what it says is durable. */
  add(append: Message): void {
    this.#waiting.push(append);
    if (!this.#full) this.#schedule();
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#cancelRetry?.();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#modules.soon(() => {
      this.#scheduled = false;
      if (!this.#stopped) this.#flush();
    });
  }

  #flush(): void {
    try {
      while (this.#waiting.length > 0) {
        const count = this.#runLength();
        this.#write(this.#waiting.slice(0, count));
        const done = this.#waiting.splice(0, count);
        this.#setFull(false);
        this.#modules.written(done.flatMap((append) => append.responses ?? []));
      }
    } catch (error) {
      if (isDiskFull(error)) this.#retryLater(error);
      else this.#modules.failed(error);
    }
  }

  /** How many writes go together: a snapshot goes alone. */
  #runLength(): number {
    const next = this.#waiting.findIndex((append) => append.snapshot !== undefined);
    if (next === -1) return this.#waiting.length;
    return Math.max(1, next);
  }

  #write(appends: readonly Message[]): void {
    const { wal, storage, install } = this.#modules;
    const snapshot = appends[0]?.snapshot;
    const entries = appends.flatMap((append): readonly Entry[] => append.entries ?? []);
    const hardState = appends.reduce(hardStateAfter, this.#hardState);
    if (snapshot !== undefined && snapshot !== this.#installed) {
      install(snapshot);
      // The log may find no room to go on behind it; when that is tried again, it is in place.
      this.#installed = snapshot;
    }
    if (snapshot !== undefined || entries.length > 0 || !sameVote(hardState, this.#durable)) {
      wal.append({ entries, hardState, ...restartOf(snapshot) });
      this.#durable = hardState;
    }
    this.#hardState = hardState;
    storage.setHardState(hardState);
    if (snapshot !== undefined) storage.applySnapshot(snapshot);
    for (const append of appends) storage.append(append.entries ?? []);
  }

  #retryLater(error: unknown): void {
    if (!this.#full)
      this.#modules.log.error('the disk is full: this manager takes no writes until it has room', {
        err: error,
      });
    this.#setFull(true);
    this.#cancelRetry = this.#modules.clock.timer(FULL_RETRY_MS, () => this.#schedule());
  }

  #setFull(full: boolean): void {
    if (this.#full === full) return;
    this.#full = full;
    if (!full) this.#modules.log.info('the disk has room again');
    this.#modules.fullChanged(full);
  }
}

function hardStateAfter(before: HardState, append: Message): HardState {
  if (append.vote === undefined) return before;
  return { term: append.term, vote: append.vote, commit: append.commit ?? before.commit };
}

function sameVote(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote;
}

function restartOf(snapshot: Snapshot | undefined): Pick<WalBatch, 'restart'> {
  if (snapshot === undefined) return {};
  const { index, term } = snapshot.meta;
  return { restart: { index, term } };
}
