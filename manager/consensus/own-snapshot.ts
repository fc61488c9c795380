import { assert } from '#proto/base/assert.ts';
import type { Log } from '#proto/base/log.ts';
import { isDiskFull } from './disk.ts';
import type { CorePort } from './protocol.ts';
import type { SnapshotReader, Snapshots, SnapshotWriter } from './snapshots.ts';
import type { Intake } from './transport.ts';
import type { SnapshotInfo } from './wire.ts';

/** Besides the number of entries, what they weigh makes a snapshot due: the log since the last one is in memory. */
const SNAPSHOT_EVERY_BYTES = 64 * 1024 * 1024;
/** After one that failed, so many entries must pass before the next try. */
const RETRY_AFTER_ENTRIES = 1_000;

export interface OwnSnapshotOpts {
  readonly everyEntries: number;
}

export interface OwnSnapshotModules {
  readonly port: CorePort;
  readonly snapshots: Snapshots;
  readonly infoAt: (index: number) => SnapshotInfo | undefined;
  /** It is on disk: what it stands for may go. */
  readonly taken: (info: SnapshotInfo) => void;
  readonly log: Log;
}

/** Snapshots of our own state: when one is due the main thread gives its pieces, and they are written as they come. */
export class OwnSnapshot {
  readonly #opts: OwnSnapshotOpts;
  readonly #modules: OwnSnapshotModules;
  #asked = false;
  #writer: SnapshotWriter | undefined;
  #notBefore = 0;
  #bytes = 0;

  constructor(opts: OwnSnapshotOpts, modules: OwnSnapshotModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /** Counts what was applied, and asks for a snapshot when one is due. */
  applied(index: number, bytes: number): void {
    this.#bytes += bytes;
    if (this.#asked || index < this.#notBefore) return;
    const entries = index - (this.#modules.snapshots.latest?.index ?? 0);
    if (entries < this.#opts.everyEntries && this.#bytes < SNAPSHOT_EVERY_BYTES) return;
    this.#asked = true;
    this.#modules.port.post({ kind: 'take-snapshot' });
  }

  begin(index: number): void {
    this.#bytes = 0;
    const info = this.#modules.infoAt(index);
    if (info !== undefined)
      this.#guarded(index, () => {
        this.#writer = this.#modules.snapshots.create(info);
      });
    this.#modules.port.post({ kind: 'snapshot-more' });
  }

  piece(piece: Uint8Array): void {
    const writer = this.#writer;
    if (writer !== undefined) this.#guarded(writer.info.index, () => writer.write(piece));
    this.#modules.port.post({ kind: 'snapshot-more' });
  }

  end(): void {
    const writer = this.#writer;
    if (writer !== undefined) {
      this.#guarded(writer.info.index, () => writer.commit());
      if (this.#writer !== undefined) this.#modules.taken(writer.info);
    }
    this.#writer = undefined;
    this.#asked = false;
  }

  /** The main thread gave up. */
  failed(index: number): void {
    this.#writer?.abort();
    this.#writer = undefined;
    this.#asked = false;
    this.#notBefore = index + RETRY_AFTER_ENTRIES;
  }

  close(): void {
    this.#writer?.abort();
  }

  /** A full disk ends this snapshot, and nothing else: the rest of its pieces is passed over. */
  #guarded(index: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#modules.log.error('no room for a snapshot: the log grows until there is', { err: error });
      this.#writer = undefined;
      this.#notBefore = index + RETRY_AFTER_ENTRIES;
    }
  }
}

/** Hands a snapshot to the main thread, a piece each time it asks. */
export class Restore {
  readonly #port: CorePort;
  readonly #snapshots: Snapshots;
  /** Opened at once, so that what is restored stays readable; the main thread takes them in order. */
  readonly #readers: SnapshotReader[] = [];

  constructor(port: CorePort, snapshots: Snapshots) {
    this.#port = port;
    this.#snapshots = snapshots;
  }

  start(info: Pick<SnapshotInfo, 'index' | 'term'>): void {
    this.#readers.push(this.#snapshots.read(info));
    this.#port.post({ kind: 'restore', index: info.index });
  }

  more(): void {
    const piece = this.#readers[0]?.next();
    if (piece === undefined) this.#readers.shift()?.close();
    this.#port.post({ kind: 'restore-piece', piece });
  }

  close(): void {
    for (const reader of this.#readers.splice(0)) reader.close();
  }
}

/** Snapshots that other members send: one at a time, kept while its sender may come back to go on. */
export class SnapshotIntake {
  readonly #snapshots: Snapshots;
  #writer: SnapshotWriter | undefined;
  /** Whole, and waiting for Raft and the disk to take them. */
  readonly #whole = new Map<number, SnapshotWriter>();

  constructor(snapshots: Snapshots) {
    this.#snapshots = snapshots;
  }

  /** `finished` is called when all of it is here. */
  receive(info: SnapshotInfo, finished: Intake['finish']): Intake {
    const there = this.#writer;
    if (there === undefined || there.ended || !sameSnapshot(there.info, info)) {
      there?.abort();
      this.#writer = this.#snapshots.create(info);
    }
    const writer = this.#writer as SnapshotWriter;
    return {
      get offset() {
        return writer.bytes;
      },
      write: (data) => writer.write(data),
      finish: (message) => {
        if (this.#writer === writer) this.#writer = undefined;
        this.#whole.get(info.index)?.abort();
        this.#whole.set(info.index, writer);
        finished(message);
      },
    };
  }

  /** Puts one in place. */
  install(info: SnapshotInfo): void {
    const writer = this.#whole.get(info.index);
    assert(writer !== undefined, `the snapshot at index ${info.index} is here`);
    writer.commit();
    this.#whole.delete(info.index);
  }

  /** Raft does not want it. */
  discard(info: SnapshotInfo): void {
    this.#whole.get(info.index)?.abort();
    this.#whole.delete(info.index);
  }

  close(): void {
    this.#writer?.abort();
    for (const writer of this.#whole.values()) writer.abort();
  }
}

function sameSnapshot(a: SnapshotInfo, b: SnapshotInfo): boolean {
  return a.index === b.index && a.term === b.term;
}
