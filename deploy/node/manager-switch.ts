import type { NodeIdentity } from '#agent/session/identity.ts';
import type { ClusterEvent } from '#manager/api/events.ts';
import { refusalOf } from '#manager/api/manager.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import { hasRaftState } from '#manager/consensus/state.ts';
import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { codeOf, messageOf } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { Random } from '#proto/base/random.ts';
import { openDialer } from '#proto/rpc/client.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import { textOf } from './addresses.ts';
import { askToJoin, askToLeave, type RaftCaller } from './join-raft.ts';
import { type Beginning, controlAddrOf, type ManagerPart, startManager } from './manager.ts';
import { ManagerLock, openingLock } from './manager-lock.ts';
import type { SwarmFolder, SwarmSettings } from './swarm-settings.ts';

export interface ManagerSwitchModules {
  readonly identity: NodeIdentity;
  readonly folder: SwarmFolder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly onFailure: (error: Error) => void;
  readonly onEvent: (event: ClusterEvent) => void;
  /** host:port of managers that this node knows. */
  readonly managers: () => readonly string[];
  /** Adds what a manager offers beyond its own services, and wakes who waits for one. */
  readonly onStarted?: (manager: ManagerPart, dialer: RpcDialer) => void;
}

const RETRY = { firstMs: 500, maxMs: 4_000 };
/** How long the others are asked for by a manager that can do nothing else. */
const ASK_MS_MAX = 5_000;

/** Runs a manager on this node for as long as its certificate says that it is one. */
export class ManagerSwitch implements AsyncDisposable {
  readonly #settings: SwarmSettings;
  readonly #modules: ManagerSwitchModules;
  readonly #dialer: RpcDialer & AsyncDisposable;
  readonly #stopping = new AbortController();
  #current: ManagerPart | undefined;
  #lock: ManagerLock | undefined;
  #isLeaving = false;
  #trouble: string | undefined;
  /** The node has been no manager for a while, however short: what it had as one counts no more. */
  #wasDemoted = false;
  /** Ends a wait when the role changes. */
  #waiting = new AbortController();
  #unfollow: () => void = () => undefined;
  /** Starting and stopping, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(settings: SwarmSettings, modules: ManagerSwitchModules) {
    this.#settings = settings;
    this.#modules = modules;
    this.#dialer = openDialer({}, modules);
  }

  /** The manager, while it runs. */
  get current(): ManagerPart | undefined {
    return this.#current;
  }

