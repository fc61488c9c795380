import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import { Wake } from '#proto/base/wake.ts';
import { NotLeaderError } from '#proto/rpc/status.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId, TaskId } from '#proto/types/ids.ts';
import type { TaskStatus } from '#proto/types/objects.ts';
import { isTerminal } from '#proto/types/states.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { EventBatch, Store } from '../store/view.ts';
import { type ManagerNews, newsToWire } from './news.ts';
import type { PatientClock } from './patient-clock.ts';
import { type Departure, PendingNews } from './pending-news.ts';
import type { Sessions } from './sessions.ts';

/** What the leader answers to a manager's news. */
export interface LeaderReply {
  /** Version at which all of it is in the log. */
  readonly version: number;
  /** The leader does not know this manager's nodes: everything is to be said again. */
  readonly resend: boolean;
}

export interface ReporterModules {
  readonly nodeId: NodeId;
  readonly store: Pick<Store, 'view' | 'subscribe'>;
  readonly consensus: Pick<Consensus, 'leadership' | 'onLeadership'>;
  readonly dialer: RpcDialer;
  readonly sessions: Sessions;
  /** What this manager does with news when it leads. */
  readonly intake: { hear(news: ManagerNews): Promise<LeaderReply> };
  readonly periodMs: () => number;
  readonly patient: PatientClock;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Managers are heard this many times in the time in which they are to be heard once. */
const BEATS = 5;
const RETRY = { firstMs: 50, maxMs: 2_000 };

/**
 * Takes what this manager hears from its agents to the leader: one message at a time, each with everything that came
 * while the last was on its way. The leader may be this manager itself.
 */
export class Reporter implements AsyncDisposable {
  readonly #modules: ReporterModules;
  readonly #pending: PendingNews;
  readonly #wake = new Wake();
  readonly #stopping = new AbortController();
  readonly #unfollow: (() => void)[];
  readonly #running: Promise<void>;
  /** Aborts when somebody else leads. */
  #reign = new AbortController();
  #kicked = false;

  constructor(modules: ReporterModules) {
    this.#modules = modules;
    this.#pending = new PendingNews({
      managerId: modules.nodeId,
      sessions: modules.sessions,
      storeVersion: () => modules.store.view().version,
      nowMs: () => modules.patient.nowMs(),
    });
    this.#unfollow = [
      modules.store.subscribe((batch) => this.#applied(batch)),
      modules.consensus.onLeadership(() => this.#newReign()),
    ];
    this.#pending.sayAgain();
    this.#running = this.#run(this.#stopping.signal);
  }

  /** A node has begun a session, or described itself anew. */
  changed(nodeId: NodeId): void {
    this.#pending.changed(nodeId);
    this.#kick();
  }

  departed(nodeId: NodeId, departure: Departure): void {
    this.#pending.departed(nodeId, departure);
    this.#kick();
  }

  /** Takes reports of a node's tasks to the log; `stored` is called when they are there. */
  deliver(nodeId: NodeId, reports: Iterable<readonly [TaskId, TaskStatus]>, stored: () => void): void {
    this.#pending.deliver(nodeId, reports, stored);
    this.#kick();
  }

  readinessChanged(nodeId: NodeId): void {
    this.#pending.readinessChanged(nodeId);
    this.#kick();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const unfollow of this.#unfollow) unfollow();
    this.#stopping.abort(new Error('stopping'));
    await this.#running;
  }

  /** What comes in one turn of the loop goes in one message. */
  #kick(): void {
    if (this.#kicked) return;
    this.#kicked = true;
    setImmediate(() => {
      this.#kicked = false;
      if (this.#pending.any) this.#wake.up();
    });
  }

  /** Tasks that leave wait until nobody balances to them any more: the leader must hear who is ready. */
  #applied(batch: EventBatch): void {
    for (const event of batch.events) {
      if (event.table !== 'task' || event.row === undefined) continue;
      const { leavingVersion, released, status } = event.row;
      if (leavingVersion === undefined || released || isTerminal(status.state)) continue;
      this.#pending.awaitVersion(leavingVersion);
      this.#kick();
    }
  }

  #newReign(): void {
    this.#reign.abort(new Error('the leader has changed'));
    this.#reign = new AbortController();
    this.#pending.sayAgain();
    this.#wake.up();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random, log, periodMs } = this.#modules;
    for (let attempt = 0; !signal.aborted; ) {
      const reign = AbortSignal.any([signal, this.#reign.signal]);
      const batch = this.#pending.take();
      try {
        const { resend } = await this.#send(batch.news, reign);
        for (const [, { stored }] of batch.deliveries) for (const done of stored) done();
        if (resend) this.#pending.sayAgain();
        attempt = 0;
        if (!this.#pending.any)
          await this.#wake.within(periodMs() / BEATS, clock, signal).catch(() => undefined);
      } catch (error) {
        this.#pending.failed(batch);
        log.debug('news could not be brought to the leader', { err: error });
        await clock.sleep(backoffMs(RETRY, attempt, random), reign).catch(() => undefined);
        attempt += 1;
      }
    }
  }

  async #send(news: ManagerNews, signal: AbortSignal): Promise<LeaderReply> {
    const { consensus, dialer, intake, nodeId } = this.#modules;
    const { leading, leader } = consensus.leadership();
    if (leading) return await intake.hear(news);
    if (leader === undefined || leader.nodeId === nodeId) throw new NotLeaderError(undefined);
    const client = dialer.client('LeaderReports', leader.controlAddr, 'manager');
    return await client.report(newsToWire(news), { signal });
  }
}
