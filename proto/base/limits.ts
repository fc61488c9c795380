import { assert } from './assert.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Every bound of the house, each with its reason. What is not bounded here is bounded where it is made. */
export const LIMITS = {
  /** Agents beat this often... */
  heartbeatPeriodMs: 5_000,
  /** ...and are declared down after missing this many. */
  heartbeatMissesMax: 3,
  /** A Raft tick; heartbeats go out every `raftHeartbeatTicks`, an election starts after 1 to 2 times `raftElectionTicks`. */
  raftTickMs: 10,
  raftHeartbeatTicks: 5,
  raftElectionTicks: 15,
  /** One entry of the log, and one change of the store; Swarm's own is 1.5 MiB, for a whole transaction. */
  raftEntryBytesMax: 1536 * KIB,
  /** One transaction of the store, in however many entries: every manager keeps its parts until the last has come. */
  transactionBytesMax: 32 * MIB,
  /** Its changes. They are applied in one go, 10 to 20 us each: nothing else gets its turn for about a second. */
  transactionChangesMax: 50_000,
  /** One message between managers: an entry and its envelope, several small ones. */
  raftMessageBytesMax: 4 * MIB,
  raftInflightMessagesMax: 256,
  raftInflightBytesMax: 32 * MIB,
  /** Proposals waiting on one manager; more are told UNAVAILABLE. */
  proposalsWaitingMax: 10_000,
  /** How long a write waits for a leader and a quorum before it answers (Swarm: 20 s). */
  requestTimeoutMs: 20_000,
  /** Entries between snapshots, and entries kept behind a snapshot for slow followers (Swarm's defaults). */
  snapshotEveryEntries: 10_000,
  logEntriesForSlowFollowers: 500,
  /** One gRPC message of any service. */
  grpcMessageBytesMax: 8 * MIB,
  /** One JSON body of the Engine API; build contexts and archives are streams and have no bound here. */
  httpBodyBytesMax: 4 * MIB,
  /** Dead tasks kept per slot (Swarm's TaskHistoryRetentionLimit). */
  taskHistoryPerSlot: 5,
  /** Status reports an agent keeps for a manager it cannot reach. */
  statusReportsWaitingMax: 10_000,
  /**
   * How long a task that leaves waits for every balancing node to say so, before it stops all the same: longer than it
   * takes to find a node down, which releases it.
   */
  releaseWaitMsMax: 20_000,
  /** How long a task that left the balancing waits for its last connections. */
  drainMsMax: 5_000,
  /** How long a task with ports may take to listen before it is called running anyway. */
  listenWaitMsMax: 10_000,
  /** Events kept for `GET /events?since` (Docker keeps 256). */
  eventsKept: 256,
} as const;

assert(LIMITS.raftEntryBytesMax * 2 < LIMITS.raftMessageBytesMax, 'an entry and its envelope fit a message');
assert(LIMITS.raftMessageBytesMax < LIMITS.grpcMessageBytesMax, 'a Raft message fits a gRPC message');
assert(
  LIMITS.releaseWaitMsMax > LIMITS.heartbeatPeriodMs * LIMITS.heartbeatMissesMax,
  'a node that does not answer is found down before anybody stops waiting for it',
);
assert(LIMITS.raftHeartbeatTicks * 2 < LIMITS.raftElectionTicks, 'a lost heartbeat is no election');
