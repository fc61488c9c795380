import {
  ConfChangeError,
  type Entry,
  entryBytes,
  LOCAL_APPEND,
  LOCAL_APPLY,
  type Message,
  MessageType,
  ProposalDroppedError,
  type RawNode,
  ReadDroppedError,
  type Ready,
  type Role,
} from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import { Applying } from './applying.ts';
import type { DiskQueue } from './disk-queue.ts';
import { changeMembership, decodeChange, isConfChange, type MembershipHistory } from './membership.ts';
import type { Soon } from './opts.ts';
import { Outbox } from './outbox.ts';
import { pack, toHandOver } from './packed.ts';
import { Proposals } from './proposals.ts';
import type { CorePort, Failure } from './protocol.ts';
import { Reads } from './reads.ts';
import { runsOf } from './term-runs.ts';
import type { Transport } from './transport.ts';

/** When the connection to the leader breaks, the followers campaign one after the other, this far apart. */
const SUCCESSION_STEP_MS = 15;
const SUCCESSION_JITTER_MS = 4;

/** A follower's main thread is given what is committed no more often than this: each time it wakes a thread. */
const FOLLOWER_HAND_OVER_MS = 5;

const NO_BYTES = new Uint8Array();

export interface DriverOpts {
  readonly raftId: number;
  readonly tickMs: number;
  readonly requestTimeoutMs: number;
}

export interface DriverModules {
  readonly node: RawNode;
  readonly history: MembershipHistory;
  readonly disk: DiskQueue;
  readonly soon: Soon;
  readonly transport: Pick<Transport, 'send'>;
  readonly port: CorePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Entries were handed to the main thread, conf changes among them carried out. */
  readonly committed: (entries: readonly Entry[], membersChanged: boolean) => void;
  /** The main thread applied so many bytes more, up to here. */
  readonly applied: (index: number, bytes: number) => void;
  readonly leadershipChanged: (leadership: DriverLeadership) => void;
  readonly failed: (error: unknown) => void;
}

export interface DriverLeadership {
  readonly term: number;
  /** 0: nobody is known to lead. */
  readonly leader: number;
  readonly leading: boolean;
}

/**
 * The loop around Raft: it takes in what happens, and carries out what Raft then asks for. Messages go at once, writes a
 * moment later, committed entries to the main thread; nothing here waits.
 */
export class Driver implements Disposable {
  readonly #opts: DriverOpts;
  readonly #modules: DriverModules;
  readonly #proposals = new Proposals();
  readonly #reads: Reads;
  readonly #outbox: Outbox;
  readonly #applying = new Applying();
  /** Committed entries that wait for a write to start, or for more of them. */
  readonly #committed: Message[] = [];
  #handedAtMs = Number.NEGATIVE_INFINITY;
  /** Reads of this member wait for what is committed up to here. */
  #readIndex = 0;
  #cancelHandOver: (() => void) | undefined;
  #turning = false;
  #stopped = false;
  #role: Role = 'follower';
  #leadership: DriverLeadership = { term: 0, leader: 0, leading: false };
  /** Of the last entry that was handed to the main thread. */
  #handed = { index: 0, term: 0 };
  #cancelSuccession: (() => void) | undefined;

