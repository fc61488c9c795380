import type { Clock } from '#proto/base/clock.ts';
import type { Histogram, Metrics } from '#proto/base/metrics.ts';
import type { NodeId, TaskId } from '#proto/types/ids.ts';
import type { Node, NodeDescription, NodeStatus, TaskStatus } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import type { Change } from '../store/changes.ts';
import { sameValue } from '../store/same.ts';
import type { Store, StoreView } from '../store/view.ts';

export interface HeardChangesModules {
  readonly store: Pick<Store, 'view' | 'update'>;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly metrics: Metrics;
}

/** What is to be written of a node. */
export interface NodeHeard {
  readonly state: NodeStatus['state'];
  readonly message?: string;
  readonly addr?: string;
  readonly description?: NodeDescription;
}

/** One write stays well below what an entry may weigh, and is applied within some milliseconds: some hundred statuses. */
const WRITE_WEIGHT_MAX = 128 * 1024;
/** Of a change beside its texts. */
const CHANGE_WEIGHT = 256;

interface Round {
  readonly statuses: Map<TaskId, { readonly nodeId: NodeId; readonly status: TaskStatus }>;
  readonly nodes: Map<NodeId, NodeHeard>;
  readonly done: PromiseWithResolvers<number>;
}

/**
 * States of tasks and nodes on their way into the log: merged while the last write is under way, then written as one. What
 * would change nothing, or is not the reporting node's to say, is left out.
 */
export class HeardChanges {
  readonly #modules: HeardChangesModules;
  readonly #delay: Histogram;
  #next: Round | undefined;
  #writing = false;

  constructor(modules: HeardChangesModules) {
    this.#modules = modules;
    // Swarm's name.
    const name = 'swarm_dispatcher_scheduling_delay_seconds';
    const help = 'From the creation of a task until it runs';
    this.#delay = modules.metrics.histogram(name, help, [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]);
  }

  addStatus(nodeId: NodeId, taskId: TaskId, status: TaskStatus): void {
    const { statuses } = this.#round();
    const known = statuses.get(taskId);
    if (known?.nodeId !== nodeId || known.status.state <= status.state)
      statuses.set(taskId, { nodeId, status });
  }

  addNode(nodeId: NodeId, heard: NodeHeard): void {
    const { nodes } = this.#round();
    nodes.set(nodeId, { ...nodes.get(nodeId), ...heard });
  }

  /** Resolves with the version that holds everything added so far; rejects as the store does, and then keeps nothing. */
  async flushed(): Promise<number> {
    const round = this.#next;
    if (round === undefined) return this.#modules.store.view().version;
    if (!this.#writing) void this.#writeAll();
    return await round.done.promise;
  }

  #round(): Round {
    this.#next ??= { statuses: new Map(), nodes: new Map(), done: Promise.withResolvers() };
    return this.#next;
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    for (let round = this.#next; round !== undefined; round = this.#next) {
      this.#next = undefined;
      await this.#write(round).then(round.done.resolve, round.done.reject);
    }
    this.#writing = false;
  }

  async #write({ statuses, nodes }: Round): Promise<number> {
    const { store, clock } = this.#modules;
    const changes = [
      ...[...nodes].map(([nodeId, heard]) => nodeChange(store.view(), nodeId, heard, clock.wallMs())),
      ...[...statuses].map(([taskId, { nodeId, status }]) => this.#statusChange(nodeId, taskId, status)),
    ].filter((change) => change !== undefined);
    let version = store.view().version;
    for (const part of partsOf(changes)) version = await store.update({ changes: part });
    return version;
  }

  /** States only grow, and an agent speaks of its own tasks, in its own part of their life. */
  #statusChange(nodeId: NodeId, taskId: TaskId, status: TaskStatus): Change | undefined {
    const task = this.#modules.store.view().tasks.get(taskId);
    if (task?.nodeId !== nodeId || status.state < task.status.state) return undefined;
    if (status.state < TaskState.Accepted || status.state > TaskState.Rejected) return undefined;
    if (sameValue(status, task.status)) return undefined;
    if (status.state === TaskState.Running && task.status.state < TaskState.Running) {
      this.#delay.observe((this.#modules.clock.wallMs() - task.createdAtMs) / 1000);
    }
    return { kind: 'setTaskStatus', taskId, status };
  }
}

function nodeChange(view: StoreView, nodeId: NodeId, heard: NodeHeard, nowMs: number): Change | undefined {
  const node = view.nodes.get(nodeId);
  if (node === undefined || !isNews(node, heard)) return undefined;
  const { description } = heard;
  const addr = heard.addr ?? node.status.addr;
  const since = heard.state === node.status.state ? node.status.sinceMs : undefined;
  const status: NodeStatus = {
    state: heard.state,
    sinceMs: since ?? Math.floor(nowMs),
    ...(heard.message === undefined ? {} : { message: heard.message }),
    ...(addr === undefined ? {} : { addr }),
  };
  return { kind: 'setNodeStatus', nodeId, status, ...(description === undefined ? {} : { description }) };
}

/** Whether what was heard of a node is other than what is stored. */
export function isNews(node: Node, heard: NodeHeard): boolean {
  const { status, description } = node;
  return (
    status.state !== heard.state ||
    status.message !== heard.message ||
    (heard.addr !== undefined && status.addr !== heard.addr) ||
    (heard.description !== undefined && !sameValue(description, heard.description))
  );
}

function partsOf(changes: readonly Change[]): Change[][] {
  const parts: Change[][] = [];
  let room = 0;
  for (const change of changes) {
    const weight = weightOf(change);
    if (room < weight) {
      parts.push([]);
      room = WRITE_WEIGHT_MAX;
    }
    parts.at(-1)?.push(change);
    room -= weight;
  }
  return parts;
}

/** About what a change takes in the log, in bytes. */
function weightOf(change: Change): number {
  if (change.kind === 'setNodeStatus') return CHANGE_WEIGHT + JSON.stringify(change).length;
  if (change.kind !== 'setTaskStatus') return CHANGE_WEIGHT;
  const { message, error = '', ports = [] } = change.status;
  return CHANGE_WEIGHT + 3 * (message.length + error.length) + CHANGE_WEIGHT * ports.length;
}
