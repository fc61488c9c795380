import { ConfigError } from './errors.ts';
import type { Tracer } from './trace.ts';
import { LOCAL_APPLY, type PeerId, type Storage } from './types.ts';

/**
 * `safe`: every read asks a quorum whether we still lead. `lease`: while a quorum has answered a heartbeat recently
 * enough, reads are answered at once, otherwise as if `safe`.
 */
export type ReadMode = 'safe' | 'lease';

/** What one member of a group is made of. */
export interface Config {
  /** Who this member is. Never 0, and never used again in this group for another member. */
  readonly id: PeerId;

  /**
   * Ticks without a word from a leader after which a follower campaigns; each time drawn anew between this and twice
   * this. Also how long a leader goes on without hearing from a quorum (checkQuorum), how long followers keep faith with
   * a silent leader, and how long a transfer of leadership may take. About ten times heartbeatTicks, above the longest
   * pause that is not to be taken for a death.
   */
  readonly electionTicks: number;

  /** Ticks between a leader's heartbeats. Below electionTicks. */
  readonly heartbeatTicks: number;

  /** The durable part of the log. Whatever it says must be on disk, or a restart may forget what was promised. */
  readonly storage: Storage;

  /**
   * The last entry the caller has applied, after a restart: entries up to it are not handed out again. Never less than
   * the snapshot that initialState() takes its members from, or changes of members were made twice. Default: what comes
   * before the first entry of the storage.
   */
  readonly applied?: number;

  /**
   * Storage writes as messages, to LOCAL_APPEND and LOCAL_APPLY, that are answered when done: writing, applying and
   * sending then overlap, and the leader sends entries while it writes them (thesis, section 10.2.1). Otherwise a Ready
   * must be carried out and advance() called before the next one. Default: false.
   */
  readonly asyncStorageWrites?: boolean;

  /**
   * Size of the entries in one message to a peer; a single larger entry still goes, alone. Smaller makes lost messages
   * cheaper, larger makes fewer of them. Counted as entryBytes. 0: one entry a message.
   */
  readonly messageBytesMax: number;

  /**
   * Size of the committed entries that are handed out and not yet reported as applied; so also of those in one Ready.
   * Bounds the memory of an application that is slow to apply. Default: messageBytesMax.
   */
  readonly committedBytesMax?: number;

  /**
   * Data of the leader's proposals that are not yet applied here. Above it proposals are dropped, so that a group
   * without a quorum does not grow without bound. A single larger proposal is taken when there is none. Default: 64
   * times messageBytesMax, at least 64 MiB.
   */
  readonly uncommittedBytesMax?: number;

  /**
   * Messages with entries under way to one peer: entries are sent ahead of the answers up to here. Must cover the delay
   * there and back, or throughput suffers; bounds what a slow peer's connection holds.
   */
  readonly inflightMessagesMax: number;

  /** Data of the entries under way to one peer. 0: no limit of its own. Default: 0. */
  readonly inflightBytesMax?: number;

  /**
   * A leader that has not heard from a quorum for electionTicks steps down, and members that have heard from a leader
   * within electionTicks ignore candidates. Without it a leader that is cut off goes on believing in itself, and a
   * member that comes back from being cut off unseats a good leader. Default: false.
   */
  readonly checkQuorum?: boolean;

  /**
   * Before it campaigns, a member asks whether it could win, and only then raises the term (thesis, section 9.6): one
   * that was cut off does not disturb the others when it comes back. Default: false.
   */
  readonly preVote?: boolean;

  /**
   * How reads are made sure of. `lease` needs checkQuorum, and ticks that every member counts about equally fast: see
   * leaseMarginTicks, and the README for what the caller promises. Default: `safe`.
   */
  readonly reads?: ReadMode;

  /**
   * With `lease`: by how many ticks two members' count may differ over electionTicks. The lease is that much shorter
   * than the time followers keep faith. Default: 1.
   */
  readonly leaseMarginTicks?: number;

  /** Reads that wait for a quorum, on the leader. Those beyond are dropped. Default: 65,536. */
  readonly pendingReadsMax?: number;

