import type { CommittedEntry, Consensus, Member, StateMachine } from '#manager/consensus/consensus.ts';
import { openLocalConsensus } from '#manager/consensus/local.ts';
import type { Peer } from '#manager/consensus/membership.ts';
import { type ConsensusLimits, DEFAULT_LIMITS, type StartOpts } from '#manager/consensus/opts.ts';
import { type Log, nullLog } from '#proto/base/log.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { type Random, seededRandom } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { settle, VirtualClock } from '#test/support/virtual-clock.ts';
import { MemoryNetwork } from './memory-network.ts';
import { SimDisk } from './sim-disk.ts';

/** Remembers every entry it is given, in order, and refuses what is out of order. */
export class Journal implements StateMachine {
  lines: string[] = [];
  index = 0;
  restores = 0;

  apply(entries: readonly CommittedEntry[]): void {
    for (const { index, data } of entries) {
      if (index !== this.index + 1) throw new Error(`entry ${index} follows ${this.index}`);
      this.index = index;
      if (data.length > 0) this.lines.push(Buffer.from(data).toString());
    }
  }

  *snapshot(): Generator<Uint8Array> {
    const lines = [...this.lines];
    for (const line of lines) yield Buffer.from(line);
  }

  async restore(chunks: AsyncIterable<Uint8Array>, index: number): Promise<void> {
    const lines: string[] = [];
    for await (const chunk of chunks) lines.push(Buffer.from(chunk).toString());
    this.lines = lines;
    this.index = index;
    this.restores += 1;
  }
}

/** One manager: its disk outlives it. */
export interface Manager {
  readonly name: string;
  readonly disk: SimDisk;
  journal: Journal;
  consensus: Consensus | undefined;
  failure: Error | undefined;
  raftId: number;
}

const LIMITS: ConsensusLimits = { ...DEFAULT_LIMITS, segmentBytes: 64 * 1024, snapshotPauseMs: 0 };

/** Managers in one process, under one clock that moves when told to. */
export class Group {
  readonly clock = new VirtualClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly random: Random;
  readonly managers = new Map<string, Manager>();
  readonly limits: ConsensusLimits;
  readonly log: Log;

  constructor(opts: { seed?: number; limits?: Partial<ConsensusLimits>; log?: Log } = {}) {
    this.random = seededRandom(opts.seed ?? 1);
    this.limits = { ...LIMITS, ...opts.limits };
    this.log = opts.log ?? nullLog;
  }

  /** A group of as many managers, all voters, and who leads. */
  static async of(
    count: number,
    opts: { seed?: number; limits?: Partial<ConsensusLimits>; log?: Log } = {},
  ): Promise<Group> {
    const group = new Group(opts);
    await group.bootstrap('m1');
    for (let number = 2; number <= count; number += 1) await group.join(`m${number}`);
    return group;
  }

  manager(name: string): Manager {
    const there = this.managers.get(name);
    if (there !== undefined) return there;
    const manager: Manager = {
      name,
      disk: new SimDisk(),
      journal: new Journal(),
      consensus: undefined,
      failure: undefined,
      raftId: 0,
    };
    this.managers.set(name, manager);
    return manager;
  }

  consensus(name: string): Consensus {
    const { consensus } = this.manager(name);
    if (consensus === undefined) throw new Error(`${name} does not run`);
    return consensus;
  }

  get running(): Manager[] {
    return [...this.managers.values()].filter((manager) => manager.consensus !== undefined);
  }

  async bootstrap(name: string): Promise<void> {
    await this.start(name, { kind: 'bootstrap' });
    await this.until(() => this.leader()?.name === name, `${name} leads`);
  }

  /** Lets a new manager in and waits until it votes. */
  async join(name: string): Promise<Member> {
    const leader = (await this.awaitLeader()).consensus as Consensus;
    const member = await this.resolved(leader.addMember(this.identity(name)));
    await this.start(name, { kind: 'join', raftId: member.raftId, members: leader.members() });
    await this.until(() => this.isVoter(member.raftId), `${name} votes`);
    return member;
  }

