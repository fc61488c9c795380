import type { Consensus, Member, StateMachine } from '#manager/consensus/consensus.ts';
import { Core } from '#manager/consensus/core.ts';
import { Face } from '#manager/consensus/face.ts';
import type { CoreOpts, StartOpts } from '#manager/consensus/opts.ts';
import { type CorePort, failureOf, localPorts } from '#manager/consensus/protocol.ts';
import { hasRaftState } from '#manager/consensus/state.ts';
import type { StartTransport, Transport, TransportEvents } from '#manager/consensus/transport.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import type { Log } from '#proto/base/log.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { type Random, randomInt, seededRandom } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { SimDisk } from '../../unit/manager/consensus/support/sim-disk.ts';
import type { SimNetwork } from './network.ts';
import { ProcessDisk } from './process-disk.ts';
import { type Owner, type SimTime, SkewedClock } from './time.ts';
import type { Truth } from './truth.ts';
import { WitnessedMachine, witnessedConsensus } from './witnessed.ts';

/** How long the store waits for a write before it says that its outcome is unknown. */
const WRITE_TIMEOUT_MS = 1500;

/** For every other manager, so that much of what it writes goes in parts. */
const SMALL_ENTRIES = { entryBytesMax: 100, partBytes: 60 };

/** Of a good disk. */
const SYNC_MS_MAX = 2;

/** What is done wrong, to see whether it is found out: parts that stand in for, or come before, the right ones. */
export interface Bug {
  readonly disk?: (disk: SimDisk) => SimDisk;
  /** Between two lives of a manager. */
  readonly beforeRestart?: (disk: SimDisk, stateDir: string) => void;
  readonly machine?: (machine: StoreMachine, isRestart: boolean) => StateMachine;
  readonly port?: (port: CorePort) => CorePort;
  readonly consensus?: (consensus: Consensus) => Consensus;
  /** `isStranger`: whether its owner was removed. */
  readonly transport?: (
    transport: Transport,
    events: TransportEvents,
    isStranger: () => boolean,
  ) => Transport;
  /** Of each manager's clock. */
  readonly clockRate?: (number: number) => number;
  /** See ChangesOpts. */
  readonly votesAtOnce?: boolean;
  readonly keepsOldId?: boolean;
  /** Before a manager goes on alone. */
  readonly beforeAlone?: (disk: SimDisk, stateDir: string) => void;
}

export interface SimManagerOpts {
  readonly name: string;
  readonly clockRate: number;
  readonly core: Pick<CoreOpts, 'limits' | 'reads'>;
  readonly bug: Bug;
}

export interface SimManagerModules {
  readonly time: SimTime;
  readonly random: Random;
  readonly network: SimNetwork;
  readonly truth: Truth;
  readonly log: Log;
  /** The process can't go on: its disk fails, or a disk operation was to be its last. */
  readonly onEnd: (manager: SimManager) => void;
}

/** One run of a manager's process. */
export interface Life extends Owner {
  readonly clock: SkewedClock;
  readonly disk: ProcessDisk;
  readonly machine: StoreMachine;
  readonly died: Promise<undefined>;
  readonly end: () => void;
  /** Once it is up. */
  consensus: Consensus | undefined;
  store: ReplicatedStore | undefined;
}

export const STATE_DIR = 'state';

/** A manager's machine: its disk, and the process that runs on it, if one does. */
export class SimManager {
  readonly #opts: SimManagerOpts;
  readonly #modules: SimManagerModules;
  disk: SimDisk;
  life: Life | undefined;
  raftId = 0;
  /** It was a member, and is none. */
  isStranger = false;
  /** How long a write to its disk takes. */
  syncMsMax = SYNC_MS_MAX;
  /** How long it holds the process up that waits for it. */
  stallMsMax = 0;
  #start: StartOpts | undefined;
  lives = 0;

  constructor(opts: SimManagerOpts, modules: SimManagerModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.disk = this.#newDisk();
  }

