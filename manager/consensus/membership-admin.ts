import {
  type ConfChange,
  type ConfChangeSingle,
  ConfChangeType,
  type Entry,
  type PeerProgress,
  ProposalDroppedError,
  type RawNode,
} from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Member } from './consensus.ts';
import {
  isConfChange,
  type Membership,
  type MembershipHistory,
  membersOf,
  type Peer,
  peerOf,
} from './membership.ts';
import { encodePeer } from './wire.ts';

/** A learner this close behind the leader keeps up: it may vote. */
const CAUGHT_UP_ENTRIES = 64;
/** How often the leader looks whether a learner has caught up, or a member's address changed. */
const LOOK_EVERY_TICKS = 5;
/** How often it is asked again to hand over, each for as long as an election takes, before that is given up. */
const TRANSFER_TRIES = 3;

export interface MembershipAdminOpts {
  readonly self: Peer;
  readonly requestTimeoutMs: number;
  /** How long an attempt to hand leadership over may take. */
  readonly transferMs: number;
}

export interface MembershipAdminModules {
  readonly node: RawNode;
  readonly history: MembershipHistory;
  /** Runs work on Raft, and what follows from it. */
  readonly run: (work: () => void) => void;
  readonly leadership: () => { readonly leader: number; readonly leading: boolean };
  /** It has answered lately. */
  readonly isReachable: (raftId: number) => boolean;
  /** Where a member says that it is found, when it has said so since this member started. */
  readonly introduced: (raftId: number) => Peer | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

interface PendingChange {
  readonly index: number;
  readonly term: number;
  readonly done: (made: boolean) => void;
}

/** What the leader does about members: one change at a time, each committed before the next. */
export class MembershipAdmin {
  readonly #opts: MembershipAdminOpts;
  readonly #modules: MembershipAdminModules;
  #pending: PendingChange | undefined;
  /** The end of the line of those who want to change something. */
  #line: Promise<unknown> = Promise.resolve();
  #inLine = 0;
  #ticks = 0;

  constructor(opts: MembershipAdminOpts, modules: MembershipAdminModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /** Lets a manager in as learner. Asked again for one that has not spoken yet, it gives the same answer. */
  add(wanted: Omit<Member, 'learner' | 'raftId'>): Promise<Member> {
    return this.#inTurn(async () => {
      this.#requireLeading();
      const there = this.#membership.peers.find((peer) => peer.nodeId === wanted.nodeId);
      if (there !== undefined) return this.#admitAgain(there, wanted);
      const peer = { ...wanted, raftId: this.#membership.nextRaftId };
      await this.#change({ type: ConfChangeType.AddLearnerNode, nodeId: peer.raftId }, peer);
      return { ...peer, learner: true };
    });
  }

  /** Removes a manager for good. UNAVAILABLE: this one has handed the lead over first; who leads now is to be asked. */
  remove(raftId: number): Promise<void> {
    return this.#inTurn(async () => {
      this.#requireLeading();
      const peer = peerOf(this.#membership, raftId);
      if (peer === undefined)
        throw new ShoalError('NOT_FOUND', `manager ${raftId} is no member of the cluster`);
      this.#refuseLossOfQuorum(raftId);
      const isOneOfTwo = this.#isOneOfTwo(raftId);
      if (isOneOfTwo && raftId === this.#opts.self.raftId) return this.#handOver();
      // Who is left alone may forget over a restart that this is committed, and ask the other for its vote: that one must
      // still be there. What is written next takes the commit index to disk, too.
      if (isOneOfTwo) await this.#change({ type: ConfChangeType.AddLearnerNode, nodeId: raftId }, peer);
      await this.#change({ type: ConfChangeType.RemoveNode, nodeId: raftId }, peer);
    });
  }

  /** Hands leadership to the voter that is furthest, and resolves once somebody else leads. */
  async transfer(signal?: AbortSignal): Promise<void> {
    this.#requireLeading();
    const { node, clock, run } = this.#modules;
    for (let attempt = 0; attempt < TRANSFER_TRIES; attempt += 1) {
      const heir = this.#heirs()[attempt] ?? this.#heirs()[0];
      if (heir === undefined) break;
      run(() => node.transferLeader(heir.id));
      const untilMs = clock.monotonicMs() + this.#opts.transferMs;
      while (clock.monotonicMs() < untilMs) {
        if (this.#someoneElseLeads()) return;
        await clock.sleep(this.#opts.transferMs / 20, signal);
      }
    }
    throw new ShoalError(
      'UNAVAILABLE',
      'no other manager could take over the lead: all are behind or do not answer',
    );
  }

  /** To be told of every committed entry. */
  committed(entries: readonly Entry[]): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    for (const entry of entries) {
      if (entry.index < pending.index && entry.term <= pending.term) continue;
      this.#pending = undefined;
      const isIt = entry.index === pending.index && entry.term === pending.term;
      return pending.done(isIt && isConfChange(entry));
    }
  }

  tick(): void {
    this.#ticks += 1;
    if (this.#ticks % LOOK_EVERY_TICKS !== 0 || this.#inLine > 0 || !this.#modules.leadership().leading)
      return;
    const due = this.#dueChange();
    if (due === undefined) return;
    this.#inTurn(() => this.#change(due.change, due.peer)).catch((error) =>
      this.#modules.log.warn('a change of members that is due was not made', { ...due.change, err: error }),
    );
  }

  get #membership(): Membership {
    return this.#modules.history.current;
  }

