import { type Log, type LogFields, nullLog } from '#proto/base/log.ts';
import { type Random, randomInt, seededRandom } from '#proto/base/random.ts';
import { Book } from './book.ts';
import { Clients } from './clients.ts';
import { Disaster } from './disaster.ts';
import { SimGroup } from './group.ts';
import type { Bug } from './manager.ts';
import { type SimObject, simObjects } from './objects.ts';
import { type Trouble, Weather } from './weather.ts';

export interface HistoryOpts {
  readonly seed: number;
  /** How many managers the group begins with; by default 3, 5 or 7, as the seed has it. */
  readonly members?: number | undefined;
  readonly bug?: Bug;
  readonly leaseReads?: boolean;
  /** What befalls the managers; by default everything, as the seed has it. */
  readonly troubles?: readonly Trouble[];
  /** All managers but one are gone for good at some moment; by default in some histories. */
  readonly disaster?: boolean;
  /** Told what happens, line by line. */
  readonly tell?: (line: string) => void;
}

/** What a history was about. */
export interface HistoryReport {
  readonly seed: number;
  /** What must not be, and was. */
  readonly violation: string | undefined;
  readonly figures: Figures;
}

export type Figures = Readonly<
  Record<'leaders' | 'entries' | 'answered' | 'unknown' | 'ends' | 'snapshots' | 'changes', number>
>;

const STORM_MS = 4000;
const RECOVERS_WITHIN_MS = 60_000;
/** What was begun when all was well ends within this. */
const LAST_WORDS_MS = 400;
const LEASE_SHARE = 0.15;
const DISASTER_SHARE = 0.08;
/** Of each rare kind of trouble: the share of histories that know it. */
const RARE_SHARE = 0.2;
const RARE: readonly Trouble[] = [
  'full disks',
  'handovers',
  'several members',
  'demotions',
  'absent members',
  'lost members',
];
/** Messages that were under way have arrived after so long. */
const QUIET_AFTER_MS = 900;
const QUIET_MS = 600;
const FAREWELL_SHARE = 0.25;

/** Runs one history: a group forms, clients use it while things go wrong, then all is well again. Never throws. */
export async function simulate(opts: HistoryOpts): Promise<HistoryReport> {
  const history = new History(opts);
  return history.run();
}

class History {
  readonly #opts: HistoryOpts;
  readonly #random: Random;
  readonly #group: SimGroup;
  readonly #book = new Book();
  readonly #objects: readonly SimObject[];
  readonly #clients: Clients;
  readonly #leaseReads: boolean;

  constructor(opts: HistoryOpts) {
    this.#opts = opts;
    const random = seededRandom(opts.seed);
    this.#random = random;
    const members = opts.members ?? ([3, 3, 5, 5, 7][randomInt(random, 5)] as number);
    const isWithLeases = random.next() < LEASE_SHARE;
    this.#leaseReads = opts.leaseReads ?? isWithLeases;
    const note = (text: string): void => this.#tell(text);
    this.#group = new SimGroup(
      { members, limits: limitsOf(random), leaseReads: this.#leaseReads, bug: opts.bug ?? {} },
      { random, note, log: opts.tell === undefined ? nullLog : new TellingLog(note, '') },
    );
    this.#objects = someOf(simObjects(this.#book), random);
    this.#clients = new Clients(
      { count: 2 + randomInt(random, 5), operationsMax: 250, pauseMsMax: 10 + random.next() * 150 },
      {
        time: this.#group.time,
        random,
        note,
        objects: this.#objects,
        managers: () => (this.#group.isClosed ? [] : this.#group.managers),
      },
    );
  }

