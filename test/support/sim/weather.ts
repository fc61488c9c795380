import { type Random, randomInt } from '#proto/base/random.ts';
import type { SimGroup } from './group.ts';
import type { SimManager } from './manager.ts';

/** What befalls managers, and how often, one against the other. */
export interface WeatherOpts {
  /** Between one thing and the next. */
  readonly everyMsMax: number;
  /** A process that hangs loses ticks, which leases rest on. */
  readonly pauses: boolean;
  readonly membership: boolean;
}

/** Makes things go wrong, and lets them go right again. */
export class Weather {
  readonly #opts: WeatherOpts;
  readonly #group: SimGroup;
  readonly #random: Random;
  readonly #kinds: readonly ((manager: SimManager) => void)[];
  #stopped = false;

  constructor(opts: WeatherOpts, group: SimGroup, random: Random) {
    this.#opts = opts;
    this.#group = group;
    this.#random = random;
    this.#kinds = this.#chosenKinds();
  }

  async run(): Promise<void> {
    const { time } = this.#group;
    for (;;) {
      await time.sleep(this.#random.next() * this.#opts.everyMsMax);
      if (this.#stopped) return;
      this.#something();
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Some kinds of trouble in each history, so that each kind gets histories that it rules. */
  #chosenKinds() {
    const all = [
      ...this.#ends,
      ...this.#ends,
      ...this.#cuts,
      ...this.#cuts,
      ...this.#disks,
      ...this.#others,
      ...(this.#opts.pauses ? this.#hangs : []),
      ...(this.#opts.membership ? this.#members : []),
    ];
    const share = 0.3 + 0.7 * this.#random.next();
    const chosen = all.filter(() => this.#random.next() < share);
    return chosen.length > 0 ? chosen : all;
  }

  #something(): void {
    const dice = this.#random.next();
    if (dice < 0.2) return this.#calm();
    if (dice < 0.45) return this.#revive();
    // Mostly whoever leads: that is where trouble leads somewhere.
    const leader = this.#group.leader();
    const whom = leader !== undefined && this.#random.next() < 0.4 ? leader : this.#anyone();
    (this.#kinds[randomInt(this.#random, this.#kinds.length)] as (manager: SimManager) => void)(whom);
  }

  #calm(): void {
    const group = this.#group;
    group.note('weather: the network and the disks are fine');
    group.network.heal();
    for (const manager of group.managers) manager.disk.roomBytes = Number.POSITIVE_INFINITY;
    for (const manager of group.managers) manager.syncMsMax = 2;
  }

  #revive(): void {
    for (const manager of this.#group.managers)
      if (manager.life === undefined && this.#random.next() < 0.6) this.#group.restart(manager);
  }

  #anyone(): SimManager {
    const { managers } = this.#group;
    return managers[randomInt(this.#random, managers.length)] as SimManager;
  }

  readonly #ends = [
    (manager: SimManager) => this.#group.end(manager, false),
    (manager: SimManager) => this.#group.end(manager, true),
    (manager: SimManager) => this.#endAndRestart(manager),
    (manager: SimManager) => this.#endInTheMiddle(manager),
    (manager: SimManager) => this.#endInTheMiddle(manager),
    () => this.#endAll(),
  ];

  readonly #cuts = [
    (manager: SimManager) => this.#cutOff(manager),
    (manager: SimManager) => this.#cutOff(manager),
    (manager: SimManager) => this.#cutOneWay(manager),
    () => this.#split(),
    (manager: SimManager) => this.#slowLink(manager),
  ];

  readonly #disks = [
    (manager: SimManager) => this.#fillDisk(manager),
    (manager: SimManager) => this.#slowDisk(manager),
  ];

  readonly #others = [
    (manager: SimManager) => this.#transfer(manager),
    (manager: SimManager) => this.#breakLine(manager),
    (manager: SimManager) => this.#jump(manager),
  ];

  readonly #hangs = [
    (manager: SimManager) => this.#hang(manager),
    (manager: SimManager) => this.#hang(manager),
  ];

  readonly #members = [
    () => void this.#group.add(),
    (manager: SimManager) => void this.#group.remove(manager),
    (manager: SimManager) => void this.#group.replace(manager),
  ];

  #endAndRestart(manager: SimManager): void {
    this.#group.end(manager, this.#random.next() < 0.5);
    this.#group.restart(manager);
  }

  /** Between two operations on its disk. */
  #endInTheMiddle(manager: SimManager): void {
    if (manager.life === undefined) return;
    const operations = randomInt(this.#random, 12);
    this.#group.note(`weather: ${manager.name} ends after ${operations} more operations on its disk`);
    manager.life.disk.operationsLeft = operations;
  }

  #endAll(): void {
    for (const manager of this.#group.managers) this.#group.end(manager, true);
    for (const manager of this.#group.managers) this.#group.restart(manager);
  }

  #cutOff(manager: SimManager): void {
    this.#group.note(`weather: ${manager.name} is cut off`);
    for (const other of this.#othersThan(manager)) this.#cutBoth(manager, other);
  }

  #othersThan(manager: SimManager): SimManager[] {
    return this.#group.managers.filter((other) => other !== manager);
  }

  #cutBoth(a: SimManager, b: SimManager): void {
    this.#group.network.cut(a.raftAddr, b.raftAddr);
    this.#group.network.cut(b.raftAddr, a.raftAddr);
  }

  #cutOneWay(manager: SimManager): void {
    const hears = this.#random.next() < 0.5;
    this.#group.note(`weather: ${manager.name} ${hears ? 'only hears' : 'only speaks'}`);
    for (const other of this.#othersThan(manager))
      if (hears) this.#group.network.cut(manager.raftAddr, other.raftAddr);
      else this.#group.network.cut(other.raftAddr, manager.raftAddr);
  }

  #split(): void {
    const some = new Set(this.#group.managers.filter(() => this.#random.next() < 0.5));
    this.#group.note(`weather: ${[...some].map(({ name }) => name).join(' ')} are apart from the others`);
    for (const manager of some)
      for (const other of this.#group.managers) if (!some.has(other)) this.#cutBoth(manager, other);
  }

  #slowLink(manager: SimManager): void {
    const ms = this.#random.next() * 400;
    this.#group.note(`weather: what ${manager.name} says is slow`);
    for (const other of this.#othersThan(manager))
      this.#group.network.slow(manager.raftAddr, other.raftAddr, ms);
  }

  #fillDisk(manager: SimManager): void {
    this.#group.note(`weather: the disk of ${manager.name} is full`);
    manager.disk.roomBytes = 0;
  }

  #slowDisk(manager: SimManager): void {
    this.#group.note(`weather: the disk of ${manager.name} is slow`);
    manager.syncMsMax = 300;
  }

  #transfer(manager: SimManager): void {
    this.#group.note(`weather: ${manager.name} hands over`);
    manager.ask((life) => life.consensus?.transferLeadership(), 1).catch(() => undefined);
  }

  #breakLine(manager: SimManager): void {
    const other = this.#anyone();
    this.#group.note(`weather: the line from ${manager.name} to ${other.name} breaks`);
    if (other !== manager) this.#group.network.breakLine(manager.raftAddr, other.raftAddr);
  }

  /** The time of day. */
  #jump(manager: SimManager): void {
    if (manager.life !== undefined) manager.life.clock.offsetMs += (this.#random.next() - 0.5) * 1e7;
  }

  #hang(manager: SimManager): void {
    const ms = this.#random.next() * 1200;
    this.#group.note(`weather: ${manager.name} hangs for ${ms.toFixed(0)} ms`);
    manager.pause(ms);
  }
}
