import type { ReadMode } from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { Random } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Member } from './consensus.ts';
import type { Disk } from './disk.ts';
import type { StartTransport } from './transport.ts';

/** Who this manager is to the others. */
export interface SelfOpts {
  readonly nodeId: NodeId;
  /** host:port where the other managers reach its Raft transport. */
  readonly raftAddr: string;
  /** host:port where the other managers reach its control service. */
  readonly controlAddr: string;
}

/** How a manager comes into being: the first of a cluster, one that was let in, or one that was here before. */
export type StartOpts =
  | { readonly kind: 'bootstrap' }
  /** `raftId` and `members` are what the leader's addMember gave. */
  | { readonly kind: 'join'; readonly raftId: number; readonly members: readonly Member[] }
  | { readonly kind: 'restart' };

export interface ConsensusLimits {
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  readonly electionTicks: number;
  readonly snapshotEveryEntries: number;
  /** Between two snapshots that only the number of entries asks for. */
  readonly snapshotPauseMs: number;
  readonly logEntriesForSlowFollowers: number;
  readonly snapshotsKept: number;
  readonly segmentBytes: number;
  /** What the log may take in memory; older entries are read again from disk by those who need them. */
  readonly logMemoryBytes: number;
  readonly proposalsWaitingMax: number;
  readonly requestTimeoutMs: number;
}

export const DEFAULT_LIMITS: ConsensusLimits = {
  tickMs: LIMITS.raftTickMs,
  heartbeatTicks: LIMITS.raftHeartbeatTicks,
  electionTicks: LIMITS.raftElectionTicks,
  snapshotEveryEntries: LIMITS.snapshotEveryEntries,
  snapshotPauseMs: 2_000,
  logEntriesForSlowFollowers: LIMITS.logEntriesForSlowFollowers,
  snapshotsKept: 2,
  segmentBytes: 16 * 1024 * 1024,
  logMemoryBytes: 8 * 1024 * 1024,
  proposalsWaitingMax: LIMITS.proposalsWaitingMax,
  requestTimeoutMs: LIMITS.requestTimeoutMs,
};

export interface CoreOpts {
  /** Holds the keys, the log and the snapshots; for this manager alone. */
  readonly stateDir: string;
  readonly self: SelfOpts;
  readonly start: StartOpts;
  /** With `restart`: the other managers are gone for good, this one goes on alone with all that it has. */
  readonly forceNewCluster?: boolean;
  /** What this manager's keys are locked with, where they are. */
  readonly lock?: Uint8Array;
  readonly limits: ConsensusLimits;
  /**
   * How reads are made sure of; `safe` by default. `lease` only where every clock goes right and no process is ever
   * stopped for a while: the ticks that a stopped one misses are lost, and it would answer from a lease that is over.
   */
  readonly reads?: ReadMode;
}

/** Runs work a little later, when everything that is there already was taken in; in the order it was given. */
export type Soon = (work: () => void) => void;

export interface CoreModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly soon: Soon;
  readonly startTransport: StartTransport;
  readonly log: Log;
  readonly metrics: Metrics;
}