  #dueChange(): { change: ConfChangeSingle; peer: Peer } | undefined {
    const { lastIndex, progress } = this.#modules.node.status();
    for (const one of progress) {
      const peer = peerOf(this.#membership, one.id);
      if (peer === undefined) continue;
      const caughtUp = one.match + CAUGHT_UP_ENTRIES >= lastIndex && one.match > 0;
      if (one.isLearner && caughtUp && one.state === 'replicate')
        return { change: { type: ConfChangeType.AddNode, nodeId: one.id }, peer };
      const now = one.id === this.#opts.self.raftId ? this.#opts.self : this.#modules.introduced(one.id);
      if (now !== undefined && !sameAddresses(now, peer))
        return { change: { type: ConfChangeType.UpdateNode, nodeId: one.id }, peer: now };
    }
    return undefined;
  }

  #admitAgain(there: Peer, wanted: Omit<Member, 'learner' | 'raftId'>): Member {
    const member = membersOf(this.#membership).find((other) => other.raftId === there.raftId) as Member;
    const progress = this.#modules.node.status().progress.find((other) => other.id === there.raftId);
    if (member.learner && progress?.match === 0 && sameAddresses(there, wanted)) return member;
    throw new ShoalError(
      'CONFLICT',
      `node ${wanted.nodeId} is a manager of this cluster already, at ${there.raftAddr}, and comes without the state it had: ` +
        `"docker node demote ${wanted.nodeId}" on another manager, then "docker node promote ${wanted.nodeId}"`,
    );
  }

  #refuseLossOfQuorum(raftId: number): void {
    const { voters } = this.#membership.confState;
    if (!voters.includes(raftId)) return;
    const rest = voters.filter((id) => id !== raftId);
    const reachable = rest.filter((id) => id === this.#opts.self.raftId || this.#modules.isReachable(id));
    if (rest.length > 0 && reachable.length > rest.length / 2) return;
    throw new ShoalError(
      'FAILED_PRECONDITION',
      'raft: member cannot be removed, because removing it may result in loss of quorum',
    );
  }

  #isOneOfTwo(raftId: number): boolean {
    const { voters } = this.#membership.confState;
    return voters.length === 2 && voters.includes(raftId);
  }

  /** A leader that removes itself may be gone before the only other voter hears of it, which then waits for it for ever. */
  async #handOver(): Promise<never> {
    await this.transfer();
    throw new ShoalError('UNAVAILABLE', 'the lead was handed over first: ask the manager that leads now');
  }

  #requireLeading(): void {
    if (!this.#modules.leadership().leading)
      throw new ShoalError('UNAVAILABLE', 'this manager does not lead the cluster');
  }

  /** Other voters that answer, the furthest first. */
  #heirs(): PeerProgress[] {
    const { progress } = this.#modules.node.status();
    return progress
      .filter(
        (one) => one.id !== this.#opts.self.raftId && !one.isLearner && this.#modules.isReachable(one.id),
      )
      .sort((a, b) => b.match - a.match || a.id - b.id);
  }

  #someoneElseLeads(): boolean {
    const { leader } = this.#modules.leadership();
    return leader !== 0 && leader !== this.#opts.self.raftId;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#inLine += 1;
    const result = this.#line.then(work);
    this.#line = result
      .catch(() => undefined)
      .finally(() => {
        this.#inLine -= 1;
      });
    return result;
  }

  async #change(change: ConfChangeSingle, peer: Peer): Promise<void> {
    const { clock } = this.#modules;
    const timeout = Promise.withResolvers<'late'>();
    const cancel = clock.timer(this.#opts.requestTimeoutMs, () => timeout.resolve('late'));
    const outcome = await Promise.race([this.#propose(change, peer), timeout.promise]);
    cancel();
    this.#pending = undefined;
    if (outcome === true) return;
    if (outcome === false)
      throw new ShoalError(
        'UNAVAILABLE',
        'the change of members was not made: another one, or another leader, came first',
      );
    throw new ShoalError(
      'DEADLINE_EXCEEDED',
      'the change of members is not committed yet: the cluster has no quorum',
    );
  }

  #propose(single: ConfChangeSingle, peer: Peer): Promise<boolean> {
    const change: ConfChange = { transition: 'auto', changes: [single], context: encodePeer(peer) };
    return new Promise((done, failed) => {
      this.#modules.run(() => {
        try {
          const place = this.#modules.node.proposeConfChange(change);
          if (place === undefined) done(false);
          else this.#pending = { ...place, done };
        } catch (error) {
          if (!(error instanceof ProposalDroppedError)) return failed(error);
          done(false);
        }
      });
    });
  }
}

function sameAddresses(
  a: Pick<Peer, 'raftAddr' | 'controlAddr'>,
  b: Pick<Peer, 'raftAddr' | 'controlAddr'>,
): boolean {
  return a.raftAddr === b.raftAddr && a.controlAddr === b.controlAddr;
}
