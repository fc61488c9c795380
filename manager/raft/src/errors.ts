/** What every error of this package is; `code` tells them apart without `instanceof`. */
export class RaftError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The wanted entry is gone: only a snapshot holds what it did. */
export class CompactedError extends RaftError {
  constructor(index: number, firstIndex: number) {
    super('COMPACTED', `entry ${index} is compacted: the log starts at ${firstIndex}`);
  }
}

/** The wanted entry is not there yet. */
export class UnavailableError extends RaftError {
  constructor(index: number, lastIndex: number) {
    super('UNAVAILABLE', `entry ${index} is not in the log: it ends at ${lastIndex}`);
  }
}

/** The snapshot is older than the one already there. */
export class SnapshotOutOfDateError extends RaftError {
  constructor(index: number, latestIndex: number) {
    super('SNAPSHOT_OUT_OF_DATE', `snapshot ${index} is older than snapshot ${latestIndex}`);
  }
}

/** A snapshot is being made: the leader asks again with the next answer of the member that needs it. */
export class SnapshotTemporarilyUnavailableError extends RaftError {
  constructor() {
    super('SNAPSHOT_UNAVAILABLE', 'the snapshot is not ready yet');
  }
}

/** The proposal was not taken and never will be: propose again, here or elsewhere. */
export class ProposalDroppedError extends RaftError {
  constructor() {
    super('PROPOSAL_DROPPED', 'raft proposal dropped');
  }
}

/** The read was not taken and will not be answered: ask again. */
export class ReadDroppedError extends RaftError {
  constructor() {
    super('READ_DROPPED', 'raft read dropped');
  }
}

/** A change of members that the present configuration does not allow, or that can't be decoded. */
export class ConfChangeError extends RaftError {
  constructor(message: string) {
    super('CONF_CHANGE', message);
  }
}

/** The configuration of a member makes no sense. */
export class ConfigError extends RaftError {
  constructor(message: string) {
    super('CONFIG', message);
  }
}

/** A rule of Raft or of this package's contract is broken: going on would spread the damage, so stop the member. */
export class InvariantError extends RaftError {
  constructor(message: string) {
    super('INVARIANT', message);
  }
}

/** Throws InvariantError unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
