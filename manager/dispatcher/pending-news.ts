import type { NodeId, TaskId } from '#proto/types/ids.ts';
import type { TaskStatus } from '#proto/types/objects.ts';
import type { ManagerNews, NodeNews } from './news.ts';
import type { Sessions } from './sessions.ts';

/** One message to the leader holds no more than this; the rest follows in the next. */
const NODES_MAX = 2_000;
const REPORTS_MAX = 5_000;

/** How a node left its session. */
export interface Departure {
  /** It took its leave, with this reason. */
  readonly gone?: string;
  /** When its last word came, on the patient clock. */
  readonly heardMs: number;
}

/** A message on its way to the leader, and what it takes to say it again. */
export interface NewsBatch {
  readonly news: ManagerNews;
  readonly changed: ReadonlySet<NodeId>;
  readonly departures: ReadonlyMap<NodeId, Departure>;
  readonly deliveries: readonly (readonly [NodeId, Delivery])[];
}

/** Reports of one node's tasks, and who is to be told when they are in the log. */
export interface Delivery {
  readonly statuses: Map<TaskId, TaskStatus>;
  readonly stored: (() => void)[];
}

export interface PendingNewsModules {
  readonly managerId: NodeId;
  readonly sessions: Pick<Sessions, 'get' | 'all'>;
  readonly storeVersion: () => number;
  /** The patient clock. */
  readonly nowMs: () => number;
}

/**
 * What this manager has heard and the leader does not know yet, merged: of each node how it stands now, of each task its
 * latest status. What nodes' data planes are ready for is only said while somebody waits for it (`awaitVersion`).
 */
export class PendingNews {
  readonly #modules: PendingNewsModules;
  #changed = new Set<NodeId>();
  #departures = new Map<NodeId, Departure>();
  readonly #deliveries = new Map<NodeId, Delivery>();
  /** Nodes whose readiness may differ from what was last said. */
  readonly #unsureOf = new Set<NodeId>();
  /** What the leader was told: the common version, and who is behind it. */
  #settledSaid = 0;
  readonly #behindSaid = new Map<NodeId, number>();
  #awaited = 0;

  constructor(modules: PendingNewsModules) {
    this.#modules = modules;
  }

