import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { NodeReports } from '#proto/gen/shoal.ts';
import { NotLeaderError } from '#proto/rpc/status.ts';
import type { CallInfo, Implementation } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { EventBatch, Store } from '../store/view.ts';
import { HeardChanges, isNews, type NodeHeard } from './heard-changes.ts';
import { Liveness } from './liveness.ts';
import { type ManagerNews, newsFromWire } from './news.ts';
import type { PatientClock } from './patient-clock.ts';
import { ReadyNodes } from './ready-nodes.ts';
import type { LeaderReply } from './reporter.ts';

export interface LeaderReportsModules {
  readonly store: Pick<Store, 'view' | 'update' | 'subscribe'>;
  readonly consensus: Pick<Consensus, 'leadership' | 'onLeadership'>;
  readonly periodMs: () => number;
  readonly patient: PatientClock;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

const SWEEP_MS = 500;

/**
 * What the leader does with what managers hear from agents: task states and node states go to the log, merged, as one
 * write at a time; how far each node's data plane is stays here, for whoever plans releases. Idle on other managers.
 */
export class LeaderReports implements Implementation<'LeaderReports'>, AsyncDisposable {
  /** The version up to which each node's data plane is known to be in place. */
  readonly networkReady = new ReadyNodes();
  readonly #modules: LeaderReportsModules;
  #liveness: Liveness;
  readonly #unfollow: (() => void)[];
  readonly #readyListeners = new Set<() => void>();
  #changes: HeardChanges;
  #leading = false;
  #cancelSweep: () => void = () => undefined;

  constructor(modules: LeaderReportsModules) {
    this.#modules = modules;
    this.#changes = new HeardChanges(modules);
    this.#liveness = this.#newLiveness();
    this.#unfollow = [
      modules.consensus.onLeadership(() => this.#lead()),
      modules.store.subscribe((batch) => this.#applied(batch)),
    ];
    this.#lead();
  }

  /** Calls back when networkReady has changed. */
  onNetworkReady(changed: () => void): () => void {
    const listener = (): void => changed();
    this.#readyListeners.add(listener);
    return () => void this.#readyListeners.delete(listener);
  }

  /** The wire's way in: a manager speaks for itself only. */
  async report(request: NodeReports, call: CallInfo): Promise<LeaderReply> {
    if (call.peer?.nodeId !== request.managerId) {
      throw new ShoalError('FORBIDDEN', `node ${call.peer?.nodeId} may not report for ${request.managerId}`);
    }
    return await this.hear(newsFromWire(request));
  }

  /** Takes in what a manager has heard; resolves when all of it that belongs into the log is there. */
  async hear(news: ManagerNews): Promise<LeaderReply> {
    if (!this.#leading) throw new NotLeaderError(this.#modules.consensus.leadership().leader?.controlAddr);
    const nowMs = this.#modules.patient.nowMs();
    const known = this.#liveness.managerHeard(news.managerId, nowMs);
    for (const node of news.nodes) this.#liveness.nodeHeard(news.managerId, node, nowMs);
    this.#hearReadiness(news);
    this.#liveness.sweep(nowMs);
    for (const { nodeId, description, addr, reports } of news.nodes) {
      for (const [taskId, status] of reports) this.#changes.addStatus(nodeId, taskId, status);
      this.#judge(nodeId, nowMs, { ...(description && { description }), ...(addr !== '' && { addr }) });
    }
    return { version: await this.#changes.flushed(), resend: !known };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelSweep();
    this.#leading = false;
    for (const unfollow of this.#unfollow) unfollow();
  }

  #hearReadiness(news: ManagerNews): void {
    this.networkReady.heard(news, (nodeId) => {
      const holder = this.#liveness.holderOf(nodeId);
      return holder === undefined || holder === news.managerId;
    });
    for (const changed of [...this.#readyListeners]) changed();
  }

  /** Brings what is stored of a node to how it stands. */
  #judge(nodeId: NodeId, nowMs: number, more: Pick<NodeHeard, 'description' | 'addr'>): void {
    const node = this.#modules.store.view().nodes.get(nodeId);
    const standing = this.#liveness.standing(nodeId, nowMs);
    if (node === undefined || standing === undefined) return;
    const heard = { ...standing, ...more };
    if (!isNews(node, heard)) return;
    if (node.status.state !== standing.state) {
      const { state, message } = standing;
      this.#modules.log.info('a node has changed its state', { node: nodeId, state, message });
    }
    this.#changes.addNode(nodeId, heard);
  }

  #lead(): void {
    const { leading } = this.#modules.consensus.leadership();
    if (leading === this.#leading) return;
    this.#leading = leading;
    this.networkReady.clear();
    this.#cancelSweep();
    if (!leading) return;
    const { store, patient } = this.#modules;
    this.#changes = new HeardChanges(this.#modules);
    this.#liveness = this.#newLiveness();
    const up = [...store.view().nodes.all()].filter(({ status }) => status.state !== 'down');
    this.#liveness.inherit(
      up.map(({ id }) => id),
      patient.nowMs(),
    );
    this.#sweepLater();
  }

  #newLiveness(): Liveness {
    const { periodMs } = this.#modules;
    return new Liveness(() => ({ periodMs: periodMs(), missesMax: LIMITS.heartbeatMissesMax }));
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#modules.clock.timer(SWEEP_MS, () => {
      this.#sweep();
      this.#sweepLater();
    });
  }

  /** Level-triggered: what could not be written is found again the next time. */
  #sweep(): void {
    const nowMs = this.#modules.patient.nowMs();
    this.#liveness.sweep(nowMs);
    for (const { id } of this.#modules.store.view().nodes.all()) this.#judge(id, nowMs, {});
    this.#changes.flushed().catch((error: unknown) => {
      this.#modules.log.debug('node states could not be written', { err: error });
    });
  }

  #applied(batch: EventBatch): void {
    for (const event of batch.events) {
      if (event.table !== 'node' || event.row !== undefined) continue;
      this.#liveness.forget(event.id as NodeId);
      this.networkReady.forget(event.id as NodeId);
    }
  }
}
