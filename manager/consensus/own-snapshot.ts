import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import { isDiskFull } from './disk.ts';
import type { CorePort } from './protocol.ts';
import type { Snapshots, SnapshotWriter } from './snapshots.ts';
import type { SnapshotInfo } from './wire.ts';

/**
 * Besides the number of entries, what they weigh makes a snapshot due: the log since the last one is what is applied again
 * at a start.
 */
const SNAPSHOT_EVERY_BYTES = 32 * 1024 * 1024;
/** After one that failed, so long passes before the next try. */
const RETRY_AFTER_MS = 10_000;

export interface OwnSnapshotOpts {
  /** A log that grows fast has many entries again at once: alone they make no snapshot due so soon after the last. */
  readonly pauseMs: number;
}

export interface OwnSnapshotModules {
  /** A snapshot is due after so many, as is wanted now. */
  readonly everyEntries: () => number;
  readonly port: CorePort;
  readonly snapshots: Snapshots;
  readonly infoAt: (index: number) => SnapshotInfo | undefined;
  /** It is on disk: what it stands for may go. */
  readonly taken: (info: SnapshotInfo) => void;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
}

/** Snapshots of our own state: when one is due the main thread gives its pieces, and they are written as they come. */
export class OwnSnapshot {
  readonly #opts: OwnSnapshotOpts;
  readonly #modules: OwnSnapshotModules;
  #asked = false;
  #writer: SnapshotWriter | undefined;
  #notBeforeMs = 0;
  #begunMs = Number.NEGATIVE_INFINITY;
  #bytes = 0;

  constructor(opts: OwnSnapshotOpts, modules: OwnSnapshotModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /** Counts what was applied, and asks for a snapshot when one is due. */
  applied(index: number, bytes: number): void {
    this.#bytes += bytes;
    const entries = index - (this.#modules.snapshots.latest?.index ?? 0);
    if (this.#bytes >= SNAPSHOT_EVERY_BYTES || (entries >= this.#modules.everyEntries() && this.#isRested))
      this.demand();
  }

  get #isRested(): boolean {
    return this.#modules.clock.monotonicMs() - this.#begunMs >= this.#opts.pauseMs;
  }

  /** Asks for one now, unless one is being made or the last try just failed. */
  demand(): void {
    if (this.#asked || this.#modules.clock.monotonicMs() < this.#notBeforeMs) return;
    this.#asked = true;
    this.#modules.port.post({ kind: 'take-snapshot' });
  }

  begin(index: number): void {
    this.#bytes = 0;
    this.#begunMs = this.#modules.clock.monotonicMs();
    const info = this.#modules.infoAt(index);
    if (info !== undefined)
      this.#guarded(() => {
        this.#writer = this.#modules.snapshots.create(info);
      });
    this.#modules.port.post({ kind: 'snapshot-more' });
  }

  piece(piece: Uint8Array): void {
    const writer = this.#writer;
    if (writer !== undefined) this.#guarded(() => writer.write(piece));
    this.#modules.port.post({ kind: 'snapshot-more' });
  }

  end(): void {
    const writer = this.#writer;
    if (writer !== undefined) {
      this.#guarded(() => writer.commit());
      if (this.#writer !== undefined) this.#modules.taken(writer.info);
    }
    this.#writer = undefined;
    this.#asked = false;
  }

  /** The main thread gave up. */
  failed(): void {
    this.#writer?.abort();
    this.#writer = undefined;
    this.#asked = false;
    this.#notBeforeMs = this.#modules.clock.monotonicMs() + RETRY_AFTER_MS;
  }

  close(): void {
    this.#writer?.abort();
  }

  /** A full disk ends this snapshot, and nothing else: the rest of its pieces is passed over. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#modules.log.error('no room for a snapshot: the log grows until there is', { err: error });
      this.#writer?.abort();
      this.#writer = undefined;
      this.#notBeforeMs = this.#modules.clock.monotonicMs() + RETRY_AFTER_MS;
    }
  }
}
