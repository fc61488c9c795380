import { type ConfChangeSingle, EntryType, encodeConfChange, MessageType } from 'raft-ts';
import type { Member } from '#manager/consensus/consensus.ts';
import { type ConsensusLimits, DEFAULT_LIMITS, type StartOpts } from '#manager/consensus/opts.ts';
import type { Log } from '#proto/base/log.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import { MemberChanges } from './changes.ts';
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
/** How much clocks differ in how fast they go; with lease reads they may only as much as raft-ts allows for. */
const CLOCK_SPREAD = 0.6;
const CLOCK_SPREAD_WITH_LEASES = 0.06;
/** Beyond those that the group began with. */
const MEMBERS_MORE_MAX = 2;

/** A group of managers in a simulated world. */
export class SimGroup {
  readonly time: SimTime;
  readonly truth = new Truth();
  readonly network: SimNetwork;
  readonly managers: SimManager[] = [];
  readonly #opts: SimGroupOpts;
  readonly #modules: SimGroupModules;
  readonly changes: MemberChanges;
  /** Were members once, and may still run. */
  readonly strangers: SimManager[] = [];
  /** Were let in, and never ran. */
  readonly absent: { readonly manager: SimManager; readonly start: StartOpts }[] = [];
  /** Nobody is served: what there is to be served is being found out. */
  isClosed = false;
  #named = 0;
  ends = 0;

  constructor(opts: SimGroupOpts, modules: SimGroupModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.time = new SimTime(modules.random);
    const { votesAtOnce = false, keepsOldId = false } = opts.bug;
    const changesOpts = { managersMax: opts.members + MEMBERS_MORE_MAX, votesAtOnce, keepsOldId };
    this.changes = new MemberChanges(changesOpts, this, modules.random);
    const quiet = { lossChance: 0, doubleChance: 0, lateChance: 0, snapshotBreakChance: 0 };
    this.network = new SimNetwork(
      { delayMsMin: 0.5, delayMsMax: 1.5, ...quiet },
      { time: this.time, random: modules.random, sent: (message) => this.truth.sent(message) },
    );
  }

  /** The first manager, and the others one by one, while nothing goes wrong. */
  async form(): Promise<void> {
    const first = this.make();
    this.managers.push(first);
    await this.ended(first.start({ kind: 'bootstrap' }));
    for (let count = 1; count < this.#opts.members; count += 1) {
      await this.until(() => this.leader() !== undefined, 'somebody leads');
      await this.ended(this.changes.add());
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

  /** Unless it runs, or was removed and has forgotten who it was. */
  restart(manager: SimManager): void {
    if (manager.life !== undefined || (manager.isStranger && manager.raftId === 0)) return;
    this.note(`weather: ${manager.name} starts`);
    void manager.start();
  }

  /** Asks the leader for a change of several members, as nobody but Raft itself can. */
  propose(leader: SimManager, changes: readonly ConfChangeSingle[]): void {
    const data = encodeConfChange({ transition: 'auto', changes, context: new Uint8Array() });
    this.network.tell(leader.raftAddr, {
      type: MessageType.Prop,
      to: leader.raftId,
      from: leader.raftId,
      term: 0,
      entries: [{ type: EntryType.ConfChangeV2, term: 0, index: 0, data }],
    });
  }

  /** It is a member no more. */
  letGo(manager: SimManager): void {
    this.managers.splice(this.managers.indexOf(manager), 1);
    this.strangers.push(manager);
    manager.isStranger = true;
  }

  /** It is a member. */
  takeIn(manager: SimManager): void {
    if (manager.isStranger) this.strangers.splice(this.strangers.indexOf(manager), 1);
    manager.isStranger = false;
    this.managers.push(manager);
  }

  /** The machines of all others are gone, and whatever they said. The group stays closed. */
  loseAllBut(survivor: SimManager, power: boolean): void {
    this.note(`weather: all but ${survivor.name} are gone for good`);
    this.isClosed = true;
    for (const manager of [...this.managers, ...this.strangers]) {
      manager.end(power);
      manager.isStranger = false;
    }
    this.managers.splice(0, this.managers.length, survivor);
    this.strangers.splice(0);
    this.absent.splice(0);
    this.network.forgetAll();
    this.network.heal();
    survivor.repair();
  }

  /** Nothing is wrong any more, and everybody runs. */
  recover(): void {
    this.changes.end();
    this.network.heal();
    const quiet = { lossChance: 0, doubleChance: 0, lateChance: 0, snapshotBreakChance: 0 };
    this.network.opts = { ...this.network.opts, ...quiet };
    for (const manager of [...this.managers, ...this.strangers]) {
      manager.repair();
      if (manager.life !== undefined) manager.life.disk.operationsLeft = Number.POSITIVE_INFINITY;
      if (!manager.isStranger) this.restart(manager);
    }
  }

  /** A manager that never ran can't have what a voter promises to keep. */
  checkAbsent(): void {
    for (const { manager } of this.absent)
      if (this.voters().some(({ nodeId }) => nodeId === manager.nodeId))
        this.truth.violate(`members: ${manager.name} votes, and has never run`);
  }

  /** Lets time go by until it holds; something is wrong if it does not come to hold. */
  async until(condition: () => boolean, what: string, withinMs = STARTS_WITHIN_MS): Promise<void> {
    const { time, truth } = this;
    await time.run(time.nowMs + withinMs, () => truth.violation !== undefined || condition());
    if (!condition()) truth.violate(`progress: waited in vain until ${what}`);
  }

  /** Lets time go by until it is settled, one way or the other. */
  async ended(promise: Promise<unknown>): Promise<void> {
    let done = false;
    void promise.finally(() => {
      done = true;
    });
    await this.until(() => done, 'what was begun ends');
  }

  /** A machine that nothing runs on yet. */
  make(): SimManager {
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
          limits: { ...DEFAULT_LIMITS, snapshotPauseMs: 0, ...limits },
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
    return manager;
  }
}