  get name(): string {
    return this.#opts.name;
  }

  get nodeId(): NodeId {
    return `node-${this.name}` as NodeId;
  }

  get raftAddr(): string {
    return `${this.name}:1`;
  }

  get identity(): Omit<Member, 'raftId' | 'learner'> {
    return { nodeId: this.nodeId, raftAddr: this.raftAddr, controlAddr: `${this.name}:2` };
  }

  get leading(): boolean {
    return this.life?.consensus?.leadership().leading === true;
  }

  /** As far as it knows. */
  get term(): number {
    return this.life?.consensus?.leadership().term ?? 0;
  }

  /**
   * Starts the process, or starts it again; `alone`: to go on without the others. Resolves when it is up, or could not
   * come up.
   */
  async start(start?: StartOpts, alone = false): Promise<void> {
    this.#start = start ?? this.#start;
    const life = this.#beginLife();
    try {
      const consensus = await this.#open(life, alone);
      if (life.gone) return;
      const bad = this.#opts.bug.consensus?.(consensus) ?? consensus;
      this.#start = undefined;
      life.store = this.#openStore(life, bad);
      const { self, term } = await consensus.status();
      this.raftId = self.raftId;
      this.#modules.truth.restarted(self.raftId, term);
      life.consensus = bad;
    } catch (error) {
      if (life.gone) return;
      if (!/ENOSPC|EIO/.test((error as Error).message))
        this.#modules.truth.violate(`start: ${this.name} does not start: ${(error as Error).stack}`);
      this.end(false);
    }
  }

  /** The process ends as it should: it hands over what it leads, then closes everything. */
  async stop(): Promise<void> {
    const { life } = this;
    if (life?.consensus === undefined) return;
    await Promise.race([life.consensus[Symbol.asyncDispose](), life.died]);
    if (this.life === life) this.end(false);
  }

  /** A new machine in its place, or one whose disk was emptied. */
  forget(): void {
    this.disk = this.#newDisk();
    this.raftId = 0;
  }

  /** The process ends, now; with `power`, the machine does, and what was not synced may be gone. */
  end(power: boolean): void {
    const { life } = this;
    if (life === undefined) return;
    this.life = undefined;
    life.gone = true;
    life.end();
    this.#modules.network.gone(this.raftAddr, !power);
    this.disk.crash(power ? this.#modules.random : seededRandom(1));
  }

  /** The process hangs: whatever is due happens later. */
  pause(ms: number): void {
    if (this.life !== undefined) this.life.heldUntilMs = this.#modules.time.nowMs + ms;
  }

  /** The disk is a good one again. */
  repair(): void {
    this.disk.roomBytes = Number.POSITIVE_INFINITY;
    this.disk.failure = undefined;
    this.syncMsMax = SYNC_MS_MAX;
    this.stallMsMax = 0;
  }

  /** Does something in the process, when it can; undefined when it ended first. */
  ask<T>(what: (life: Life) => Promise<T> | T, delayMs: number): Promise<T | undefined> {
    const { life } = this;
    if (life?.consensus === undefined) return Promise.resolve(undefined);
    const { time } = this.#modules;
    const answer = new Promise<T>((resolve, reject) => {
      const run = (): void => {
        Promise.resolve(what(life)).then(
          (value) => time.after(delayMs, () => resolve(value)),
          (error) => time.after(delayMs, () => reject(error)),
        );
      };
      time.after(delayMs, run, life);
    });
    return Promise.race([answer, life.died]);
  }

  #beginLife(): Life {
    const { time, truth } = this.#modules;
    const died = Promise.withResolvers<undefined>();
    const owner: Owner = { heldUntilMs: 0, gone: false };
    const disk = new ProcessDisk({
      disk: this.disk,
      isGone: () => owner.gone,
      crash: () => this.#modules.onEnd(this),
      synced: () => this.#maybeStall(),
    });
    const life: Life = Object.assign(owner, {
      clock: new SkewedClock(this.#opts.clockRate, time, owner),
      disk,
      machine: new StoreMachine(),
      died: died.promise,
      end: () => died.resolve(undefined),
      consensus: undefined,
      store: undefined,
    });
    if (this.life !== undefined) truth.violate(`${this.name} is started twice`);
    this.life = life;
    this.lives += 1;
    return life;
  }

  #newDisk(): SimDisk {
    const disk = new SimDisk();
    return this.#opts.bug.disk?.(disk) ?? disk;
  }

