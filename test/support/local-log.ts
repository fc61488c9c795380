import type {
  CommittedEntry,
  Consensus,
  ConsensusStatus,
  Leadership,
  Member,
  StateMachine,
} from '#manager/consensus/consensus.ts';
import type { Change } from '#manager/store/changes.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS, type ProposerOpts } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { VirtualClock } from './virtual-clock.ts';

interface Proposal {
  readonly data: Uint8Array;
  readonly resolve: (place: { index: number; term: number }) => void;
  readonly reject: (error: ShoalError) => void;
}

const SELF: Member = {
  raftId: 1,
  nodeId: 'local-manager' as NodeId,
  raftAddr: '127.0.0.1:1',
  controlAddr: '127.0.0.1:2',
  learner: false,
};

/** A Raft group of one, in memory: what a Store needs of consensus, and the misfortunes it may meet. */
export class LocalLog implements Consensus {
  /** Every entry committed, for replaying them elsewhere. */
  readonly entries: CommittedEntry[] = [];
  readonly #machine: StateMachine;
  readonly #listeners = new Set<(leadership: Leadership) => void>();
  #holding = false;
  #held: Proposal[] = [];
  #term = 1;
  #leading = true;
  #other: Member | undefined;
  #dropping = 0;

  constructor(machine: StateMachine) {
    this.#machine = machine;
  }

  /** Proposals wait until `release`. */
  hold(): void {
    this.#holding = true;
  }

  /** Commits what was held, in order, and everything from now on at once. */
  async release(): Promise<void> {
    this.#holding = false;
    for (const proposal of this.#held.splice(0)) this.#commit(proposal);
    await Promise.resolve();
  }

  /** How many proposals are held. */
  get held(): number {
    return this.#held.length;
  }

  /** The next proposals are certain not to be committed: UNAVAILABLE. */
  drop(count = 1): void {
    this.#dropping += count;
  }

  /** Held proposals are lost, new ones refused, until `lead`; somebody else may lead meanwhile. */
  loseLeadership(to?: Member): void {
    this.#leading = false;
    this.#other = to;
    for (const { reject } of this.#held.splice(0)) reject(lost());
    this.#tell();
  }

  lead(): void {
    this.#term++;
    this.#leading = true;
    this.#tell();
  }

  /** An entry as from elsewhere: another member's, or of a new term (no data). */
  append(data: Uint8Array = new Uint8Array()): number {
    const entry = { index: (this.entries.at(-1)?.index ?? 0) + 1, term: this.#term, data };
    this.entries.push(entry);
    this.#machine.apply([entry]);
    return entry.index;
  }

  async propose(data: Uint8Array): Promise<{ index: number; term: number }> {
    await Promise.resolve();
    if (!this.#leading) throw lost();
    if (this.#dropping > 0) {
      this.#dropping--;
      throw new ShoalError('UNAVAILABLE', 'the proposal was dropped');
    }
    return new Promise((resolve, reject) => {
      const proposal = { data, resolve, reject };
      if (this.#holding) this.#held.push(proposal);
      else this.#commit(proposal);
    });
  }

  async readBarrier(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#leading) throw lost();
  }

  leadership(): Leadership {
    const leader = this.#leading ? SELF : this.#other;
    return { term: this.#term, leading: this.#leading, ...(leader === undefined ? {} : { leader }) };
  }

  onLeadership(changed: (leadership: Leadership) => void): () => void {
    this.#listeners.add(changed);
    return () => void this.#listeners.delete(changed);
  }

  members(): readonly Member[] {
    return [SELF];
  }

  onMembers(): () => void {
    return () => undefined;
  }

  onRemoved(): () => void {
    return () => undefined;
  }

  isRemoved(): boolean {
    return false;
  }

  async addMember(): Promise<Member> {
    throw new ShoalError('NOT_IMPLEMENTED', 'a local log has one member');
  }

  async removeMember(): Promise<void> {
    throw new ShoalError('NOT_IMPLEMENTED', 'a local log has one member');
  }

  async transferLeadership(): Promise<void> {
    throw new ShoalError('FAILED_PRECONDITION', 'there is nobody else to lead');
  }

  async status(): Promise<ConsensusStatus> {
    const index = this.entries.at(-1)?.index ?? 0;
    return {
      self: SELF,
      term: this.#term,
      commitIndex: index,
      appliedIndex: index,
      snapshotIndex: 0,
      members: [{ member: SELF, reachable: true, matchIndex: index }],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.loseLeadership();
  }

  #commit({ data, resolve }: Proposal): void {
    resolve({ index: this.append(data), term: this.#term });
  }

  #tell(): void {
    for (const changed of [...this.#listeners]) changed(this.leadership());
  }
}

function lost(): ShoalError {
  return new ShoalError('UNAVAILABLE', 'this manager no longer leads');
}

export interface TestStore extends AsyncDisposable {
  readonly store: ReplicatedStore;
  readonly machine: StoreMachine;
  readonly log: LocalLog;
  readonly clock: VirtualClock;
}

export interface TestStoreOpts {
  /** Different seeds are different proposers. */
  readonly seed?: number;
  readonly clock?: VirtualClock;
  readonly proposer?: Partial<ProposerOpts>;
}

/**
 * A Store without Raft: `await store.update({ changes })` commits at once on a manager that leads; `log` makes it slow,
 * forgetful or powerless. Its clock is virtual.
 */
export function openTestStore(opts: TestStoreOpts = {}): TestStore {
  const clock = opts.clock ?? new VirtualClock();
  const machine = new StoreMachine();
  const log = new LocalLog(machine);
  const random = seededRandom(opts.seed ?? 1);
  const modules = { machine, consensus: log, clock, random, metrics: nullMetrics };
  const store = new ReplicatedStore({ ...PROPOSER_OPTS, ...opts.proposer }, modules);
  return { store, machine, log, clock, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** The same, with these changes applied. */
export async function openTestStoreWith(changes: readonly Change[]): Promise<TestStore> {
  const opened = openTestStore();
  await opened.store.update({ changes });
  return opened;
}