  async start(name: string, start: StartOpts, more: { forceNewCluster?: boolean } = {}): Promise<void> {
    const manager = this.manager(name);
    manager.journal = new Journal();
    const { journal } = manager;
    const opening = openLocalConsensus(
      { stateDir: 'state', self: this.identity(name), start, limits: this.limits, ...more },
      {
        clock: this.clock,
        random: this.random,
        disk: manager.disk,
        soon: (work) => void setImmediate(work),
        startTransport: this.network.start,
        stateMachine: journal,
        log: this.log.child(name),
        metrics: nullMetrics,
        onFailure: (error) => {
          // What a killed process still does is nobody's concern.
          if (manager.journal === journal && manager.consensus !== undefined) manager.failure = error;
        },
      },
    );
    manager.consensus = await this.resolved(opening);
    manager.raftId = (await this.resolved(manager.consensus.status())).self.raftId;
  }

  restart(name: string): Promise<void> {
    return this.start(name, { kind: 'restart' });
  }

  /** The process is killed; with `power`, the machine, and what was not synced may be gone. */
  kill(name: string, power = false): void {
    const manager = this.manager(name);
    const running = manager.consensus;
    if (running === undefined) return;
    manager.consensus = undefined;
    this.network.gone(this.peer(manager));
    manager.disk.crash(power ? this.random : seededRandom(1));
    void Promise.resolve(running[Symbol.asyncDispose]()).catch(() => undefined);
  }

  async stop(name: string): Promise<void> {
    const running = this.consensus(name);
    this.manager(name).consensus = undefined;
    await this.resolved(Promise.resolve(running[Symbol.asyncDispose]()));
  }

  leader(): Manager | undefined {
    return this.running
      .filter((manager) => manager.consensus?.leadership().leading)
      .sort((a, b) => term(b) - term(a))[0];
  }

  async awaitLeader(): Promise<Manager> {
    await this.until(() => this.leader() !== undefined, 'somebody leads');
    return this.leader() as Manager;
  }

  isVoter(raftId: number): boolean {
    const members = this.leader()?.consensus?.members() ?? [];
    return members.some((member) => member.raftId === raftId && !member.learner);
  }

  /** Proposes where leadership is, again and again until it is certain. */
  async write(text: string): Promise<void> {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const leader = await this.awaitLeader();
      try {
        await this.resolved((leader.consensus as Consensus).propose(Buffer.from(text)));
        return;
      } catch {
        await this.clock.advance(20);
      }
    }
    throw new Error(`${text} could not be written`);
  }

  async writeAll(prefix: string, count: number): Promise<string[]> {
    const texts = Array.from({ length: count }, (_, at) => `${prefix}${at}`);
    for (const text of texts) await this.write(text);
    return texts;
  }

  /** Lets time pass until a promise settles. */
  async resolved<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let done = false;
    const noted = promise.finally(() => {
      done = true;
    });
    noted.catch(() => undefined);
    await this.until(() => done, 'a promise settles', withinMs);
    return noted;
  }

  async until(condition: () => boolean, what: string, withinMs = 20_000): Promise<void> {
    const untilMs = this.clock.monotonicMs() + withinMs;
    for (let turn = 0; turn < 20 && !condition(); turn += 1) await settle();
    while (!condition()) {
      const broken = [...this.managers.values()].find((manager) => manager.failure !== undefined);
      if (broken !== undefined) throw new Error(`${broken.name} failed`, { cause: broken.failure });
      if (this.clock.monotonicMs() > untilMs) throw new Error(`waited in vain until ${what}`);
      await this.clock.advance(5);
    }
  }

  async close(): Promise<void> {
    for (const manager of this.running) this.kill(manager.name);
    await this.clock.advance(10);
  }

  identity(name: string): { nodeId: NodeId; raftAddr: string; controlAddr: string } {
    return { nodeId: `node-${name}` as NodeId, raftAddr: `${name}:1`, controlAddr: `${name}:2` };
  }

  peer(manager: Manager): Peer {
    return { ...this.identity(manager.name), raftId: manager.raftId };
  }
}

function term(manager: Manager): number {
  return manager.consensus?.leadership().term ?? 0;
}

/** Every manager that runs has exactly these entries. */
export async function allHave(group: Group, lines: readonly string[]): Promise<void> {
  for (const { name, journal } of group.running)
    await group.until(() => journal.lines.length >= lines.length, `${name} has all`);
  for (const { name, journal } of group.running)
    if (journal.lines.join() !== lines.join()) throw new Error(`${name} has ${journal.lines.join()}`);
}
