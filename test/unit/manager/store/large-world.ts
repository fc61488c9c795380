import type { CommittedEntry, Leadership } from '#manager/consensus/consensus.ts';
import type { Expectation } from '#manager/store/changes.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import { codeOf, ShoalError } from '#proto/base/errors.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { settle, VirtualClock } from '../../../support/virtual-clock.ts';
import { N1, putNode } from './fixtures.ts';

const MEMBERS = 3;
const OPTS = { ...PROPOSER_OPTS, entryBytesMax: 250, partBytes: 120, timeoutMs: 1000 };

interface Proposal extends CommittedEntry {
  readonly by: Member;
  readonly resolve: (place: { index: number; term: number }) => void;
  readonly reject: (error: ShoalError) => void;
}

interface Member {
  machine: StoreMachine;
  store: ReplicatedStore;
}

/** A transaction that somebody wrote, and what he was told: its version, or the code of the error. */
export interface Write {
  readonly name: string;
  readonly changes: number;
  outcome: number | string | undefined;
}

/** Some members with one log, as Raft would have it: a new leader may lack what was not committed. */
export class LargeWorld {
  readonly writes: Write[] = [];
  readonly #random: Random;
  readonly #clock = new VirtualClock();
  readonly #members: Member[];
  #leader: Member;
  #term = 1;
  #log: Proposal[] = [];
  #committed = 0;
  #dropping = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#members = Array.from({ length: MEMBERS }, () => this.#withStore({ machine: new StoreMachine() }));
    this.#leader = this.#members[0] as Member;
  }

  /** Everything that is in the log. */
  get log(): readonly CommittedEntry[] {
    return this.#log;
  }

  hashes(): string[] {
    return this.#members.map(({ machine }) => machine.hash());
  }

  /** Of any member, once all have finished. */
  state(): StoreMachine {
    return this.#leader.machine;
  }

  /** Some of these expect a node that all of them change, as it is now. */
  submit(count: number): void {
    const write: Write = { name: `t${this.writes.length}`, changes: count, outcome: undefined };
    this.writes.push(write);
    const ids = Array.from({ length: count }, (_, i) => `${write.name}-${i}` as NodeId);
    const { store } = this.#leader;
    const isCareful = randomInt(this.#random, 3) === 0;
    const version = store.view().nodes.get(N1)?.version ?? 0;
    const expects: Expectation[] = isCareful ? [{ table: 'node', id: N1, version }] : [];
    const shared = isCareful ? [putNode(N1)] : [];
    store.update({ expects, changes: [...ids.map((id) => putNode(id)), ...shared] }).then(
      (made) => {
        write.outcome = made;
      },
      (error: unknown) => {
        write.outcome = codeOf(error);
      },
    );
  }

  commit(count: number): void {
    this.#committed = Math.min(this.#log.length, this.#committed + count);
  }

  /** Some member applies so many of the entries that are committed. */
  apply(count: number): void {
    this.#applyAt(this.#any(), count);
  }

  /** So many proposals from now on are certain not to be made, whatever follows them. */
  dropNext(count: number): void {
    this.#dropping = count;
  }

  /** The next leader, which may be the same one, has all that is committed, and some of the rest. */
  changeLeader(): void {
    const kept = this.#committed + randomInt(this.#random, this.#log.length - this.#committed + 1);
    const code = randomInt(this.#random, 4) === 0 ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE';
    for (const { reject } of this.#log.splice(kept)) reject(new ShoalError(code, 'the lead went elsewhere'));
    this.#leader = this.#any();
    this.#begin();
  }

  /** A member that is behind is brought up by another one. */
  async sendSnapshot(): Promise<void> {
    const [from, to] = [this.#any(), this.#any()];
    if (from.machine.version <= to.machine.version) return;
    const [before, index] = [to.machine.version, from.machine.version];
    await to.machine.restore(from.machine.snapshot(), index);
    for (const proposal of this.#log.slice(before, index))
      if (proposal.by === to) this.#settleSkipped(proposal, index);
  }

  /** A member comes back with what its last snapshot and its log say. Nobody who waited there hears more. */
  async restart(): Promise<void> {
    const member = this.#any();
    await member.store[Symbol.asyncDispose]();
    const { machine } = member;
    member.machine = new StoreMachine();
    await member.machine.restore(machine.snapshot(), machine.version);
    this.#withStore(member);
    if (member === this.#leader) this.changeLeader();
  }

  /** Some who wait have waited long enough. */
  async wait(): Promise<void> {
    await this.#clock.advance(randomInt(this.#random, OPTS.timeoutMs));
  }

  async settled(): Promise<void> {
    await settle();
  }

  /** Everybody hears what came of his write, and every member has applied everything. */
  async finish(): Promise<void> {
    this.#dropping = 0;
    for (let before = -1; before < this.#log.length; ) {
      before = this.#log.length;
      this.#catchUp();
      await settle();
    }
    this.#begin();
    this.#catchUp();
    await this.#clock.advance(OPTS.timeoutMs);
    await settle();
    this.#catchUp();
    for (const { store } of this.#members) await store[Symbol.asyncDispose]();
    await settle();
  }

  #catchUp(): void {
    this.commit(this.#log.length);
    for (const member of this.#members) this.#applyAt(member, this.#log.length);
  }

  #begin(): void {
    this.#term += 1;
    void this.#append(this.#leader, new Uint8Array()).catch(() => undefined);
  }

  #any(): Member {
    return this.#members[randomInt(this.#random, MEMBERS)] as Member;
  }

  #applyAt(member: Member, count: number): void {
    const { version } = member.machine;
    for (const entry of this.#log.slice(version, Math.min(this.#committed, version + count))) {
      const { index, term, by, resolve } = entry;
      member.machine.apply([entry]);
      if (by === member) resolve({ index, term });
    }
  }

  /** As consensus does: of the last one it is known that it was made. */
  #settleSkipped({ index, term, resolve, reject }: Proposal, restored: number): void {
    if (index === restored) resolve({ index, term });
    else reject(new ShoalError('DEADLINE_EXCEEDED', 'it came inside a snapshot'));
  }

  #withStore(member: Pick<Member, 'machine'> & Partial<Member>): Member {
    const consensus = {
      propose: (data: Uint8Array) => this.#propose(member as Member, data),
      leadership: (): Leadership => ({ term: this.#term, leading: member === this.#leader }),
      readBarrier: () => Promise.resolve(),
    };
    const { machine } = member;
    const modules = { machine, consensus, clock: this.#clock, random: this.#random, metrics: nullMetrics };
    return Object.assign(member, { store: new ReplicatedStore(OPTS, modules) });
  }

  #propose(member: Member, data: Uint8Array): Promise<{ index: number; term: number }> {
    const isDropped = this.#dropping > 0;
    if (isDropped) this.#dropping -= 1;
    if (isDropped || member !== this.#leader)
      return Promise.reject(new ShoalError('UNAVAILABLE', 'the proposal was dropped'));
    return this.#append(member, data);
  }

  #append(by: Member, data: Uint8Array): Promise<{ index: number; term: number }> {
    return new Promise((resolve, reject) => {
      this.#log.push({ index: this.#log.length + 1, term: this.#term, data, by, resolve, reject });
    });
  }
}
