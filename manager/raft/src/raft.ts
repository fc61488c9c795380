import { isVoter } from './conf-change.ts';
import { type Config, type Settings, validate } from './config.ts';
import { assert } from './errors.ts';
import { RaftLog } from './log.ts';
import type { Progress } from './progress.ts';
import { PendingReads } from './reads.ts';
import type { Tracer } from './trace.ts';
import { Tracker } from './tracker.ts';
import type { HardState, Message, PeerId, ReadState, Role, SoftState } from './types.ts';

/** No member. */
export const NOBODY: PeerId = 0;

/**
 * The state of one member. What changes it is in the files beside: roles, election, replicate, membership, and a step-…
 * for the messages of each role. Nothing here waits or calls out; what is to be sent or said is collected for the next
 * Ready.
 */
export class Raft {
  readonly id: PeerId;
  readonly settings: Settings;
  readonly trace: Tracer | undefined;
  readonly log: RaftLog;

  /** The members, and on the leader how far each one is. */
  readonly tracker: Tracker;

  /** The latest term known; it only grows. 0: no election yet. */
  term = 0;

  /** Whom we voted for in `term`. Never changes within a term, other than from nobody. */
  vote: PeerId = NOBODY;

  role: Role = 'follower';

  /** Who leads in `term`, as far as we know. */
  leader: PeerId = NOBODY;

  /** To be sent at once. */
  messages: Message[] = [];

  /**
   * To be sent, or to be stepped by ourselves, only when everything of this Ready is durable: they promise something
   * about our log or our vote.
   */
  messagesAfterAppend: Message[] = [];

  /** Answers to reads, for the caller. */
  readStates: ReadState[] = [];

  /** Ticks since the start. Only differences count. */
  ticks = 0;

  /** Follower, candidates: ticks since we heard from a leader or gave our vote. Leader: since the last quorum check. */
  electionElapsed = 0;

  /** Leader: ticks since the last heartbeats. */
  heartbeatElapsed = 0;

  /** When electionElapsed reaches it, we campaign. From electionTicks to twice that; drawn at each change of role. */
  electionTimeout = 0;

  /** Leader: to whom leadership is being handed; then no proposals are taken. */
  transferee: PeerId = NOBODY;

  /**
   * Leader: somebody was told in this term to campaign at once. That message may arrive at any time, and followers then
   * do not keep to the lease.
   */
  timeoutNowSent = false;

  /**
   * Leader: a change of members up to this index may not be applied yet, so no other is taken before it is. A new leader
   * does not know and assumes the worst, its last index.
   */
  pendingConfIndex = 0;

  /** Leader: size of the data proposed and not yet applied here. An estimate: entries of earlier leaders don't count. */
  uncommittedBytes = 0;

  /** Leader: reads on their way. */
  readonly reads: PendingReads;

  /**
   * With lease reads: until this tick we vote for nobody, since we may have promised a leader so before a restart.
   * Not in a group that is new.
   */
  readonly silentUntil: number;

  constructor(config: Config) {
    this.settings = validate(config);
    this.id = config.id;
    this.trace = config.trace;
    this.log = new RaftLog(this.settings, config.storage);
    this.tracker = new Tracker(this.settings);
    this.reads = new PendingReads(this.settings.pendingReadsMax);
    const { hardState, confState } = config.storage.initialState();
    this.term = hardState.term;
    this.vote = hardState.vote;
    // What was applied was committed, even if that was not yet durable when it crashed.
    const applied = Math.max(config.applied ?? 0, this.log.applied);
    this.log.commitTo(Math.max(hardState.commit, applied));
    this.log.appliedTo(applied, 0);
    const isNew = this.term === 0 && isVoter(confState, this.id);
    this.silentUntil = this.settings.reads === 'lease' && !isNew ? this.settings.electionTicks : 0;
  }

  /** Our own progress; undefined when we are no member. */
  get self(): Progress | undefined {
    return this.tracker.get(this.id);
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  get softState(): SoftState {
    return { leader: this.leader, role: this.role };
  }

  /** May this member campaign? Not while a snapshot waits: it may say that we are no voter. */
  get promotable(): boolean {
    return isVoter(this.tracker.conf, this.id) && this.log.unstable.snapshot === undefined;
  }

  /** A new leader knows what is committed only once an entry of its own term is (Raft paper, section 8). */
  get committedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }

  /** To a peer, at once. */
  send(message: Message): void {
    assert(message.to !== this.id, 'a message to oneself must wait for what it promises to be durable');
    this.messages.push(message);
  }

  /** To a peer or to ourselves, once all of this Ready is durable. */
  sendAfterAppend(message: Message): void {
    this.messagesAfterAppend.push(message);
  }
}
