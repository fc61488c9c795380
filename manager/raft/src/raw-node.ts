import { restoreConf } from './conf-change.ts';
import { encodeConfChange } from './conf-change-codec.ts';
import type { Config } from './config.ts';
import { forgetLeader, hup, leaderGone } from './election.ts';
import { entriesBytes } from './entry-list.ts';
import { assert, ProposalDroppedError, ReadDroppedError } from './errors.ts';
import { takeRead } from './leader-reads.ts';
import { applyConfChange, switchToConf } from './membership.ts';
import { NOBODY, Raft } from './raft.ts';
import { appendResponses, applyResponse, hasReady, makeReady, type Told } from './ready.ts';
import { broadcastHeartbeat, type Proposal } from './replicate.ts';
import { becomeFollower } from './roles.ts';
import { type Status, statusOf } from './status.ts';
import { step } from './step.ts';
import { proposeAsLeader } from './step-leader.ts';
import { tick } from './tick.ts';
import {
  type ConfChange,
  type ConfState,
  EntryType,
  LOCAL_APPEND,
  LOCAL_APPLY,
  type Message,
  MessageType,
  type PeerId,
  type Ready,
} from './types.ts';

/** Where a proposal is in the log. It is committed when an entry with this index and this term is. */
export interface Proposed {
  readonly index: number;
  readonly term: number;
}

const ANSWERS: ReadonlySet<MessageType> = new Set([
  MessageType.AppResp,
  MessageType.VoteResp,
  MessageType.HeartbeatResp,
  MessageType.PreVoteResp,
]);

const STORAGE_ANSWERS: ReadonlySet<MessageType> = new Set([
  MessageType.StorageAppendResp,
  MessageType.StorageApplyResp,
]);

/**
 * One member of a group. It does nothing by itself: its caller tells it of time and messages, and carries out what
 * ready() says. Not to be called from within itself (trace, random, storage).
 */
export class RawNode {
  readonly #raft: Raft;
  #told: Told;
  /** Without asynchronous writes: what the Ready that is being carried out will mean; undefined when there is none. */
  #onAdvance: readonly Message[] | undefined;

  /** Throws ConfigError. The state may be handed in only by tests that look into it. */
  constructor(config: Config, raft: Raft = new Raft(config)) {
    this.#raft = raft;
    switchToConf(raft, restoreConf(config.storage.initialState().confState));
    becomeFollower(raft, raft.term, NOBODY);
    const { log, term } = raft;
    const { voters } = raft.tracker.conf;
    const { committed: commit, applied, last } = log;
    raft.trace?.({ kind: 'started', voters, term, commit, applied, last });
    this.#told = { hardState: raft.hardState, softState: raft.softState };
  }