  #maybeStall(): void {
    if (this.stallMsMax > 0) this.pause(this.#modules.random.next() * this.stallMsMax);
  }

  /** As openLocalConsensus does it. */
  async #open(life: Life, alone: boolean): Promise<Consensus> {
    const { bug, core } = this.#opts;
    const ports = localPorts();
    const corePort = bug.port?.(ports.core) ?? ports.core;
    const stateMachine = this.#witnessed(life);
    const face = new Face(core.limits.proposalsWaitingMax, {
      port: ports.host,
      stateMachine,
      onFailure: (error) => this.#failed(life, error),
      close: async () => undefined,
    });
    const start = this.#startOpts(life);
    if (start.kind === 'restart') bug.beforeRestart?.(this.disk, STATE_DIR);
    if (alone) bug.beforeAlone?.(this.disk, STATE_DIR);
    const self = this.identity;
    const opts: CoreOpts = { ...core, stateDir: STATE_DIR, self, start, forceNewCluster: alone };
    try {
      await Core.start(opts, this.#coreModules(life), corePort);
    } catch (error) {
      ports.core.post({ kind: 'failed', failure: failureOf(error) });
    }
    await face.started;
    return face;
  }

  /** A manager whose first start came to nothing tries that again. */
  #startOpts({ disk }: Life): StartOpts {
    if (this.#start === undefined || hasRaftState(disk, STATE_DIR)) return { kind: 'restart' };
    return this.#start;
  }

  #coreModules(life: Life) {
    const { network, log, random } = this.#modules;
    const own = seededRandom(randomInt(random, 2 ** 31));
    return {
      clock: life.clock,
      random: own,
      disk: life.disk,
      soon: (work: () => void) => void life.clock.timer(own.next() * this.syncMsMax, work),
      startTransport: this.#badTransport(network.starter(life)),
      log: log.child(this.name),
      metrics: nullMetrics,
    };
  }

  #badTransport(start: StartTransport): StartTransport {
    const { transport: bad } = this.#opts.bug;
    if (bad === undefined) return start;
    return async (self, events) => bad(await start(self, events), events, () => this.isStranger);
  }

  #witnessed(life: Life): StateMachine {
    const { truth } = this.#modules;
    const inner = this.#opts.bug.machine?.(life.machine, this.lives > 1) ?? life.machine;
    const opts = { name: this.name, term: () => truth.termOf(this.raftId), isGone: () => life.gone };
    return new WitnessedMachine(opts, inner, { machine: life.machine, truth });
  }

  #openStore(life: Life, consensus: Consensus): ReplicatedStore {
    const { truth, random } = this.#modules;
    const entries = this.raftId % 2 === 0 ? SMALL_ENTRIES : {};
    const opts = { ...PROPOSER_OPTS, ...entries, timeoutMs: WRITE_TIMEOUT_MS };
    return new ReplicatedStore(opts, {
      machine: life.machine,
      consensus: witnessedConsensus(consensus, truth, () => life.gone),
      clock: life.clock,
      random,
      metrics: nullMetrics,
    });
  }

  #failed(life: Life, error: Error): void {
    if (life.gone) return;
    if (this.disk.failure !== undefined) this.#modules.onEnd(this);
    else this.#modules.truth.violate(`${this.name} stopped: ${error.stack}`);
  }
}