  async run(): Promise<HistoryReport> {
    const { truth } = this.#group;
    for (const part of [this.#form, this.#storm, this.#recover, this.#settle])
      if (truth.violation === undefined) await part.call(this);
    if (truth.violation === undefined) this.#judge();
    if (truth.violation !== undefined) this.#tell(`VIOLATION ${truth.violation}`);
    return this.#report();
  }

  #form(): Promise<void> {
    return this.#group.form();
  }

  async #storm(): Promise<void> {
    const { time, truth, network } = this.#group;
    network.opts = { ...network.opts, ...networkOf(this.#random) };
    const everyMsMax = 60 + this.#random.next() * 500;
    const troubles = this.#opts.troubles ?? this.#troubles();
    const opts = { everyMsMax, troubles };
    const weather = new Weather(opts, this.#group, this.#random);
    this.#clients.start();
    void weather.run();
    const untilMs = time.nowMs + STORM_MS;
    if (this.#opts.disaster ?? this.#random.next() < DISASTER_SHARE) await this.#disaster(weather);
    await time.run(untilMs, () => truth.violation !== undefined);
    weather.stop();
  }

  /** At some moment of the storm. */
  async #disaster(weather: Weather): Promise<void> {
    const { time, truth } = this.#group;
    await time.run(time.nowMs + this.#random.next() * STORM_MS, () => truth.violation !== undefined);
    const disaster = new Disaster(this.#group, this.#random, (view) => {
      for (const object of this.#objects) object.restart(view);
    });
    let isOver = false;
    void weather
      .waitFor(() => disaster.happen())
      .finally(() => {
        isOver = true;
      });
    await this.#group.until(() => isOver, 'one went on alone', RECOVERS_WITHIN_MS);
  }

  #troubles(): Trouble[] {
    const troubles: Trouble[] = ['ends', 'ends', 'cuts', 'cuts', 'disks', 'others'];
    // A process that hangs loses ticks, which leases rest on.
    if (!this.#leaseReads) troubles.push('hangs', 'hangs');
    if (!this.#leaseReads && this.#random.next() < RARE_SHARE) troubles.push('stalls', 'stalls');
    for (const rare of RARE) if (this.#random.next() < RARE_SHARE) troubles.push(rare, rare);
    if (this.#random.next() < 0.5) troubles.push('members');
    return troubles;
  }

  /** Everybody comes to have everything, and the group takes writes. */
  async #recover(): Promise<void> {
    const group = this.#group;
    this.#tell('all is well again');
    group.recover();
    const goal = group.truth.lastApplied + 1;
    const isDone = (): boolean => group.hasAll(goal);
    void this.#useAll(isDone);
    await group.until(isDone, 'all have everything', RECOVERS_WITHIN_MS);
  }

  async #useAll(isDone: () => boolean): Promise<void> {
    while (!isDone() && this.#group.truth.violation === undefined) {
      for (const manager of this.#group.managers)
        if (manager.life === undefined) this.#group.restart(manager);
      this.#group.checkAbsent();
      await this.#clients.useAll('last');
      await this.#group.time.sleep(100);
    }
  }

  /** What is under way ends; then everybody is in the same state. */
  async #settle(): Promise<void> {
    const { time, managers, truth } = this.#group;
    this.#clients.stop();
    await time.run(time.nowMs + LAST_WORDS_MS, () => truth.violation !== undefined);
    await this.#group.until(
      () => this.#group.hasAll(truth.lastApplied),
      'all have the last',
      RECOVERS_WITHIN_MS,
    );
    for (const { life, name } of managers)
      if (life?.consensus !== undefined) truth.hash(name, life.machine.version, life.machine.hash());
    if (truth.violation === undefined && this.#group.strangers.length > 0) await this.#stayQuiet();
    if (truth.violation === undefined && this.#random.next() < FAREWELL_SHARE) await this.#farewell();
  }

  /** A leader that is stopped when all is well is followed by another before it goes. */
  async #farewell(): Promise<void> {
    const group = this.#group;
    const leader = group.leader();
    if (leader === undefined || group.voters().length < 2) return;
    await group.ended(leader.stop());
    const followed = group.managers.some(({ life }) => {
      const next = life?.consensus?.leadership().leader;
      return next !== undefined && next.raftId !== leader.raftId;
    });
    if (!followed) group.truth.violate(`handover: ${leader.name} stopped, and nobody leads in its place`);
  }

  /** Those that were removed, and run on or come back, disturb nobody. */
  async #stayQuiet(): Promise<void> {
    const group = this.#group;
    for (const stranger of group.strangers) if (this.#random.next() < 0.5) group.restart(stranger);
    await group.time.run(group.time.nowMs + QUIET_AFTER_MS);
    const before = group.leader();
    const term = before?.term;
    await group.time.run(group.time.nowMs + QUIET_MS);
    if (group.leader() !== before || before?.term !== term)
      group.truth.violate(`quiet: ${before?.name} does not lead on in term ${term} though all is well`);
  }

  #judge(): void {
    const { truth } = this.#group;
    truth.checkProposals();
    const wrong = this.#book.check();
    if (wrong !== undefined) truth.violate(wrong);
  }

  #tell(text: string): void {
    this.#opts.tell?.(`${this.#group.time.nowMs.toFixed(1).padStart(9)} ${text}`);
  }

  #report(): HistoryReport {
    const { truth, network, ends } = this.#group;
    const changes = this.#group.changes.count;
    const { answered, unknown } = this.#clients;
    const figures: Figures = {
      leaders: truth.leaders,
      entries: truth.lastApplied,
      answered,
      unknown,
      ends,
      snapshots: network.snapshotsSent,
      changes,
    };
    return { seed: this.#opts.seed, violation: truth.violation, figures };
  }
}

/** The fewer there are, the more they are fought over. */
function someOf<T>(all: readonly T[], random: Random): readonly T[] {
  const some = all.filter(() => random.next() < 0.5);
  return some.length > 0 ? some : all;
}

function limitsOf(random: Random) {
  return {
    snapshotEveryEntries: 10 + randomInt(random, 60),
    logEntriesForSlowFollowers: randomInt(random, 20),
    segmentBytes: (randomInt(random, 2) === 0 ? 32 : 64) * 1024,
    requestTimeoutMs: 3000,
    logMemoryBytes: 2 ** (8 + randomInt(random, 10)),
  };
}

/** Some networks are good, most have something. */
function networkOf(random: Random) {
  const some = (most: number): number => (random.next() < 0.5 ? 0 : random.next() * most);
  return {
    lossChance: some(0.15),
    doubleChance: some(0.1),
    lateChance: some(0.1),
    snapshotBreakChance: some(0.3),
    delayMsMax: 1.5 + some(20),
  };
}

/** What members log, as part of what is told. */
class TellingLog implements Log {
  readonly #tell: (text: string) => void;
  readonly #name: string;

  constructor(tell: (text: string) => void, name: string) {
    this.#tell = tell;
    this.#name = name;
  }

  debug(): void {}

  info(message: string, fields?: LogFields): void {
    this.#line(message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#line(message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line(message, fields);
  }

  child(name: string): Log {
    return new TellingLog(this.#tell, name);
  }

  #line(message: string, fields: LogFields = {}): void {
    const { err, ...others } = fields;
    const texts = Object.entries(others).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    if (err instanceof Error) texts.push(`(${err.message})`);
    this.#tell(`${this.#name}: ${message} ${texts.join(' ')}`);
  }
}