  /** A unit of time has passed; see Config for what is counted in ticks. */
  tick(): void {
    tick(this.#raft);
  }

  /** Campaigns now, as if the leader had been silent for long enough. */
  campaign(): void {
    hup(this.#raft, this.#raft.settings.preVote ? 'pre' : 'real');
  }

  /**
   * Takes a message from a peer, or an answer from storage. The caller vouches for `from`. False: it held a proposal
   * that was not taken; whoever sent it is not told.
   */
  step(message: Message): boolean {
    const { type, from } = message;
    const isLocal = from === LOCAL_APPEND || from === LOCAL_APPLY;
    if (isLocal !== STORAGE_ANSWERS.has(type)) {
      this.#raft.trace?.({ kind: 'message-unexpected', type, from });
      return true;
    }
    if (ANSWERS.has(type) && this.#raft.tracker.get(from) === undefined) {
      this.#raft.trace?.({ kind: 'message-from-stranger', type, from });
      return true;
    }
    return step(this.#raft, message);
  }

  /**
   * Asks for an entry with this data. Where it is in our log, or undefined when it was handed on to the leader; it may
   * be lost in either case. Throws ProposalDroppedError.
   */
  propose(data: Uint8Array): Proposed | undefined {
    return this.#propose([{ type: EntryType.Normal, data }]);
  }

  /** Asks for several entries, in this order and without others in between. Where the last one is. */
  proposeAll(datas: readonly Uint8Array[]): Proposed | undefined {
    return this.#propose(datas.map((data) => ({ type: EntryType.Normal, data })));
  }

  /**
   * Asks for a change of members. A leader that can't make it now puts an empty entry in its place. Once an entry with
   * the change is committed, every member calls applyConfChange. Throws ProposalDroppedError.
   */
  proposeConfChange(change: ConfChange): Proposed | undefined {
    return this.#propose([{ type: EntryType.ConfChangeV2, data: encodeConfChange(change) }]);
  }

  #propose(proposals: readonly Proposal[]): Proposed | undefined {
    const raft = this.#raft;
    if (raft.role === 'leader') {
      if (!proposeAsLeader(raft, proposals)) throw new ProposalDroppedError();
      return { index: raft.log.lastIndex, term: raft.term };
    }
    const entries = proposals.map(({ type, data }) => ({ type, term: 0, index: 0, data }));
    const message = { type: MessageType.Prop, to: raft.id, from: raft.id, term: 0, entries };
    if (!step(raft, message)) throw new ProposalDroppedError();
    return undefined;
  }

  /**
   * A committed entry says so: these are the members now. To be called for every committed change, in order, before the
   * entries after it are reported as applied. Throws ConfChangeError, on every member alike, when it does not fit.
   */
  applyConfChange(change: ConfChange): ConfState {
    return applyConfChange(this.#raft, change);
  }

  /**
   * Asks up to which index must be applied for a read to see all that was acknowledged before now. The answer is a
   * ReadState with this context; none comes when leadership changes or a message is lost. Throws ReadDroppedError.
   */
  readIndex(context: Uint8Array): void {
    const raft = this.#raft;
    if (raft.role === 'leader') {
      if (!takeRead(raft, { from: raft.id, context })) throw new ReadDroppedError();
      return;
    }
    if (raft.leader === NOBODY) {
      raft.trace?.({ kind: 'read-dropped', why: 'no-leader', from: raft.id });
      throw new ReadDroppedError();
    }
    raft.send({ type: MessageType.ReadIndex, to: raft.leader, from: raft.id, term: 0, context });
  }

  /** Asks the leader to hand leadership to this voter. To the leader itself: never mind an earlier one. */
  transferLeader(to: PeerId): void {
    const { id, term } = this.#raft;
    step(this.#raft, { type: MessageType.TransferLeader, to: id, from: id, term, vote: to });
  }

  /**
   * A follower stops to believe in its leader and may vote for others, until it hears from it again. Not with lease
   * reads, where it has promised not to.
   */
  forgetLeader(): void {
    forgetLeader(this.#raft);
  }

  /**
   * The connection to the leader is closed. A follower of it campaigns at once, with a pre-vote whatever preVote says:
   * while the others hear from the leader nothing changes. The caller waits a random tick or two before, so that not all
   * campaign together, and says whom it meant. Nothing happens with lease reads, where the follower has promised to wait.
   */
  leaderGone(leader: PeerId = this.#raft.leader): void {
    leaderGone(this.#raft, leader);
  }

  /** A message to this peer was lost, as far as the caller knows: probe before sending more. */
  reportUnreachable(id: PeerId): void {
    const progress = this.#leadersProgress(id);
    if (progress === undefined) return;
    if (progress.state === 'replicate') progress.becomeProbe();
    this.#raft.trace?.({ kind: 'peer-unreachable', progress: progress.status() });
  }

  /**
   * The snapshot for this peer arrived, or did not. Must be called once for every Snap message that ready() gives: until
   * then, or until the peer answers, the peer is sent nothing else.
   */
  reportSnapshot(id: PeerId, ok: boolean): void {
    const progress = this.#leadersProgress(id);
    if (progress?.state !== 'snapshot') return;
    // A failed one does not count: probe before it.
    if (!ok) progress.pendingSnapshot = 0;
    progress.becomeProbe();
    this.#raft.trace?.({ kind: 'snapshot-reported', ok, progress: progress.status() });
    // Arrived: its answer is on the way. Failed: try again at the next heartbeat.
    progress.appendsPaused = true;
  }

  #leadersProgress(id: PeerId) {
    return this.#raft.role === 'leader' ? this.#raft.tracker.get(id) : undefined;
  }

  hasReady(): boolean {
    return hasReady(this.#raft, this.#told);
  }

  /**
   * What is to be done, see Ready. It counts as handed out. Without asynchronous storage writes it must be carried out,
   * and advance() called, before the next one.
   */
  ready(): Ready {
    assert(this.#onAdvance === undefined, 'ready() was called again before advance()');
    const raft = this.#raft;
    if (raft.reads.roundDue) broadcastHeartbeat(raft);
    const ready = makeReady(raft, this.#told);
    this.#accept(ready);
    return ready;
  }

  #accept(ready: Ready): void {
    const raft = this.#raft;
    const { asyncStorageWrites } = raft.settings;
    const { committedEntries } = ready;
    this.#told = {
      hardState: ready.hardState ?? this.#told.hardState,
      softState: ready.softState ?? this.#told.softState,
    };
    if (!asyncStorageWrites) this.#onAdvance = this.#afterwards(ready);
    raft.messages = [];
    raft.messagesAfterAppend = [];
    raft.readStates = [];
    raft.log.unstable.acceptInProgress();
    const last = committedEntries.at(-1);
    if (last !== undefined)
      raft.log.acceptApplying(last.index, entriesBytes(committedEntries), !asyncStorageWrites);
  }

  /** What storage would answer, and what we promised to ourselves. */
  #afterwards({ snapshot, committedEntries }: Ready): readonly Message[] {
    const raft = this.#raft;
    return [
      ...raft.messagesAfterAppend.filter(({ to }) => to === raft.id),
      ...appendResponses(raft, snapshot),
      ...(committedEntries.length > 0 ? [applyResponse(raft, committedEntries)] : []),
    ];
  }

  /** The last Ready is carried out. Only without asynchronous storage writes. */
  advance(): void {
    const messages = this.#onAdvance;
    assert(messages !== undefined, 'advance() was called without a Ready to carry out');
    this.#onAdvance = undefined;
    for (const message of messages) step(this.#raft, message);
  }

  status(): Status {
    return statusOf(this.#raft);
  }
}
