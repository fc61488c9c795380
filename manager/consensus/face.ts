import { ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type {
  CommittedEntry,
  Consensus,
  ConsensusStatus,
  KeepsFiles,
  Leadership,
  Member,
  SnapshotPolicy,
  StateMachine,
} from './consensus.ts';
import type { DataKey } from './keys.ts';
import { Listeners } from './listeners.ts';
import { pack, toHandOver, unpack } from './packed.ts';
import type { Outcomes } from './proposals.ts';
import type { Answers, Failure, HostPort, OrderedToHost, Request, TermRun, ToHost } from './protocol.ts';
import { StateTransfer } from './state-transfer.ts';
import { termsOf } from './term-runs.ts';

/** Data of proposals that wait; as many as the limit of their number says may be small. */
const PROPOSAL_BYTES_WAITING_MAX = 64 * 1024 * 1024;
const READS_WAITING_MAX = 10_000;

export interface FaceModules {
  readonly port: HostPort;
  readonly stateMachine: StateMachine;
  /** Told once when consensus stopped because something is broken. */
  readonly onFailure: (error: Error) => void;
  /** Ends what is at the other end of the port, after it has stopped. */
  readonly close: () => Promise<void>;
}

interface WaitingProposal {
  readonly bytes: number;
  readonly resolve: (place: { index: number; term: number }) => void;
  readonly reject: (error: Error) => void;
}

interface WaitingRead {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Consensus as the main thread sees it: applies what is committed, and asks the Raft loop for everything else. */
export class Face implements Consensus, KeepsFiles {
  readonly #proposalsWaitingMax: number;
  readonly #modules: FaceModules;
  readonly #transfer: StateTransfer;
  readonly #started = Promise.withResolvers<void>();
  readonly #leadershipListeners = new Listeners<Leadership>();
  readonly #memberListeners = new Listeners<readonly Member[]>();
  readonly #removedListeners = new Listeners<void>();
  readonly #proposals = new Map<number, WaitingProposal>();
  readonly #reads = new Map<number, WaitingRead>();
  readonly #requests = new Map<number, PromiseWithResolvers<unknown>>();
  /** Reads that know their index, waiting for it to be applied. */
  #readsAt: { readonly index: number; readonly ids: readonly number[] }[] = [];
  #lastId = 0;
  /** Of reads and requests; proposals are numbered by themselves, without gaps in one message. */
  #lastRequestId = 0;
  #unsent: Uint8Array[] = [];
  #bytesWaiting = 0;
  #applied = 0;
  /** Messages behind a restore that is under way: nothing overtakes it. */
  #held: OrderedToHost[] | undefined;
  #leadership: Leadership = { term: 0, leading: false };
  #members: readonly Member[] = [];
  #isRemoved = false;
  #isStarted = false;
  #ended: Error | undefined;
  #stopped: Promise<void> | undefined;

  constructor(proposalsWaitingMax: number, modules: FaceModules) {
    this.#proposalsWaitingMax = proposalsWaitingMax;
    this.#modules = modules;
    this.#transfer = new StateTransfer(modules.port, modules.stateMachine);
    modules.port.onMessage((message) => this.#receive(message));
  }

  /** Resolves when what was on disk is restored; rejects when consensus can't start. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  propose(data: Uint8Array): Promise<{ readonly index: number; readonly term: number }> {
    const refusal = this.#refusal(data);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (this.#unsent.length === 0) queueMicrotask(() => this.#sendProposals());
    this.#unsent.push(data);
    this.#lastId += 1;
    const id = this.#lastId;
    this.#bytesWaiting += data.length;
    return new Promise((resolve, reject) => {
      this.#proposals.set(id, { bytes: data.length, resolve, reject });
    });
  }

  async readBarrier(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#reads.size >= READS_WAITING_MAX)
      throw new ShoalError('RESOURCE_EXHAUSTED', 'too many reads wait on this manager: try again later');
    const id = this.#nextId();
    const onAbort = (): void => this.#reads.get(id)?.reject(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        this.#reads.set(id, { resolve, reject });
        this.#modules.port.post({ kind: 'read', id });
      });
    } finally {
      this.#reads.delete(id);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  leadership(): Leadership {
    return this.#leadership;
  }

  onLeadership(changed: (leadership: Leadership) => void): () => void {
    return this.#leadershipListeners.add(changed);
  }

  members(): readonly Member[] {
    return this.#members;
  }

  onMembers(changed: (members: readonly Member[]) => void): () => void {
    return this.#memberListeners.add(changed);
  }

  onRemoved(removed: () => void): () => void {
    return this.#removedListeners.add(removed);
  }

  isRemoved(): boolean {
    return this.#isRemoved;
  }

  addMember(member: Omit<Member, 'learner' | 'raftId'>): Promise<Member> {
    return this.#ask({ ask: 'add-member', member });
  }

  async removeMember(raftId: number): Promise<void> {
    await this.#ask({ ask: 'remove-member', raftId });
  }

  async transferLeadership(): Promise<void> {
    await this.#ask({ ask: 'transfer-leadership' });
  }

  async rotateKey(key: DataKey): Promise<void> {
    await this.#ask({ ask: 'rotate-key', key });
  }

  setSnapshotPolicy(policy: SnapshotPolicy): void {
    if (this.#ended === undefined) this.#modules.port.post({ kind: 'snapshot-policy', policy });
  }

  async status(): Promise<ConsensusStatus> {
    return { ...(await this.#ask({ ask: 'status' })), appliedIndex: this.#applied };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    if (this.#ended === undefined) await this.#ask({ ask: 'stop' }).catch(() => undefined);
    this.#end(new ShoalError('CANCELLED', 'this manager is stopping: whether it was done is not known here'));
    await this.#modules.close();
  }

  #refusal(data: Uint8Array): Error | undefined {
    if (this.#ended !== undefined) return new ShoalError('UNAVAILABLE', this.#ended.message);
    if (data.length > LIMITS.raftEntryBytesMax) {
      const message = `the change takes ${data.length} bytes in the log, and at most ${LIMITS.raftEntryBytesMax} are allowed: make it in parts`;
      return new ShoalError('INVALID_ARGUMENT', message);
    }
    const waiting = this.#proposals.size;
    if (waiting < this.#proposalsWaitingMax && this.#bytesWaiting + data.length <= PROPOSAL_BYTES_WAITING_MAX)
      return undefined;
    const message = `${waiting} changes wait to be committed on this manager, and it takes no more: try again later`;
    return new ShoalError('RESOURCE_EXHAUSTED', message);
  }

  /** Everything proposed in one turn goes as one message, and so into one write. */
  #sendProposals(): void {
    const datas = this.#unsent;
    this.#unsent = [];
    const data = pack(datas);
    const firstId = this.#lastId - datas.length + 1;
    if (this.#ended === undefined)
      this.#modules.port.post({ kind: 'propose', firstId, data }, toHandOver(data));
  }

  #ask<R extends Request>(request: R): Promise<Answers[R['ask']]> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId();
    const answer = Promise.withResolvers<unknown>();
    this.#requests.set(id, answer);
    this.#modules.port.post({ kind: 'request', id, request });
    return answer.promise as Promise<Answers[R['ask']]>;
  }

  #nextId(): number {
    this.#lastRequestId += 1;
    return this.#lastRequestId;
  }

  #receive(message: ToHost): void {
    if (this.#ended !== undefined) return;
    try {
      switch (message.kind) {
        case 'restore-piece':
          return this.#transfer.piece(message.piece);
        case 'snapshot-more':
          return this.#transfer.more();
        case 'failed':
          return this.fail(errorOf(message.failure));
        case 'reply':
          return this.#takeRequest(message.id)?.resolve(message.answer);
        case 'denied':
          return this.#takeRequest(message.id)?.reject(errorOf(message.failure));
        default:
          if (this.#held === undefined) this.#receiveInOrder(message);
          else this.#held.push(message);
      }
    } catch (error) {
      this.fail(error as Error);
    }
  }

  #receiveInOrder(message: OrderedToHost): void {
    switch (message.kind) {
      case 'committed':
        this.#apply(message.firstIndex, message.terms, unpack(message.data));
        if (message.asks) this.#tellApplied();
        return this.#settleProposals(message.outcomes);
      case 'how-far':
        return this.#tellApplied();
      case 'outcomes':
        return this.#settleProposals(message.outcomes);
      case 'refused':
        return this.#refuse(message.what, message.ids, errorOf(message.failure));
      case 'read':
        this.#readsAt.push({ index: message.index, ids: message.ids });
        return this.#releaseReads();
      case 'leadership':
        this.#leadership = message.leadership;
        return this.#leadershipListeners.tell(message.leadership);
      case 'members':
        this.#members = message.members;
        return this.#memberListeners.tell(message.members);
      case 'removed':
        this.#isRemoved = true;
        return this.#removedListeners.tell();
      case 'take-snapshot':
        return void this.#transfer.give(this.#applied);
      case 'restore':
        return void this.#restore(message.index);
      case 'started':
        this.#isStarted = true;
        return this.#started.resolve();
    }
  }

  #apply(firstIndex: number, terms: readonly TermRun[], datas: readonly Uint8Array[]): void {
    const entries = termsOf(terms).map((term, at): CommittedEntry => {
      return { index: firstIndex + at, term, data: datas[at] as Uint8Array };
    });
    this.#modules.stateMachine.apply(entries);
    this.#applied = firstIndex + entries.length - 1;
    this.#releaseReads();
  }

  #tellApplied(): void {
    this.#modules.port.post({ kind: 'applied', index: this.#applied });
  }

  #settleProposals(outcomes: Outcomes): void {
    for (const { firstId, firstIndex, term, count } of outcomes.committed)
      for (let at = 0; at < count; at += 1)
        this.#takeProposal(firstId + at)?.resolve({ index: firstIndex + at, term });
    const lost = 'the change was not made: the lead went to another manager first';
    for (const id of outcomes.lost) this.#takeProposal(id)?.reject(new ShoalError('UNAVAILABLE', lost));
    const unknown = 'whether the change was made is not known here: look before making it again';
    for (const id of outcomes.unknown)
      this.#takeProposal(id)?.reject(new ShoalError('DEADLINE_EXCEEDED', unknown));
  }

  #refuse(what: 'proposal' | 'read', ids: readonly number[], error: Error): void {
    for (const id of ids)
      if (what === 'proposal') this.#takeProposal(id)?.reject(error);
      else this.#reads.get(id)?.reject(error);
  }

  #takeRequest(id: number): PromiseWithResolvers<unknown> | undefined {
    const waiting = this.#requests.get(id);
    this.#requests.delete(id);
    return waiting;
  }

  #takeProposal(id: number): WaitingProposal | undefined {
    const waiting = this.#proposals.get(id);
    if (waiting === undefined) return undefined;
    this.#proposals.delete(id);
    this.#bytesWaiting -= waiting.bytes;
    return waiting;
  }

  #releaseReads(): void {
    if (this.#readsAt.length === 0) return;
    const ready = this.#readsAt.filter((reads) => reads.index <= this.#applied);
    this.#readsAt = this.#readsAt.filter((reads) => reads.index > this.#applied);
    for (const { ids } of ready) for (const id of ids) this.#reads.get(id)?.resolve();
  }

  async #restore(index: number): Promise<void> {
    this.#held = [];
    try {
      await this.#transfer.take(index);
      this.#applied = index;
      this.#goOn();
    } catch (error) {
      this.fail(error as Error);
    }
  }

  #goOn(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#releaseReads();
    for (const message of held) this.#receive(message);
  }

  /** The other end is gone or broken. */
  fail(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#end(error);
    if (this.#isStarted) this.#modules.onFailure(error);
  }

  /** Nothing more will come: whoever waits is told. */
  #end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#started.promise.catch(() => undefined);
    this.#started.reject(error);
    const waiting = [...this.#proposals.values(), ...this.#reads.values(), ...this.#requests.values()];
    this.#proposals.clear();
    this.#requests.clear();
    for (const { reject } of waiting) reject(error);
    this.#transfer.end(error);
    this.#leadership = { term: this.#leadership.term, leading: false };
    this.#leadershipListeners.tell(this.#leadership);
  }
}

function errorOf({ code, message }: Failure): ShoalError {
  return new ShoalError(code, message);
}
