import { type Entry, type Message, RawNode, type Snapshot, type TraceEvent } from 'raft-ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { SnapshotPolicy } from './consensus.ts';
import { CoreMetrics } from './core-metrics.ts';
import { CoreSnapshots } from './core-snapshots.ts';
import { DiskQueue } from './disk-queue.ts';
import { Driver, type DriverLeadership } from './driver.ts';
import { KeyRotation } from './key-rotation.ts';
import type { LogStorage } from './log-storage.ts';
import { MembershipHistory, NO_MEMBERSHIP, wasRemoved } from './membership.ts';
import { MembershipAdmin } from './membership-admin.ts';
import type { ConsensusLimits, CoreModules, CoreOpts } from './opts.ts';
import { unpack } from './packed.ts';
import {
  type Answer,
  type CorePort,
  type CoreStatus,
  failureOf,
  type Request,
  type ToCore,
} from './protocol.ts';
import { RaftNews } from './raft-news.ts';
import { Roster } from './roster.ts';
import { StallWatch } from './stall-watch.ts';
import { openState, type State } from './state.ts';
import type { Transport, TransportEvents } from './transport.ts';
import { decodeSnapshotInfo, type SnapshotInfo } from './wire.ts';

/** Entries sent in one message, and handed to the main thread before it has applied them. */
const MESSAGE_ENTRIES_BYTES = 1024 * 1024;
const APPLYING_BYTES = 16 * 1024 * 1024;
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
  readonly #roster: Roster;
  readonly #snapshots: CoreSnapshots;
  readonly #rotation: KeyRotation;
  readonly #stalls = new StallWatch();
  readonly #news = new RaftNews();
  readonly #metrics: CoreMetrics;
  #transport: Transport | undefined;
  #cancelTick: (() => void) | undefined;
  #stopped: Promise<void> | undefined;
  #failed = false;
  #toldRemoved = false;

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
    const { snapshot, storage, self } = this.#state;
    const { limits } = opts;
    this.#history = new MembershipHistory(snapshot?.index ?? 0, snapshot?.membership ?? NO_MEMBERSHIP);
    const reachableMs = 2 * limits.electionTicks * limits.tickMs;
    this.#roster = new Roster({ self, reachableMs }, { ...modules, history: this.#history });
    const snapshotOpts = { policy: policyOf(limits), pauseMs: limits.snapshotPauseMs };
    const snapshotModules = { ...modules, state: this.#state, history: this.#history, port };
    this.#snapshots = new CoreSnapshots(snapshotOpts, snapshotModules);
    const demandSnapshot = (): void => this.#snapshots.demand();
    this.#rotation = new KeyRotation({ ...modules, ...this.#state, demandSnapshot });
    this.#node = this.#makeNode(storage);
    this.#disk = this.#makeDisk();
    this.#driver = this.#makeDriver();
    this.#admin = this.#makeAdmin();
  }

  #makeNode(storage: LogStorage): RawNode {
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
      reads: this.#opts.reads ?? 'safe',
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
      history: this.#history,
      disk: this.#disk,
      transport: { send: (message) => this.#transport?.send(message) },
      port: this.#port,
      committed: (entries, membersChanged) => this.#committed(entries, membersChanged),
      applied: (index, bytes) => this.#snapshots.applied(index, bytes),
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
      isReachable: (raftId) => this.#roster.heardLately(raftId),
      introduced: (raftId) => this.#roster.introduced(raftId),
    });
  }

  async #begin(): Promise<void> {
    const { start, limits } = this.#opts;
    const { snapshot, self } = this.#state;
    // First of all: whatever another member makes us apply must come behind it.
    this.#snapshots.begin(snapshot);
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
    const { tickMs, electionTicks } = this.#opts.limits;
    this.#cancelTick = clock.timer(Math.max(0, dueMs - clock.monotonicMs()), () => {
      const nowMs = clock.monotonicMs();
      this.#metrics.ticked(nowMs - dueMs, tickMs);
      this.#stalls.came(nowMs, nowMs - dueMs, (electionTicks * tickMs) / 2);
      this.#tick();
      if (this.#driver.leadership.leading) this.#maybeStandAside(nowMs);
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

  /** A leader that is held up lets another manager lead. */
  #maybeStandAside(nowMs: number): void {
    const { log } = this.#modules;
    if (this.#stalls.asks(nowMs)) this.#port.post({ kind: 'how-far' });
    const complaint = this.#stalls.complaint(nowMs);
    if (complaint === undefined || this.#history.current.confState.voters.length < 2) return;
    this.#stalls.heeded(nowMs);
    log.warn('another manager should lead', { why: complaint });
    this.#admin.transfer().catch((error) => log.warn('leadership was not handed over', { err: error }));
  }

  #handle(message: ToCore): void {
    this.#stalls.heard();
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
        return this.#driver.run(() => this.#snapshots.handle(message));
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
      case 'rotate-key':
        return void (await this.#rotation.rotate(request.key));
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
    this.#rotation[Symbol.dispose]();
    this.#driver[Symbol.dispose]();
    this.#disk[Symbol.dispose]();
    await this.#transport?.[Symbol.asyncDispose]();
    this.#snapshots.close();
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
      admit: (sender) => this.#roster.admit(sender),
      received: (messages) => this.#received(messages),
      unreachable: (raftId) => this.#driver.run(() => this.#node.reportUnreachable(raftId)),
      lineEnded: (raftId) => this.#driver.lineEnded(raftId),
      snapshotSent: (raftId, ok) => this.#driver.run(() => this.#node.reportSnapshot(raftId, ok)),
      openSnapshot: (info) => snapshots.read(info),
      receiveSnapshot: (info) =>
        this.#snapshots.receive(info, (message) => this.#snapshotReceived(info, message)),
      removed: () => this.#wasRemoved(),
    };
  }

  #received(messages: readonly Message[]): void {
    const from = messages[0]?.from;
    if (from !== undefined) this.#roster.heard(from);
    this.#driver.received(messages);
  }

  /** Raft decides whether it wants it; what it takes is installed by the write that follows. */
  #snapshotReceived(info: SnapshotInfo, message: Message): void {
    this.#driver.run(() => this.#node.step(message));
    if (!this.#disk.holdsSnapshot(info.index)) this.#snapshots.discard(info);
  }

  #install(snapshot: Snapshot): void {
    const info = decodeSnapshotInfo(snapshot.data);
    this.#driver.replaced(info.index, info.term);
    this.#snapshots.install(info);
    this.#membersChanged();
  }

  #committed(entries: readonly Entry[], membersChanged: boolean): void {
    this.#admin.committed(entries);
    this.#metrics.committed(this.#driver.handedIndex, this.#driver.proposalsWaiting);
    if (membersChanged) this.#membersChanged();
  }

  #membersChanged(): void {
    this.#transport?.setPeers(this.#history.current.peers);
    this.#roster.membersChanged();
    this.#port.post({ kind: 'members', members: this.#roster.members });
    if (wasRemoved(this.#history.current, this.#state.self.raftId)) this.#removed();
  }

  /** We may never hear of our own removal: those who know no longer speak to us. Nobody can be found here any more. */
  #wasRemoved(): void {
    this.#modules.log.warn('this manager was removed from the cluster');
    this.#port.post({ kind: 'members', members: [] });
    this.#removed();
  }

  #removed(): void {
    this.#driver.removed();
    if (this.#toldRemoved) return;
    this.#toldRemoved = true;
    this.#port.post({ kind: 'removed' });
  }

  #tellLeadership({ term, leader, leading }: DriverLeadership): void {
    if (leader !== 0) this.#news.led();
    this.#metrics.leads(term, leading);
    const member = this.#roster.find(leader);
    const leadership = { term, leading, ...(member !== undefined && { leader: member }) };
    this.#port.post({ kind: 'leadership', leadership });
  }

  #diskFull(full: boolean): void {
    this.#metrics.diskFull(full);
    if (!full || !this.#driver.leadership.leading) return;
    this.#admin.transfer().catch((error) => {
      this.#modules.log.warn('leadership was not handed over: the disk of every other manager may be worse', {
        err: error,
      });
    });
  }

  #status(): CoreStatus {
    const { term, commit, progress } = this.#node.status();
    const hears = (raftId: number): boolean => this.#transport?.hears(raftId) === true;
    return {
      self: this.#roster.self,
      term,
      commitIndex: commit,
      snapshotIndex: this.#state.snapshots.latest?.index ?? 0,
      members: this.#roster.status(progress, hears),
    };
  }

  #trace(event: TraceEvent): void {
    const { kind, ...fields } = event;
    const { log, clock } = this.#modules;
    const { level, ...more } = this.#news.loudness(event, clock.monotonicMs());
    log[level](`raft: ${kind}`, { ...fields, ...more });
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

function policyOf(limits: ConsensusLimits): SnapshotPolicy {
  return {
    everyEntries: limits.snapshotEveryEntries,
    entriesForSlowFollowers: limits.logEntriesForSlowFollowers,
    filesKept: limits.snapshotsKept,
  };
}
