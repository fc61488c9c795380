import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import { Wake } from '#proto/base/wake.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { Assigned } from '#proto/types/assignments.ts';
import type { TaskId } from '#proto/types/ids.ts';
import type { NodeDescription, TaskStatus } from '#proto/types/objects.ts';
import { NOTHING_ASSIGNED } from './assigned.ts';
import { type ClusterNews, Conversation, type Outgoing } from './conversation.ts';
import type { Managers } from './managers.ts';
import { Reports } from './reports.ts';

export interface SessionModules {
  readonly dialer: RpcDialer;
  readonly managers: Managers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Gets the whole of what this node is assigned, each time it has changed. */
  readonly consumer: { onAssigned(assigned: Assigned): void };
  /** Every status this node knows: said again to each manager it turns to. */
  readonly statuses: () => Iterable<readonly [TaskId, TaskStatus]>;
  /** The managers have told what is new about the cluster; the list of managers is kept here already. */
  readonly onCluster: (news: ClusterNews) => void;
  /** host:port of the manager on this very node, while there is one: it is preferred. */
  readonly localAddr: () => string | undefined;
}

export interface SessionStatus {
  /** The manager this node has its session with. */
  readonly manager?: string;
  /** Why there is none, if there was an attempt. */
  readonly error?: string;
}

const RETRY = { firstMs: 100, maxMs: 8_000 };
/** Who lost a manager returns at once, but not all in the same instant. */
const RETURN_MS_MAX = 100;
/** A session that lasted this long was a good one. */
const LASTING_MS = 5_000;
/** How long a manager may be behind what this node knows already, before the cluster's past is believed to be lost. */
const BEHIND_MS_MAX = 30_000;
const GOODBYE_MS_MAX = 2_000;

/**
 * This node's standing with the managers: always one session, with any of them. Says what the node has to say, and
 * keeps what the managers have assigned to it.
 */
export class Session implements AsyncDisposable {
  readonly #modules: SessionModules;
  readonly #out: Outgoing;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #assigned = NOTHING_ASSIGNED;
  /** Of what epoch that is, and of what epoch the present manager speaks. */
  #epoch = 0;
  #spokenEpoch = 0;
  #status: SessionStatus = {};
  readonly #begun = Promise.withResolvers<void>();
  /** The last manager that was left, to be avoided. */
  #left: string | undefined;
  /** Since when managers have been found behind; monotonic. */
  #behindSinceMs: number | undefined;

  constructor(description: NodeDescription, modules: SessionModules) {
    this.#modules = modules;
    const reports = new Reports(LIMITS.statusReportsWaitingMax);
    this.#out = { description, reports, networkReady: 0, changed: new Wake() };
    this.#running = this.#run(this.#stopping.signal);
    void this.#running.finally(() => this.#begun.resolve());
  }

  status(): SessionStatus {
    return this.#status;
  }

  /** Resolves when a manager has taken this node in for the first time, or when that will not happen any more. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** What this node is assigned, as far as it has heard. */
  assigned(): Assigned {
    return this.#assigned;
  }

  /** Tells the managers about a task; the latest status of each is kept until they have it in their log. */
  report(taskId: TaskId, status: TaskStatus): void {
    this.#out.reports.add(taskId, status);
    this.#out.changed.up();
  }

