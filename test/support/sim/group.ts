import type { Member } from '#manager/consensus/consensus.ts';
import { type ConsensusLimits, DEFAULT_LIMITS, type StartOpts } from '#manager/consensus/opts.ts';
import type { Log } from '#proto/base/log.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import { type Bug, SimManager } from './manager.ts';
import { SimNetwork } from './network.ts';
import { SimTime } from './time.ts';
import { Truth } from './truth.ts';

export interface SimGroupOpts {
  readonly members: number;
  readonly limits: Partial<ConsensusLimits>;
  readonly leaseReads: boolean;
  readonly bug: Bug;
}

export interface SimGroupModules {
  readonly random: Random;
  /** What happens, in words. */
  readonly note: (text: string) => void;
  readonly log: Log;
}

const STARTS_WITHIN_MS = 20_000;
/** How much clocks differ in how fast they go; with lease reads they may only a little. */
const CLOCK_SPREAD = 0.6;
const CLOCK_SPREAD_WITH_LEASES = 0.04;
/** Beyond those that the group began with. */
const MEMBERS_MORE_MAX = 2;
/** How long one that was removed may run on without knowing. */
const LEFT_RUNNING_MS_MAX = 500;

/** A group of managers in a simulated world. */
export class SimGroup {
  readonly time: SimTime;
  readonly truth = new Truth();
  readonly network: SimNetwork;
  readonly managers: SimManager[] = [];
  readonly #opts: SimGroupOpts;
  readonly #modules: SimGroupModules;
  #named = 0;
  #changing = false;
  changes = 0;
  ends = 0;

  constructor(opts: SimGroupOpts, modules: SimGroupModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.time = new SimTime(modules.random);
    const quiet = { lossChance: 0, doubleChance: 0, lateChance: 0, snapshotBreakChance: 0 };
    this.network = new SimNetwork(
      { delayMsMin: 0.5, delayMsMax: 1.5, ...quiet },
      { time: this.time, random: modules.random, sent: (message) => this.truth.sent(message) },
    );
  }

  /** The first manager, and the others one by one, while nothing goes wrong. */
  async form(): Promise<void> {
    const first = this.#make();
    await this.#await(first.start({ kind: 'bootstrap' }));
    for (let count = 1; count < this.#opts.members; count += 1) {
      await this.until(() => this.leader() !== undefined, 'somebody leads');
      await this.#await(this.add());
      await this.until(() => this.voters().length === count + 1, 'who joined votes');
    }
  }

  note(text: string): void {
    this.#modules.note(text);
  }

  leader(): SimManager | undefined {
    return this.managers.filter(({ leading }) => leading).sort((a, b) => b.term - a.term)[0];
  }

  /** As the leader has it. */
  members(): readonly Member[] {
    return this.leader()?.life?.consensus?.members() ?? [];
  }

  voters(): Member[] {
    return this.members().filter(({ learner }) => !learner);
  }

  /** All members have applied everything up to there, and vote. */
  hasAll(index: number): boolean {
    const members = this.members();
    const has = ({ nodeId, learner }: Member): boolean => {
      const manager = this.managers.find((other) => other.nodeId === nodeId);
      // Who was let in while the leader went away never heard of it: it waits to be let in again.
      if (manager === undefined) return learner;
      return !learner && (manager.life?.machine.version ?? 0) >= index;
    };
    return members.length > 0 && members.every(has);
  }

  end(manager: SimManager, power: boolean): void {
    if (manager.life === undefined) return;
    this.note(`weather: ${manager.name} ${power ? 'loses power' : 'is killed'}`);
    this.ends += 1;
    manager.end(power);
  }

  restart(manager: SimManager): void {
    if (manager.life !== undefined) return;
    this.note(`weather: ${manager.name} starts`);
    void manager.start();
  }

  /** Lets a new manager in, and starts it. */
  async add(): Promise<void> {
    if (this.managers.length >= this.#opts.members + MEMBERS_MORE_MAX) return;
    const member = await this.#change('adds a manager', async (leader) => {
      const manager = this.#make();
      const added = await leader.ask(
        async ({ consensus }) => ({
          member: await consensus?.addMember(manager.identity),
          members: consensus?.members() ?? [],
        }),
        1,
      );
      if (added?.member === undefined) return undefined;
      const start: StartOpts = { kind: 'join', raftId: added.member.raftId, members: added.members };
      this.managers.push(manager);
      await manager.start(start);
      return added.member;
    });
    if (member === undefined) this.note('nobody was let in');
  }

  async remove(manager: SimManager): Promise<void> {
    if (this.voters().length <= 1 || manager.raftId === 0) return;
    const done = await this.#change(`removes ${manager.name}`, (leader) =>
      leader.ask(async ({ consensus }) => {
        await consensus?.removeMember(manager.raftId);
        return true;
      }, 1),
    );
    if (done !== true) return;
    this.managers.splice(this.managers.indexOf(manager), 1);
    this.time.after(this.#modules.random.next() * LEFT_RUNNING_MS_MAX, () => manager.end(false));
  }

  async replace(manager: SimManager): Promise<void> {
    await this.add();
    await this.remove(manager);
  }

  /** Nothing is wrong any more, and everybody runs. */
  recover(): void {
    this.network.heal();
    const quiet = { lossChance: 0, doubleChance: 0, lateChance: 0, snapshotBreakChance: 0 };
    this.network.opts = { ...this.network.opts, ...quiet };
    for (const manager of this.managers) {
      manager.repair();
      if (manager.life !== undefined) manager.life.disk.operationsLeft = Number.POSITIVE_INFINITY;
      this.restart(manager);
    }
  }

  /** Lets time go by until it holds; something is wrong if it does not come to hold. */
  async until(condition: () => boolean, what: string, withinMs = STARTS_WITHIN_MS): Promise<void> {
    const { time, truth } = this;
    await time.run(time.nowMs + withinMs, () => truth.violation !== undefined || condition());
    if (!condition()) truth.violate(`progress: waited in vain until ${what}`);
  }

  async #await(promise: Promise<unknown>): Promise<void> {
    let done = false;
    void promise.finally(() => {
      done = true;
    });
    await this.until(() => done, 'what was begun ends');
  }

  /** One at a time. Undefined when it was not done, or nobody knows. */
  async #change<T>(what: string, work: (leader: SimManager) => Promise<T>): Promise<T | undefined> {
    const leader = this.leader();
    if (leader === undefined || this.#changing) return undefined;
    this.#changing = true;
    try {
      this.note(`members: ${leader.name} ${what}`);
      const done = await work(leader);
      if (done !== undefined) this.changes += 1;
      return done;
    } catch (error) {
      this.note(`members: not done: ${(error as Error).message}`);
      return undefined;
    } finally {
      this.#changing = false;
    }
  }

  #make(): SimManager {
    this.#named += 1;
    const { random, log } = this.#modules;
    const { bug, limits, leaseReads } = this.#opts;
    const spread = (random.next() - 0.5) * (leaseReads ? CLOCK_SPREAD_WITH_LEASES : CLOCK_SPREAD);
    const name = `m${this.#named}`;
    const manager = new SimManager(
      {
        name,
        clockRate: bug.clockRate?.(this.#named) ?? 1 + spread,
        core: {
          limits: { ...DEFAULT_LIMITS, ...limits },
          reads: leaseReads ? 'lease' : 'safe',
        },
        bug,
      },
      {
        time: this.time,
        random,
        network: this.network,
        truth: this.truth,
        log,
        onEnd: (ended) => this.end(ended, randomInt(random, 2) === 0),
      },
    );
    if (this.#named === 1) this.managers.push(manager);
    return manager;
  }
}
