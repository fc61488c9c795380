import { type Random, randomInt } from '#proto/base/random.ts';
import { withCode } from '../../unit/manager/consensus/support/sim-disk.ts';
import type { SimGroup } from './group.ts';
import type { SimManager } from './manager.ts';

/** Kinds of trouble. */
export type Trouble =
  | 'ends'
  | 'cuts'
  | 'disks'
  | 'full disks'
  | 'stalls'
  | 'hangs'
  | 'handovers'
  | 'members'
  | 'several members'
  | 'demotions'
  | 'absent members'
  | 'lost members'
  | 'others';

export interface WeatherOpts {
  /** Between one thing and the next. */
  readonly everyMsMax: number;
  /** What may befall managers; the more often it is named, the more often it does. */
  readonly troubles: readonly Trouble[];
}

/** About as long as an election takes, when the line to the leader breaks. */
const END_EACH_WITHIN_MS = 60;

/** Of a disk that is about to be full: about a segment of the log, and the next. */
const ROOM_BYTES_MAX = 80_000;
const FULL_MS_MAX = 1500;
const STALL_MS_MAX = 1200;
/** How long a manager that was stopped stays away. */
const STOPPED_MS_MAX = 300;

type Befall = (manager: SimManager) => void;

/** Makes things go wrong, and lets them go right again. */
export class Weather {
  readonly #opts: WeatherOpts;
  readonly #group: SimGroup;
  readonly #random: Random;
  readonly #kinds: readonly Befall[];
  #stopped = false;
  #waits = false;

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
      if (!this.#waits) this.#something();
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Nothing happens meanwhile. */
  async waitFor(work: () => Promise<void>): Promise<void> {
    this.#waits = true;
    await work();
    this.#waits = false;
  }

  /** Some of it in each history, so that everything gets histories that it rules. */
  #chosenKinds(): readonly Befall[] {
    const all = this.#opts.troubles.flatMap((trouble) => this.#befalls[trouble]);
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
    (this.#kinds[randomInt(this.#random, this.#kinds.length)] as Befall)(whom);
  }

  #calm(): void {
    const group = this.#group;
    group.note('weather: the network and the disks are fine');
    group.network.heal();
    for (const manager of group.managers) manager.repair();
  }

  #revive(): void {
    for (const manager of this.#group.managers)
      if (manager.life === undefined && this.#random.next() < 0.6) this.#group.restart(manager);
  }

  #anyone(): SimManager {
    const { managers } = this.#group;
    return managers[randomInt(this.#random, managers.length)] as SimManager;
  }

  readonly #befalls: Readonly<Record<Trouble, readonly Befall[]>> = {
    ends: [
      (manager) => this.#group.end(manager, false),
      (manager) => this.#group.end(manager, true),
      (manager) => this.#endAndRestart(manager),
      (manager) => this.#endInTheMiddle(manager),
      (manager) => this.#endInTheMiddle(manager),
      () => this.#endAll(),
      () => this.#endEach(),
    ],
    cuts: [
      (manager) => this.#cutOff(manager),
      (manager) => this.#cutOff(manager),
      (manager) => this.#cutOneWay(manager),
      () => this.#split(),
      (manager) => this.#slowLink(manager),
    ],
    disks: [
      (manager) => this.#fillDisk(manager),
      (manager) => this.#slowDisk(manager),
      (manager) => this.#breakDisk(manager),
    ],
    'full disks': [(manager) => this.#fillForAWhile(manager), (manager) => this.#fillForAWhile(manager)],
    stalls: [(manager) => this.#stallDisk(manager), (manager) => this.#stallDisk(manager)],
    hangs: [(manager) => this.#hang(manager)],
    handovers: [
      (manager) => this.#transfer(manager),
      (manager) => this.#stop(manager),
      (manager) => this.#stop(manager),
    ],
    members: [
      () => void this.#group.changes.add(),
      (manager) => void this.#group.changes.remove(manager),
      (manager) => void this.#group.changes.replace(manager),
    ],
    'several members': [
      () => void this.#group.changes.changeSeveral(),
      () => void this.#group.changes.changeSeveral(),
      () => void this.#group.changes.add(),
    ],
    demotions: [
      (manager) => void this.#group.changes.demote(manager),
      (manager) => void this.#group.changes.demote(manager),
    ],
    'absent members': [() => void this.#group.changes.addAbsent()],
    'lost members': [
      (manager) => void this.#group.changes.replaceLost(manager),
      (manager) => void this.#group.changes.replaceLost(manager),
    ],
    others: [
      (manager) => this.#transfer(manager),
      (manager) => this.#breakLine(manager),
      (manager) => this.#jump(manager),
    ],
  };

  #endAndRestart(manager: SimManager): void {
    if (this.#waits || !this.#group.managers.includes(manager)) return;
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

  /** One after the other, in any order, soon. */
  #endEach(): void {
    for (const manager of this.#group.managers)
      this.#group.time.after(this.#random.next() * END_EACH_WITHIN_MS, () => this.#endAndRestart(manager));
  }

  /** Mostly one parting at a time, so that often a part is large enough to go on. */
  #healFirst(): void {
    if (this.#random.next() < 0.7) this.#group.network.heal();
  }

  #cutOff(manager: SimManager): void {
    this.#group.note(`weather: ${manager.name} is cut off`);
    this.#healFirst();
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
    this.#healFirst();
    for (const other of this.#othersThan(manager))
      if (hears) this.#group.network.cut(manager.raftAddr, other.raftAddr);
      else this.#group.network.cut(other.raftAddr, manager.raftAddr);
  }

  #split(): void {
    const some = new Set(this.#group.managers.filter(() => this.#random.next() < 0.5));
    this.#group.note(`weather: ${[...some].map(({ name }) => name).join(' ')} are apart from the others`);
    this.#healFirst();
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

  /** It is nearly full, and has room again by itself. */
  #fillForAWhile(manager: SimManager): void {
    const roomBytes = randomInt(this.#random, ROOM_BYTES_MAX);
    this.#group.note(`weather: the disk of ${manager.name} has room for ${roomBytes} bytes`);
    manager.disk.roomBytes = manager.disk.usedBytes + roomBytes;
    const { disk } = manager;
    this.#group.time.after(this.#random.next() * FULL_MS_MAX, () => {
      disk.roomBytes = Number.POSITIVE_INFINITY;
    });
  }

  /** Whatever waits for it waits for long: the whole process does. */
  #stallDisk(manager: SimManager): void {
    this.#group.note(`weather: the disk of ${manager.name} stalls`);
    manager.stallMsMax = this.#random.next() * STALL_MS_MAX;
  }

  #stop(manager: SimManager): void {
    if (manager.life === undefined) return;
    this.#group.note(`weather: ${manager.name} is stopped`);
    const { time } = this.#group;
    void manager
      .stop()
      .then(() => time.after(this.#random.next() * STOPPED_MS_MAX, () => this.#maybeRestart(manager)));
  }

  /** Who was let go meanwhile does not come back by itself. */
  #maybeRestart(manager: SimManager): void {
    if (!this.#waits && this.#group.managers.includes(manager)) this.#group.restart(manager);
  }

  #slowDisk(manager: SimManager): void {
    this.#group.note(`weather: the disk of ${manager.name} is slow`);
    manager.syncMsMax = 300;
  }

  /** Its writes fail until all is calm, and a manager whose writes fail ends. */
  #breakDisk(manager: SimManager): void {
    this.#group.note(`weather: the disk of ${manager.name} fails`);
    manager.disk.failure = withCode('EIO', 'the disk fails');
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
