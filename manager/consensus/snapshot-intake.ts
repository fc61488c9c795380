import { assert } from '#proto/base/assert.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Snapshots, SnapshotWriter } from './snapshots.ts';
import type { Intake } from './transport.ts';
import type { SnapshotInfo } from './wire.ts';

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
        if (this.#writer !== writer)
          throw new ShoalError(
            'CANCELLED',
            'this snapshot came from somebody else already, or another one came',
          );
        // Now, while it can be refused: when Raft has taken it, there must be room for it.
        writer.seal();
        this.#writer = undefined;
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