  /** The data plane is as the assignments of `version` want it. */
  networkReady(version: number): void {
    if (version <= this.#out.networkReady) return;
    this.#out.networkReady = version;
    this.#out.changed.up();
  }

  /** The node has changed: other resources, other labels, another address. */
  describe(description: NodeDescription): void {
    if (JSON.stringify(description) === JSON.stringify(this.#out.description)) return;
    this.#out.description = description;
    this.#out.changed.up();
  }

  /**
   * Takes leave: the managers move this node's tasks away at once instead of waiting for it to return. What was
   * reported is delivered first, as far as a short while allows. Ends the session for good.
   */
  async goodbye(reason: string): Promise<void> {
    this.#out.goodbye = reason;
    this.#out.changed.up();
    const cancel = this.#modules.clock.timer(GOODBYE_MS_MAX, () => this.#stopping.abort(new Error(reason)));
    await this.#running;
    cancel();
  }

  /** Ends the session without a word: the node is expected back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#modules;
    const over = (): boolean => signal.aborted || this.#out.goodbye !== undefined;
    for (let attempt = 0; !over(); ) {
      const startedMs = clock.monotonicMs();
      const welcomed = await this.#converse(signal);
      attempt = welcomed && clock.monotonicMs() - startedMs >= LASTING_MS ? 0 : attempt + 1;
      const waitMs = attempt === 0 ? random.next() * RETURN_MS_MAX : backoffMs(RETRY, attempt - 1, random);
      if (!over()) await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }

  /** One session with one manager; whether it took this node in. */
  async #converse(signal: AbortSignal): Promise<boolean> {
    const { managers, dialer, log } = this.#modules;
    const addr = this.#choose();
    if (addr === undefined) {
      this.#status = { error: 'no manager is known' };
      return false;
    }
    let welcomed = false;
    const conversation = this.#conversation((epoch) => {
      welcomed = true;
      this.#spokenEpoch = epoch;
      this.#welcomed(addr);
    });
    try {
      await conversation.run(dialer.client('Dispatcher', addr, 'manager'), signal);
      this.#status = {};
    } catch (error) {
      this.#status = { error: messageOf(error) };
      if (!signal.aborted) {
        managers.failed(addr);
        log.warn('the session with this manager has ended', { addr, err: error });
      }
    }
    this.#left = addr;
    return welcomed;
  }

  #choose(): string | undefined {
    const local = this.#modules.localAddr();
    return local !== undefined && local !== this.#left ? local : this.#modules.managers.pick(this.#left);
  }

  #conversation(welcomed: (epoch: number) => void): Conversation {
    return new Conversation(this.#out, {
      clock: this.#modules.clock,
      random: this.#modules.random,
      welcomed,
      onCluster: (news) => this.#learn(news),
      assigned: () => this.#assigned,
      epoch: () => this.#epoch,
      onAssigned: (assigned, complete) => this.#take(assigned, complete),
    });
  }

  #welcomed(addr: string): void {
    const { managers, log, statuses } = this.#modules;
    managers.succeeded(addr);
    log.info('a session with a manager has begun', { addr });
    this.#status = { manager: addr };
    this.#begun.resolve();
    for (const [taskId, status] of statuses()) this.#out.reports.add(taskId, status);
    this.#out.changed.up();
  }

  #learn(news: ClusterNews): void {
    const { managers, log, onCluster } = this.#modules;
    managers.learn(news.managers).catch((error: unknown) => {
      log.warn('the list of managers could not be written', { err: error });
    });
    onCluster(news);
  }

  /** Keeps and hands on a new state, unless the manager is behind what this node knows: then another is asked. */
  #take(assigned: Assigned, complete: boolean): void {
    const known = this.#assigned;
    if (complete && this.#isBehind(assigned.version) && !this.#pastIsLost()) {
      const found = `it is at version ${assigned.version}, this node at ${known.version}`;
      throw new ShoalError('UNAVAILABLE', `the manager is behind: ${found}`);
    }
    this.#behindSinceMs = undefined;
    this.#epoch = this.#spokenEpoch;
    this.#assigned = assigned;
    this.#out.networkReady = readyAfter(known, assigned, this.#out.networkReady);
    this.#modules.consumer.onAssigned(assigned);
  }

  #isBehind(version: number): boolean {
    if (this.#spokenEpoch !== this.#epoch) return this.#spokenEpoch < this.#epoch;
    return version < this.#assigned.version;
  }

  #pastIsLost(): boolean {
    const nowMs = this.#modules.clock.monotonicMs();
    this.#behindSinceMs ??= nowMs;
    return nowMs - this.#behindSinceMs >= BEHIND_MS_MAX;
  }
}

/**
 * What the data plane is ready for when another state has been taken: where nothing of the network is different, that too.
 * Versions of a cluster that lost its past begin again below what was acknowledged.
 */
function readyAfter(known: Assigned, next: Assigned, ready: number): number {
  const same =
    known.version > 0 &&
    known.self === next.self &&
    known.peers === next.peers &&
    known.networks === next.networks &&
    known.services === next.services &&
    known.endpoints === next.endpoints;
  return same && ready === known.version ? next.version : Math.min(ready, next.version);
}