  constructor(opts: DriverOpts, modules: DriverModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.#outbox = new Outbox(modules);
    this.#reads = new Reads(modules.random.bytes(8), {
      ask: (context) => this.#askRead(context),
      answer: (ids, index) => this.#answerReads(ids, index),
      giveUp: (ids) => this.#refuse('read', ids, 'nobody leads the cluster, or the leader has no quorum'),
    });
  }

  get leadership(): DriverLeadership {
    return this.#leadership;
  }

  get proposalsWaiting(): number {
    return this.#proposals.count;
  }

  get handedIndex(): number {
    return this.#handed.index;
  }

  /** Does something to Raft, then whatever follows from it. Every call from outside goes through here. */
  run(work: () => void): void {
    if (this.#stopped) return;
    try {
      work();
      this.#turn();
    } catch (error) {
      this.#modules.failed(error);
    }
  }

  /** The first turn. */
  begin(): void {
    this.run(() => this.#campaignWhenAlone());
  }

  tick(): void {
    this.run(() => {
      this.#modules.node.tick();
      this.#reads.tick(this.#modules.clock.monotonicMs());
      if (this.#applying.ask()) this.#modules.port.post({ kind: 'how-far' });
    });
  }

  /** Messages from other members. While the disk is full nothing is taken that would have to be written. */
  received(messages: readonly Message[]): void {
    this.run(() => {
      for (const message of messages)
        if (!this.#modules.disk.full || message.type !== MessageType.App) this.#modules.node.step(message);
    });
  }

  /** What the disk's writes made true. */
  written(responses: readonly Message[]): void {
    this.run(() => {
      for (const response of responses)
        if (response.to === this.#opts.raftId) this.#modules.node.step(response);
        else this.#outbox.send(response);
    });
  }

  propose(firstId: number, datas: readonly Uint8Array[]): void {
    this.run(() => {
      const ids = datas.map((_, at) => firstId + at);
      if (this.#modules.disk.full) return this.#refuse('proposal', ids, 'the disk of this manager is full');
      const last = this.#tryPropose(datas);
      if (last === undefined) return this.#refuse('proposal', ids, this.#whyNot());
      for (const [at, id] of ids.entries())
        this.#proposals.add(id, last.index - datas.length + 1 + at, last.term);
    });
  }

  read(id: number): void {
    this.run(() => {
      this.#reads.add(id, this.#modules.clock.monotonicMs() + this.#opts.requestTimeoutMs);
      this.#reads.flush();
    });
  }

  /** The main thread has applied everything it was given up to here. */
  applied(index: number): void {
    this.run(() => {
      const done = this.#applying.applied(index);
      for (const { responses } of done) for (const response of responses) this.#modules.node.step(response);
      const bytes = done.reduce((sum, given) => sum + given.bytes, 0);
      this.#campaignWhenAlone();
      this.#modules.applied(index, bytes);
    });
  }

  /** The main thread is given a snapshot that takes the place of everything up to its index. */
  replaced(index: number, term: number): void {
    this.#handOverAll();
    this.#handed = { index, term };
    const outcomes = this.#proposals.replaced(index, term);
    this.#modules.port.post({ kind: 'outcomes', outcomes });
  }

  /** This member was removed: nobody tells it any more what is committed. */
  removed(): void {
    this.#handOverAll();
    this.#modules.port.post({ kind: 'outcomes', outcomes: this.#proposals.abandoned() });
  }

  /**
   * The line from a member broke. If it led, its followers stop to believe in it at once, and campaign one after the
   * other: the first that can win does, so nobody waits for a timeout and votes are not split.
   */
  lineEnded(raftId: number): void {
    if (raftId !== this.#leadership.leader || this.#leadership.leading) return;
    const { clock, random, node, log } = this.#modules;
    const { term } = this.#leadership;
    log.info('the connection to the leader broke', { leader: raftId, term });
    this.run(() => node.forgetLeader());
    const delayMs = this.#succession(raftId) * SUCCESSION_STEP_MS + random.next() * SUCCESSION_JITTER_MS;
    this.#cancelSuccession?.();
    this.#cancelSuccession = clock.timer(delayMs, () => {
      if (this.#leadership.leader === 0 && this.#leadership.term === term) this.run(() => node.campaign());
    });
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#cancelSuccession?.();
    this.#cancelHandOver?.();
    this.#outbox[Symbol.dispose]();
  }

  /** Our place among the voters that may follow a leader. */
  #succession(leader: number): number {
    const voters = this.#modules.history.current.confState.voters.filter((id) => id !== leader);
    return Math.max(0, [...voters].sort((a, b) => a - b).indexOf(this.#opts.raftId));
  }

  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    try {
      while (this.#modules.node.hasReady()) this.#carryOut(this.#modules.node.ready());
    } finally {
      this.#turning = false;
    }
  }

  #carryOut(ready: Ready): void {
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND) this.#modules.disk.add(message);
      else if (message.to === LOCAL_APPLY) this.#maybeHandOver(message);
      else this.#outbox.send(message);
    }
    for (const { context, index } of ready.readStates) this.#reads.answered(context, index);
    if (ready.softState !== undefined) this.#role = ready.softState.role;
    this.#noteLeadership(
      ready.hardState?.term ?? this.#leadership.term,
      ready.softState?.leader ?? this.#leadership.leader,
    );
  }

  #noteLeadership(term: number, leader: number): void {
    const leading = this.#role === 'leader' && this.#handed.term === term;
    const before = this.#leadership;
    if (term === before.term && leader === before.leader && leading === before.leading) return;
    this.#leadership = { term, leader, leading };
    this.#modules.leadershipChanged(this.#leadership);
  }

  /** A leader's writers wait for what is committed; a follower's leader waits for its disk, so the write goes first. */
  #maybeHandOver(message: Message): void {
    const { disk, soon, clock } = this.#modules;
    this.#committed.push(message);
    const isAwaited = this.#role === 'leader' || this.#readIndex > this.#handed.index;
    if (isAwaited || disk.full) return this.#handOverAll();
    if (this.#committed.length > 1) return;
    const dueMs = this.#handedAtMs + FOLLOWER_HAND_OVER_MS - clock.monotonicMs();
    if (dueMs > 0) this.#cancelHandOver = clock.timer(dueMs, () => this.#handOverLate());
    else if (disk.idle) this.#handOverAll();
    else soon(() => this.#handOverLate());
  }

  #handOverLate(): void {
    this.run(() => {
      this.#handOverAll();
      this.#noteLeadership(this.#leadership.term, this.#leadership.leader);
    });
  }

  #handOverAll(): void {
    if (this.#committed.length === 0) return;
    this.#cancelHandOver?.();
    this.#handedAtMs = this.#modules.clock.monotonicMs();
    const messages = this.#committed.splice(0);
    const entries = messages.flatMap((message) => message.entries ?? []);
    const responses = messages.flatMap((message) => message.responses ?? []);
    this.#handOver(entries, responses);
  }

  /** Committed entries go to the main thread; changes of members are made here. */
  #handOver(entries: readonly Entry[], responses: readonly Message[]): void {
    const last = entries.at(-1) as Entry;
    const changes = entries.filter(isConfChange);
    for (const entry of changes) this.#changeMembers(entry);
    const data = pack(entries.map((entry) => (isConfChange(entry) ? NO_BYTES : entry.data)));
    const firstIndex = (entries[0] as Entry).index;
    const outcomes = this.#proposals.applied(entries);
    const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    const given = { index: last.index, bytes, responses };
    const asks = this.#applying.add(given, changes.length > 0);
    const terms = runsOf(entries.map(({ term }) => term));
    this.#modules.port.post({ kind: 'committed', firstIndex, terms, data, outcomes, asks }, toHandOver(data));
    this.#handed = { index: last.index, term: last.term };
    this.#modules.committed(entries, changes.length > 0);
  }

  /** A change that the present members do not allow is none, on every member alike. */
  #changeMembers(entry: Entry): void {
    const { node, history, log } = this.#modules;
    const { change, peer } = decodeChange(entry);
    try {
      const confState = node.applyConfChange(change);
      history.add(entry.index, changeMembership(history.current, change, confState, peer));
    } catch (error) {
      if (!(error instanceof ConfChangeError)) throw error;
      log.warn('a change of members had no effect', { index: entry.index, err: error });
    }
  }

  /** The only voter need not wait for an election. */
  #campaignWhenAlone(): void {
    const { voters } = this.#modules.history.current.confState;
    if (this.#role !== 'follower' || this.#leadership.leader !== 0) return;
    if (voters.length === 1 && voters[0] === this.#opts.raftId) this.#modules.node.campaign();
  }

  #tryPropose(datas: readonly Uint8Array[]): { index: number; term: number } | undefined {
    try {
      return this.#modules.node.proposeAll(datas);
    } catch (error) {
      if (error instanceof ProposalDroppedError) return undefined;
      throw error;
    }
  }

  #whyNot(): string {
    if (this.#leadership.leader === 0) return 'the cluster has no leader at the moment';
    if (this.#role !== 'leader') return 'this manager does not lead the cluster';
    return 'the leader takes no writes at the moment: it has too many waiting, or hands leadership over';
  }

  #askRead(context: Uint8Array): boolean {
    try {
      this.#modules.node.readIndex(context);
      return true;
    } catch (error) {
      if (error instanceof ReadDroppedError) return false;
      throw error;
    }
  }

  /** Who reads waits for what is committed to be applied. */
  #answerReads(ids: readonly number[], index: number): void {
    this.#readIndex = Math.max(this.#readIndex, index);
    this.#handOverAll();
    this.#modules.port.post({ kind: 'read', ids, index });
  }

  #refuse(what: 'proposal' | 'read', ids: readonly number[], message: string): void {
    const failure: Failure = { code: 'UNAVAILABLE', message };
    this.#modules.port.post({ kind: 'refused', what, ids, failure });
  }
}