  /** Why it does not run, where this node is to manage. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get dialer(): RpcDialer {
    return this.#dialer;
  }

  /** Starts the manager if this node is one: anew, as it was before, or as a newcomer to the group. */
  async start(asked?: Beginning): Promise<void> {
    const { identity, folder, onStarted } = this.#modules;
    if (identity.peer().role !== 'manager' || this.#current !== undefined) return;
    const { nodeId } = identity.peer();
    const { listen, raftPort, advertiseHost } = this.#settings;
    const lock = openingLock(identity, folder.raft);
    const known = hasRaftState(machineDisk, folder.raft, lock);
    const beginning = asked ?? (known ? ({ start: { kind: 'restart' } } as const) : await this.#askToJoin());
    const place = { stateDir: folder.raft, nodeId, listen, raftPort, advertiseHost };
    const opts = { ...place, beginning, ...(lock && { lock }) };
    const modules = { ...this.#modules, dialer: this.#dialer };
    const manager = await startManager(opts, modules, this.#stopping.signal);
    this.#current = manager;
    this.#trouble = undefined;
    this.#lock = new ManagerLock(folder.raft, { ...this.#modules, ...manager });
    this.#watchRemoval(manager);
    onStarted?.(manager, this.#dialer);
  }

  /**
   * Starts the manager that was here before. What keeps it from starting, `trouble` tells: the node goes on without it,
   * and it is tried again once the role is followed. One that has nothing on disk joins then, through managers that the
   * node knows by that time.
   */
  async resume(): Promise<void> {
    const { identity, folder } = this.#modules;
    try {
      if (identity.peer().role === 'manager' && folder.holdsRaft()) await this.start();
    } catch (error) {
      this.#tell(error);
    }
  }

  /** From now on the manager comes and goes with the role in the node's certificate. */
  followRole(): void {
    const { identity } = this.#modules;
    const follow = (): void => {
      if (identity.joined && identity.peer().role !== 'manager') this.#wasDemoted = true;
      this.#waiting.abort(new Error('the role may have changed'));
      this.#turn = this.#turn.then(() => this.#become());
    };
    this.#unfollow = identity.onChange(follow);
    follow();
  }

  /** Encrypts what this manager has on disk with a new key, while it runs. NOT_MANAGER where there is none. */
  async rotateKey(): Promise<void> {
    if (this.#lock === undefined) throw refusalOf('starting');
    await this.#lock.rotateKey();
  }

  /** Tells the group that this manager goes for good. */
  async leaveGroup(signal: AbortSignal): Promise<void> {
    const consensus = this.#current?.consensus;
    if (consensus === undefined) return;
    const { self, members } = await consensus.status();
    if (members.length <= 1) return;
    this.#isLeaving = true;
    if (consensus.leadership().leading) await consensus.transferLeadership();
    await askToLeave(self.nodeId, { ...this.#modules, dialer: this.#dialer }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unfollow();
    this.#stopping.abort(new Error('stopping'));
    await this.#turn;
    await this.#stop();
    await this.#dialer[Symbol.asyncDispose]();
  }

  async #become(): Promise<void> {
    const { identity, random, clock } = this.#modules;
    for (let attempt = 0; !this.#stopping.signal.aborted && identity.joined; attempt += 1) {
      try {
        if (this.#wasDemoted) await this.#stepDown();
        return await this.start();
      } catch (error) {
        this.#tell(error);
        this.#waiting = new AbortController();
        const signal = AbortSignal.any([this.#stopping.signal, this.#waiting.signal]);
        if (await this.#beginsAnew(error, signal)) return;
        await clock.sleep(backoffMs(RETRY, attempt, random), signal).catch(() => undefined);
      }
    }
  }

  /** Says what is wrong, once for as long as it is the same. */
  #tell(error: unknown): void {
    const trouble = messageOf(error);
    if (trouble === this.#trouble || this.#stopping.signal.aborted) return;
    this.#trouble = trouble;
    this.#modules.log.error('this node can’t yet be what its certificate says', { err: error });
  }

  /**
   * A manager whose state can't be used asks to be let in like a newcomer: the others refuse while they count on what it
   * had, and let it in once they have removed it.
   */
  async #beginsAnew(error: unknown, signal: AbortSignal): Promise<boolean> {
    const { folder, identity, log } = this.#modules;
    if (codeOf(error) !== 'FAILED_PRECONDITION' || !folder.holdsRaft()) return false;
    try {
      if (identity.peer().role !== 'manager') return false;
      const patience = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS_MAX)]);
      const modules = { ...this.#modules, dialer: this.#dialer };
      const start = await askToJoin(this.#caller(), modules, patience);
      log.warn('the others let this manager in anew: its state is set aside', {
        aside: await folder.setAsideRaft(),
      });
      await this.start({ start });
      return true;
    } catch (refused) {
      log.debug('a manager whose state can’t be used is not let in anew', { err: refused });
      return false;
    }
  }

  /** What it had is of no use to a manager that it may become later, whole or not. */
  async #stepDown(): Promise<void> {
    const { identity, folder } = this.#modules;
    await this.#stop();
    await folder.forgetRaft();
    // Only managers are locked.
    if (identity.lock !== undefined) await identity.lockWith(undefined);
    this.#wasDemoted = false;
    this.#trouble = undefined;
  }

  async #stop(): Promise<void> {
    const manager = this.#current;
    this.#current = undefined;
    await this.#lock?.[Symbol.asyncDispose]();
    this.#lock = undefined;
    await manager?.[Symbol.asyncDispose]();
  }

  /** A manager that is no member of its group any more is none, whatever its certificate still says. */
  #watchRemoval(manager: ManagerPart): void {
    const removed = (): void => {
      if (!this.#isLeaving) this.#turn = this.#turn.then(() => this.#giveUp(manager));
    };
    if (manager.consensus.isRemoved()) return removed();
    manager.consensus.onRemoved(removed);
  }

  /** Its group went on without it: it starts anew as whatever it is to be now. */
  async #giveUp(manager: ManagerPart): Promise<void> {
    if (this.#current !== manager || this.#stopping.signal.aborted) return;
    const { folder, log } = this.#modules;
    const wasToBe = manager.store.view().nodes.get(manager.nodeId)?.spec.role;
    try {
      await this.#stop();
      if (wasToBe !== 'manager') await folder.forgetRaft();
      else {
        const aside = await folder.setAsideRaft();
        log.warn('the other managers went on without this one: its state is set aside', { aside });
      }
    } catch (error) {
      log.error('the state of a manager that was removed could not be put away', { err: error });
    }
    await this.#become();
  }

  async #askToJoin(): Promise<Beginning> {
    const failed = (error: unknown): void => {
      this.#trouble = `the managers of the swarm have not let this one in yet: ${messageOf(error)}`;
    };
    const modules = { ...this.#modules, dialer: this.#dialer, failed };
    return { start: await askToJoin(this.#caller(), modules, this.#stopping.signal) };
  }

  #caller(): RaftCaller {
    const { advertiseHost, raftPort } = this.#settings;
    return {
      nodeId: this.#modules.identity.peer().nodeId,
      raftAddr: textOf({ host: advertiseHost, port: raftPort }),
      controlAddr: controlAddrOf(this.#settings),
    };
  }
}
