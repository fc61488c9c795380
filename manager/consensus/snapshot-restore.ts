import type { CorePort } from './protocol.ts';
import type { SnapshotReader, Snapshots } from './snapshots.ts';
import type { SnapshotInfo } from './wire.ts';

/** Hands a snapshot to the main thread, a piece each time it asks. */
export class SnapshotRestore {
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