  /**
   * A follower drops proposals instead of handing them on to the leader. For callers that find the leader themselves,
   * e.g. because a proposal says by itself when it was made. Default: false.
   */
  readonly disableProposalForwarding?: boolean;

  /**
   * The leader takes every change of members into its log, instead of refusing the ones that do not fit what it has
   * applied. Only for callers that make sure themselves that changes come one after the other: what does not fit throws
   * when it is applied. Default: false.
   */
  readonly disableConfChangeValidation?: boolean;

  /**
   * A leader that is removed or made a learner steps down when it applies that. Otherwise it leads on without a vote of
   * its own, and if removed without taking proposals, until the caller transfers leadership. Default: false.
   */
  readonly stepDownOnRemoval?: boolean;

  /** A number in [0, 1): spreads elections, so that members do not campaign all at once. */
  readonly random: () => number;

  /** Told what happens, in the middle of it. Default: nobody is. */
  readonly trace?: Tracer;
}

/** A Config with nothing left open. */
export type Settings = Required<Omit<Config, 'storage' | 'trace' | 'applied'>> & {
  readonly trace: Tracer | undefined;
};

const UNCOMMITTED_BYTES_DEFAULT = 64 * 1024 * 1024;

/** Fills in the defaults. Throws ConfigError when the values make no sense, or not together. */
export function validate(config: Config): Settings {
  const settings: Settings = {
    id: config.id,
    electionTicks: config.electionTicks,
    heartbeatTicks: config.heartbeatTicks,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    messageBytesMax: config.messageBytesMax,
    committedBytesMax: config.committedBytesMax ?? Math.max(config.messageBytesMax, 1),
    uncommittedBytesMax:
      config.uncommittedBytesMax ?? Math.max(UNCOMMITTED_BYTES_DEFAULT, config.messageBytesMax * 64),
    inflightMessagesMax: config.inflightMessagesMax,
    inflightBytesMax: config.inflightBytesMax ?? 0,
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    reads: config.reads ?? 'safe',
    leaseMarginTicks: config.leaseMarginTicks ?? 1,
    pendingReadsMax: config.pendingReadsMax ?? 65_536,
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
    random: config.random,
    trace: config.trace,
  };
  checkIdentity(settings);
  checkTimes(settings);
  checkLimits(settings);
  return settings;
}

function checkIdentity({ id }: Settings): void {
  const fits = Number.isSafeInteger(id) && id > 0 && id < LOCAL_APPLY;
  require(fits, `id is ${id}: it must be a whole number above 0`);
}

function checkTimes(settings: Settings): void {
  const { electionTicks, heartbeatTicks, leaseMarginTicks } = settings;
  require(heartbeatTicks > 0, `heartbeatTicks is ${heartbeatTicks}: it must be above 0`);
  require(electionTicks >
    heartbeatTicks, `electionTicks is ${electionTicks}: it must be above heartbeatTicks, ${heartbeatTicks}`);
  if (settings.reads !== 'lease') return;
  require(settings.checkQuorum, 'reads is lease: this needs checkQuorum, so that followers keep to the lease');
  require(leaseMarginTicks >= 0 &&
    leaseMarginTicks <
      electionTicks -
        1, `leaseMarginTicks is ${leaseMarginTicks}: it must leave something of electionTicks, ${electionTicks}`);
}

function checkLimits(settings: Settings): void {
  const { messageBytesMax, inflightMessagesMax, inflightBytesMax } = settings;
  require(messageBytesMax >= 0, `messageBytesMax is ${messageBytesMax}: it must not be negative`);
  require(inflightMessagesMax > 0, `inflightMessagesMax is ${inflightMessagesMax}: it must be above 0`);
  require(inflightBytesMax === 0 ||
    inflightBytesMax >=
      messageBytesMax, `inflightBytesMax is ${inflightBytesMax}: it must hold a message, ${messageBytesMax}, or be 0`);
  for (const limit of ['committedBytesMax', 'uncommittedBytesMax', 'pendingReadsMax'] as const)
    require(settings[limit] > 0, `${limit} is ${settings[limit]}: it must be above 0`);
}

function require(holds: boolean, message: string): void {
  if (!holds) throw new ConfigError(message);
}
