import {
  type Entry,
  type MemoryStorage,
  type Message,
  RawNode,
  type Snapshot,
  type TraceEvent,
  traceLevel,
} from 'raft-ts';
import { ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Member } from './consensus.ts';
import { CoreMetrics } from './core-metrics.ts';
import { DiskQueue } from './disk-queue.ts';
import { Driver, type DriverLeadership } from './driver.ts';
import { MembershipHistory, membersOf, NO_MEMBERSHIP, type Peer, peerOf, wasRemoved } from './membership.ts';
import { MembershipAdmin } from './membership-admin.ts';
import type { CoreModules, CoreOpts } from './opts.ts';
import { OwnSnapshot, Restore, SnapshotIntake } from './own-snapshot.ts';
import { unpack } from './packed.ts';
import {
  type Answer,
  type CorePort,
  type CoreStatus,
  failureOf,
  type Request,
  type ToCore,
} from './protocol.ts';
import { openState, type State } from './state.ts';
import { REMOVED, type Transport, type TransportEvents } from './transport.ts';
import { decodeSnapshotInfo, type SnapshotInfo, snapshotOf } from './wire.ts';

/** Entries sent in one message, and handed to the main thread before it has applied them. */
const MESSAGE_ENTRIES_BYTES = 1024 * 1024;
const APPLYING_BYTES = 16 * 1024 * 1024;
/** What is kept in memory for slow followers behind a snapshot, whatever the number of entries. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** How long a member that stops tries to hand leadership over, in election timeouts. */
const FAREWELL_ELECTIONS = 3;

/** Everything of consensus but its face: opened from disk, driven by time and messages, answering the main thread. */
export class Core implements AsyncDisposable {
  readonly #opts: CoreOpts;
  readonly #modules: CoreModules;
  readonly #port: CorePort;
  readonly #state: State;
  readonly #history: MembershipHistory;
  readonly #node: RawNode;
  readonly #disk: DiskQueue;
  readonly #driver: Driver;
  readonly #admin: MembershipAdmin;
  readonly #ownSnapshot: OwnSnapshot;
  readonly #restore: Restore;
  readonly #intake: SnapshotIntake;
  readonly #metrics: CoreMetrics;
  readonly #heardAtMs = new Map<number, number>();
  readonly #introduced = new Map<number, Peer>();
  #transport: Transport | undefined;
  #cancelTick: (() => void) | undefined;
  #stopped: Promise<void> | undefined;
  #failed = false;

  /** Opens the state, connects to the others and starts the loop. Throws what openState throws. */
  static async start(opts: CoreOpts, modules: CoreModules, port: CorePort): Promise<Core> {
    const core = new Core(opts, modules, port);
    try {
      await core.#begin();
    } catch (error) {
      await core[Symbol.asyncDispose]();
      throw error;
    }
    return core;
  }

