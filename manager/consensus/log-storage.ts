import { type ConfState, MemoryStorage, type Snapshot, SnapshotTemporarilyUnavailableError } from 'raft-ts';

/**
 * The log in memory, as Raft reads it; what it holds is on disk. A snapshot from before a member was let in is none for
 * that member: then a new one is asked for, and Raft comes back for it.
 */
export class LogStorage extends MemoryStorage {
  /** The members now; and a way to ask for a snapshot that knows them. */
  #members: () => ConfState = () => super.snapshot().meta.confState;
  #demand: () => void = () => undefined;

  /** To be called once, by who knows the members. */
  watch(members: () => ConfState, demand: () => void): void {
    this.#members = members;
    this.#demand = demand;
  }

  /** What the latest snapshot stands for. */
  get latest(): Snapshot {
    return super.snapshot();
  }

  override snapshot(): Snapshot {
    const snapshot = super.snapshot();
    const known = new Set([...snapshot.meta.confState.voters, ...snapshot.meta.confState.learners]);
    const { voters, learners } = this.#members();
    if ([...voters, ...learners].every((id) => known.has(id))) return snapshot;
    this.#demand();
    throw new SnapshotTemporarilyUnavailableError();
  }
}