  /** There is something to tell the leader. */
  get any(): boolean {
    if (this.#changed.size + this.#departures.size + this.#deliveries.size > 0) return true;
    return (
      this.#awaited > this.#settledSaid || [...this.#behindSaid.keys()].some((id) => this.#unsureOf.has(id))
    );
  }

  changed(nodeId: NodeId): void {
    this.#departures.delete(nodeId);
    this.#changed.add(nodeId);
  }

  departed(nodeId: NodeId, departure: Departure): void {
    this.#changed.delete(nodeId);
    this.#departures.set(nodeId, departure);
  }

  /** Reports of a node's tasks; `stored` is called once they are in the log. */
  deliver(nodeId: NodeId, reports: Iterable<readonly [TaskId, TaskStatus]>, ...stored: (() => void)[]): void {
    const delivery: Delivery = this.#deliveries.get(nodeId) ?? { statuses: new Map(), stored: [] };
    this.#deliveries.set(nodeId, delivery);
    for (const [taskId, status] of reports) merge(delivery.statuses, taskId, status);
    delivery.stored.push(...stored);
  }

  readinessChanged(nodeId: NodeId): void {
    this.#unsureOf.add(nodeId);
  }

  /** Somebody waits for nodes to be ready for this version. */
  awaitVersion(version: number): void {
    this.#awaited = Math.max(this.#awaited, version);
  }

  /** The leader knows nothing: everything is to be said again. */
  sayAgain(): void {
    this.#settledSaid = 0;
    this.#behindSaid.clear();
    for (const { opts } of this.#modules.sessions.all()) {
      this.#changed.add(opts.nodeId);
      this.#unsureOf.add(opts.nodeId);
    }
    this.awaitVersion(this.#modules.storeVersion());
  }

  /** The next message, as things stand now; its parts count as said unless it is given to `failed`. */
  take(): NewsBatch {
    const changed = some(this.#changed, NODES_MAX);
    const departures = new Map(some(this.#departures, NODES_MAX - changed.length));
    const deliveries = this.#someDeliveries(NODES_MAX - changed.length - departures.size);
    for (const id of changed) this.#changed.delete(id);
    for (const id of departures.keys()) this.#departures.delete(id);
    for (const [id] of deliveries) this.#deliveries.delete(id);
    const rest = this.#changed.size + this.#departures.size + this.#deliveries.size > 0;
    const current = new Set([...changed, ...(rest ? [] : this.#takeUnsure())]);
    const statuses = new Map(deliveries.map(([id, delivery]) => [id, delivery.statuses]));
    const described = new Set(changed);
    const nodes = [...new Set([...current, ...departures.keys(), ...statuses.keys()])].map((nodeId) => ({
      ...this.#standing(nodeId, departures.get(nodeId), described.has(nodeId)),
      ...this.#readiness(nodeId, current.has(nodeId)),
      reports: [...(statuses.get(nodeId) ?? [])],
    }));
    const news = { managerId: this.#modules.managerId, settledVersion: this.#settledSaid, nodes };
    return { news, changed: described, departures, deliveries };
  }

  /** The message did not arrive: what it said waits again, unless something newer does. */
  failed({ changed, departures, deliveries }: NewsBatch): void {
    for (const id of changed) if (!this.#departures.has(id)) this.#changed.add(id);
    for (const [id, departure] of departures) {
      if (!this.#changed.has(id) && !this.#departures.has(id)) this.#departures.set(id, departure);
    }
    for (const [id, { statuses, stored }] of deliveries) this.deliver(id, statuses, ...stored);
    this.sayAgain();
  }

  #someDeliveries(nodesMax: number): [NodeId, Delivery][] {
    const taken: [NodeId, Delivery][] = [];
    let reports = 0;
    for (const entry of this.#deliveries) {
      if (taken.length >= nodesMax || reports >= REPORTS_MAX) break;
      taken.push(entry);
      reports += entry[1].statuses.size;
    }
    return taken;
  }

  /** Nodes whose readiness is other than said; from then on the present version is the one that all others have. */
  #takeUnsure(): NodeId[] {
    if (this.#awaited <= this.#settledSaid && this.#behindSaid.size === 0) return [];
    this.#settledSaid = this.#modules.storeVersion();
    const unsure = [...this.#unsureOf].filter(
      (id) => this.#modules.sessions.get(id)?.behind !== this.#behindSaid.get(id),
    );
    this.#unsureOf.clear();
    return unsure;
  }

  #standing(
    nodeId: NodeId,
    departure: Departure | undefined,
    described: boolean,
  ): Omit<NodeNews, 'reports' | 'networkReady'> {
    const session = this.#modules.sessions.get(nodeId);
    if (session !== undefined) {
      const description = described ? { description: session.description } : {};
      return { nodeId, alive: true, silentMs: 0, addr: session.opts.addr, ...description };
    }
    const nowMs = this.#modules.nowMs();
    const gone = departure?.gone === undefined ? {} : { gone: departure.gone };
    return { nodeId, alive: false, silentMs: nowMs - (departure?.heardMs ?? nowMs), addr: '', ...gone };
  }

  /** What the node is ready for: as it is now, or, while nobody waits for it, as it was said last. */
  #readiness(nodeId: NodeId, current: boolean): Pick<NodeNews, 'networkReady'> {
    const behind = current ? this.#modules.sessions.get(nodeId)?.behind : this.#behindSaid.get(nodeId);
    if (behind === undefined) this.#behindSaid.delete(nodeId);
    else this.#behindSaid.set(nodeId, behind);
    return behind === undefined ? {} : { networkReady: behind };
  }
}

function merge(statuses: Map<TaskId, TaskStatus>, taskId: TaskId, status: TaskStatus): void {
  const known = statuses.get(taskId);
  if (known === undefined || known.state <= status.state) statuses.set(taskId, status);
}

function some<T>(all: Iterable<T>, max: number): T[] {
  return Iterator.from(all).take(Math.max(0, max)).toArray();
}