  private constructor(opts: CoreOpts, modules: CoreModules, port: CorePort) {
    this.#opts = opts;
    this.#modules = modules;
    this.#port = port;
    this.#metrics = new CoreMetrics(modules.metrics);
    this.#state = openState(opts, modules, (seconds) => this.#metrics.synced(seconds));
    const { snapshot, storage, snapshots } = this.#state;
    this.#history = new MembershipHistory(snapshot?.index ?? 0, snapshot?.membership ?? NO_MEMBERSHIP);
    this.#node = this.#makeNode(storage);
    this.#disk = this.#makeDisk();
    this.#driver = this.#makeDriver();
    this.#admin = this.#makeAdmin();
    this.#restore = new Restore(port, snapshots);
    this.#intake = new SnapshotIntake(snapshots);
    const snapshotOpts = { everyEntries: opts.limits.snapshotEveryEntries };
    this.#ownSnapshot = new OwnSnapshot(snapshotOpts, {
      port,
      snapshots,
      infoAt: (index) => this.#infoAt(index),
      taken: (info) => this.#snapshotTaken(info),
      log: modules.log,
    });
  }

  #makeNode(storage: MemoryStorage): RawNode {
    const { limits } = this.#opts;
    return new RawNode({
      id: this.#state.self.raftId,
      electionTicks: limits.electionTicks,
      heartbeatTicks: limits.heartbeatTicks,
      storage,
      asyncStorageWrites: true,
      messageBytesMax: MESSAGE_ENTRIES_BYTES,
      committedBytesMax: APPLYING_BYTES,
      inflightMessagesMax: LIMITS.raftInflightMessagesMax,
      inflightBytesMax: LIMITS.raftInflightBytesMax,
      checkQuorum: true,
      preVote: true,
      disableProposalForwarding: true,
      stepDownOnRemoval: true,
      random: () => this.#modules.random.next(),
      trace: (event) => this.#trace(event),
    });
  }

  #makeDisk(): DiskQueue {
    return new DiskQueue({
      ...this.#modules,
      ...this.#state,
      install: (snapshot) => this.#install(snapshot),
      written: (responses) => this.#driver.written(responses),
      fullChanged: (full) => this.#diskFull(full),
      failed: (error) => this.#fail(error),
    });
  }

  #makeDriver(): Driver {
    const { limits } = this.#opts;
    const opts = { raftId: this.#state.self.raftId, ...limits };
    return new Driver(opts, {
      ...this.#modules,
      node: this.#node,
      storage: this.#state.storage,
      history: this.#history,
      disk: this.#disk,
      transport: { send: (message) => this.#transport?.send(message) },
      port: this.#port,
      committed: (entries, membersChanged) => this.#committed(entries, membersChanged),
      applied: (index, bytes) => this.#ownSnapshot.applied(index, bytes),
      leadershipChanged: (leadership) => this.#tellLeadership(leadership),
      failed: (error) => this.#fail(error),
    });
  }

  #makeAdmin(): MembershipAdmin {
    const { limits } = this.#opts;
    const opts = {
      self: this.#state.self,
      requestTimeoutMs: limits.requestTimeoutMs,
      transferMs: limits.electionTicks * limits.tickMs,
    };
    return new MembershipAdmin(opts, {
      ...this.#modules,
      node: this.#node,
      history: this.#history,
      run: (work) => this.#driver.run(work),
      leadership: () => this.#driver.leadership,
      isReachable: (raftId) => this.#heardLately(raftId),
      introduced: (raftId) => this.#introduced.get(raftId),
    });
  }

  async #begin(): Promise<void> {
    const { start, limits } = this.#opts;
    const { snapshot, self } = this.#state;
    // First of all: whatever another member makes us apply must come behind it.
    if (snapshot !== undefined) this.#restore.start(snapshot);
    this.#port.onMessage((message) => this.#handle(message));
    this.#transport = await this.#modules.startTransport(self, this.#transportEvents());
    if (start.kind === 'join') for (const member of start.members) this.#transport.introduce(member);
    this.#membersChanged();
    this.#tellLeadership(this.#driver.leadership);
    this.#port.post({ kind: 'started' });
    this.#driver.begin();
    this.#tickAt(this.#modules.clock.monotonicMs() + limits.tickMs);
  }

  /** One tick a period; when the loop was held up, time that was lost stays lost: nobody was silent meanwhile but we. */
  #tickAt(dueMs: number): void {
    const { clock } = this.#modules;
    const { tickMs } = this.#opts.limits;
    this.#cancelTick = clock.timer(Math.max(0, dueMs - clock.monotonicMs()), () => {
      const nowMs = clock.monotonicMs();
      this.#metrics.ticked(nowMs - dueMs, tickMs);
      this.#tick();
      this.#tickAt(dueMs + tickMs > nowMs ? dueMs + tickMs : nowMs + tickMs);
    });
  }

  #tick(): void {
    this.#driver.tick();
    this.#admin.tick();
    if (!this.#disk.idle || this.#failed) return;
    try {
      this.#state.wal.prepare();
    } catch (error) {
      this.#fail(error);
    }
  }

  #handle(message: ToCore): void {
    switch (message.kind) {
      case 'propose':
        return this.#driver.propose(message.firstId, unpack(message.data));
      case 'applied':
        return this.#driver.applied(message.index);
      case 'read':
        return this.#driver.read(message.id);
      case 'request':
        return void this.#answer(message.id, message.request);
      default:
        return this.#driver.run(() => this.#handleSnapshot(message));
    }
  }

  #handleSnapshot(message: ToCore): void {
    switch (message.kind) {
      case 'snapshot-begin':
        return this.#ownSnapshot.begin(message.index);
      case 'snapshot-piece':
        return this.#ownSnapshot.piece(message.piece);
      case 'snapshot-end':
        return this.#ownSnapshot.end();
      case 'snapshot-failed':
        this.#modules.log.error('the state could not be written as a snapshot', { ...message.failure });
        return this.#ownSnapshot.failed(this.#driver.handedIndex);
      case 'restore-more':
        return this.#restore.more();
    }
  }

  async #answer(id: number, request: Request): Promise<void> {
    try {
      this.#port.post({ kind: 'reply', id, answer: await this.#carryOut(request) });
    } catch (error) {
      this.#port.post({ kind: 'denied', id, failure: failureOf(error) });
    }
  }

  async #carryOut(request: Request): Promise<Answer> {
    switch (request.ask) {
      case 'add-member':
        return this.#admin.add(request.member);
      case 'remove-member':
        return void (await this.#admin.remove(request.raftId));
      case 'transfer-leadership':
        return void (await this.#admin.transfer());
      case 'status':
        return this.#status();
      case 'stop':
        return void (await this[Symbol.asyncDispose]());
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    if (this.#driver.leadership.leading && !this.#failed) await this.#farewell();
    this.#cancelTick?.();
    this.#driver[Symbol.dispose]();
    this.#disk[Symbol.dispose]();
    await this.#transport?.[Symbol.asyncDispose]();
    this.#ownSnapshot.close();
    this.#intake.close();
    this.#restore.close();
    this.#state.wal.close();
  }

  /** Somebody else should lead before we go: then nobody waits for an election. */
  async #farewell(): Promise<void> {
    const { limits } = this.#opts;
    const giveUp = new AbortController();
    const untilMs = FAREWELL_ELECTIONS * limits.electionTicks * limits.tickMs;
    const cancel = this.#modules.clock.timer(untilMs, () => giveUp.abort(new Error('took too long')));
    await this.#admin.transfer(giveUp.signal).catch((error) => {
      this.#modules.log.debug('leadership was not handed over', { err: error });
    });
    cancel();
  }

  #transportEvents(): TransportEvents {
    const { snapshots } = this.#state;
    return {
      admit: (sender) => this.#admit(sender),
      received: (messages) => this.#received(messages),
      unreachable: (raftId) => this.#driver.run(() => this.#node.reportUnreachable(raftId)),
      streamEnded: (raftId) => this.#driver.streamEnded(raftId),
      snapshotSent: (raftId, ok) => this.#driver.run(() => this.#node.reportSnapshot(raftId, ok)),
      openSnapshot: (info) => snapshots.read(info),
      receiveSnapshot: (info) =>
        this.#intake.receive(info, (message) => this.#snapshotReceived(info, message)),
      removed: () => this.#wasRemoved(),
    };
  }

  #admit(sender: Peer): void {
    const { current } = this.#history;
    if (wasRemoved(current, sender.raftId)) throw new ShoalError('FORBIDDEN', REMOVED);
    const known = peerOf(current, sender.raftId);
    if (known !== undefined && known.nodeId !== sender.nodeId) {
      const message = `manager ${sender.raftId} is node ${known.nodeId}, not ${sender.nodeId}`;
      throw new ShoalError('UNAUTHENTICATED', message);
    }
    this.#introduced.set(sender.raftId, sender);
  }

  #received(messages: readonly Message[]): void {
    const from = messages[0]?.from;
    if (from !== undefined) this.#heardAtMs.set(from, this.#modules.clock.monotonicMs());
    this.#driver.received(messages);
  }

  /** Raft decides whether it wants it; what it takes is installed by the write that follows. */
  #snapshotReceived(info: SnapshotInfo, message: Message): void {
    this.#driver.run(() => this.#node.step(message));
    if (!this.#disk.holdsSnapshot(info.index)) this.#intake.discard(info);
  }

  #install(snapshot: Snapshot): void {
    const { index, term } = snapshot.meta;
    const info = decodeSnapshotInfo(snapshot.data);
    this.#intake.install(info);
    this.#history.restart(index, info.membership);
    this.#driver.replaced(index, term);
    this.#restore.start(info);
    this.#membersChanged();
    this.#modules.log.info('took over a snapshot of the leader', { index, term });
  }

  #committed(entries: readonly Entry[], membersChanged: boolean): void {
    this.#admin.committed(entries);
    this.#metrics.committed(this.#driver.handedIndex, this.#driver.proposalsWaiting);
    if (membersChanged) this.#membersChanged();
  }

  #membersChanged(): void {
    const { peers } = this.#history.current;
    this.#transport?.setPeers(peers);
    for (const raftId of this.#introduced.keys())
      if (wasRemoved(this.#history.current, raftId)) this.#introduced.delete(raftId);
    this.#tellMembers();
  }

  #tellMembers(): void {
    this.#port.post({ kind: 'members', members: membersOf(this.#history.current) });
  }

  /** We may never hear of our own removal: those who know no longer speak to us. Nobody can be found here any more. */
  #wasRemoved(): void {
    this.#modules.log.warn('this manager was removed from the cluster');
    this.#port.post({ kind: 'members', members: [] });
  }

  #tellLeadership({ term, leader, leading }: DriverLeadership): void {
    this.#metrics.leads(term, leading);
    const member = this.#members().find((other) => other.raftId === leader);
    const leadership = { term, leading, ...(member !== undefined && { leader: member }) };
    this.#port.post({ kind: 'leadership', leadership });
  }

  /** The members, and ourselves whatever the log says yet. */
  #members(): Member[] {
    const members = membersOf(this.#history.current);
    for (const peer of this.#introduced.values())
      if (!members.some((member) => member.raftId === peer.raftId)) members.push({ ...peer, learner: false });
    return members;
  }

  #infoAt(index: number): SnapshotInfo | undefined {
    const { storage, snapshots } = this.#state;
    if (index <= (snapshots.latest?.index ?? 0)) return undefined;
    return { index, term: storage.term(index), membership: this.#history.at(index) };
  }

  /** What the snapshot stands for may go: from memory but for a few entries that slow followers need, from disk all. */
  #snapshotTaken(info: SnapshotInfo): void {
    const { storage, wal } = this.#state;
    if (info.index <= storage.snapshot().meta.index) return;
    const { meta, data } = snapshotOf(info);
    storage.createSnapshot(info.index, meta.confState, data);
    const first = this.#firstKept(info.index);
    if (first > storage.firstIndex()) storage.compact(first - 1);
    wal.collect(info.index + 1);
    this.#history.forgetBefore(info.index);
    this.#modules.log.info('took a snapshot', { index: info.index });
  }

  #firstKept(snapshotIndex: number): number {
    const { storage } = this.#state;
    const { logEntriesForSlowFollowers } = this.#opts.limits;
    const from = Math.max(storage.firstIndex(), snapshotIndex + 1 - logEntriesForSlowFollowers);
    let bytes = 0;
    const kept = storage.entries(from, snapshotIndex + 1, Number.POSITIVE_INFINITY);
    for (const entry of kept.toReversed()) {
      bytes += entry.data.length;
      if (bytes > KEPT_BYTES) return entry.index + 1;
    }
    return from;
  }

  #diskFull(full: boolean): void {
    if (!full || !this.#driver.leadership.leading) return;
    this.#admin.transfer().catch((error) => {
      this.#modules.log.warn('leadership was not handed over: the disk of every other manager may be worse', {
        err: error,
      });
    });
  }

  #heardLately(raftId: number): boolean {
    const { limits, self } = { limits: this.#opts.limits, self: this.#state.self };
    if (raftId === self.raftId) return true;
    const atMs = this.#heardAtMs.get(raftId);
    const withinMs = 2 * limits.electionTicks * limits.tickMs;
    return atMs !== undefined && this.#modules.clock.monotonicMs() - atMs <= withinMs;
  }

  #status(): CoreStatus {
    const { term, commit, progress, role } = this.#node.status();
    const { self, snapshots } = this.#state;
    const members = membersOf(this.#history.current).map((member) => {
      const { raftId } = member;
      const heard =
        this.#heardLately(raftId) || (role !== 'leader' && this.#transport?.hears(raftId) === true);
      const match = progress.find((one) => one.id === raftId)?.match;
      return { member, reachable: heard, ...(match !== undefined && { matchIndex: match }) };
    });
    const learner = this.#history.current.confState.learners.includes(self.raftId);
    return {
      self: { ...self, learner },
      term,
      commitIndex: commit,
      snapshotIndex: snapshots.latest?.index ?? 0,
      members,
    };
  }

  #trace(event: TraceEvent): void {
    const { kind, ...fields } = event;
    this.#modules.log[traceLevel(kind)](`raft: ${kind}`, fields);
  }

  /** Something is broken that no retry mends: nothing more is done or said, so that it can't spread. */
  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#modules.log.error('consensus stopped', { err: error });
    this.#driver[Symbol.dispose]();
    this.#disk[Symbol.dispose]();
    this.#cancelTick?.();
    this.#port.post({ kind: 'failed', failure: failureOf(error) });
  }
}
