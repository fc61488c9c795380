import { messageOf } from '#proto/base/errors.ts';
import { revisionKey } from '#proto/types/assignments.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Node, Revision, Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { type Demand, demandOf } from './demand.ts';
import { explain, fits } from './filters.ts';
import { NodeLoad } from './node-load.ts';
import { compareAge, endedAtMs, isActive, isDead, type SlotKey, slotKeyOf } from './slots.ts';
import { spreadOver } from './spread.ts';

/** How long a failure speaks against a node. */
const FAILURE_MEMORY_MS = 5 * 60_000;

/** What there is to place on and what is there already; every StoreView is one. */
export interface ClusterFacts {
  readonly nodes: { all(): Iterable<Node> };
  readonly tasks: {
    all(): Iterable<Task>;
    /** At least those that wait for a node. */
    unsettled(): Iterable<Task>;
  };
  revision(serviceId: ServiceId, specVersion: number): Revision | undefined;
}

export interface Placement {
  readonly placed: readonly { readonly task: Task; readonly nodeId: NodeId }[];
  /** Tasks that must wait, and why, as users read it. */
  readonly waiting: readonly { readonly task: Task; readonly reason: string }[];
}

/**
 * Finds nodes for every task that waits for one. Tasks of one revision are placed together; those whose node is given
 * (global services) are only checked, and first, for nobody else can take their place.
 */
export function place(facts: ClusterFacts, nowMs: number): Placement {
  const pending = [...facts.tasks.unsettled()].filter(
    (task) => isActive(task) && task.status.state === TaskState.Pending,
  );
  if (pending.length === 0) return { placed: [], waiting: [] };
  return new Placing(facts, nowMs).run(pending);
}

/** The load of every node, by its id: what its tasks hold, count, and failed lately. */
export function loadsOf(facts: ClusterFacts, nowMs: number): ReadonlyMap<NodeId, NodeLoad> {
  return new Placing(facts, nowMs).loads;
}

class Placing {
  readonly loads = new Map<NodeId, NodeLoad>();
  readonly #facts: ClusterFacts;
  readonly #demands = new Map<string, Demand | string>();
  readonly #placed: { task: Task; nodeId: NodeId }[] = [];
  readonly #waiting: { task: Task; reason: string }[] = [];

  constructor(facts: ClusterFacts, nowMs: number) {
    this.#facts = facts;
    for (const node of facts.nodes.all()) this.loads.set(node.id, new NodeLoad(node));
    const heads = new Heads();
    for (const task of facts.tasks.all()) {
      this.#add(task, nowMs);
      if (isActive(task)) heads.see(task);
    }
    for (const task of heads.all())
      if (task.status.state >= TaskState.Assigned) this.#loadOf(task)?.count(task.serviceId);
  }

  run(pending: readonly Task[]): Placement {
    for (const task of pending) if (task.nodeId !== undefined) this.#check(task, task.nodeId);
    const free = pending.filter((task) => task.nodeId === undefined);
    for (const ofService of Map.groupBy(free, (task) => task.serviceId).values()) {
      const revisions = Map.groupBy(ofService, (task) => task.specVersion);
      // The newest first: where room is short, it is not for tasks that are to be replaced.
      for (const [, tasks] of [...revisions].sort(([a], [b]) => b - a)) this.#placeGroup(tasks);
    }
    return { placed: this.#placed, waiting: this.#waiting };
  }

  #add(task: Task, nowMs: number): void {
    const load = this.#loadOf(task);
    if (load === undefined || task.status.state < TaskState.Assigned) return;
    if (failedLately(task, nowMs)) load.noteFailure(task.serviceId, task.specVersion);
    if (isDead(task)) return;
    const demand = this.#demandOf(task);
    if (typeof demand === 'object') load.reserve(demand);
  }

  #loadOf({ nodeId }: Task): NodeLoad | undefined {
    return nodeId === undefined ? undefined : this.loads.get(nodeId);
  }

  #check(task: Task, nodeId: NodeId): void {
    const demand = this.#demandOf(task);
    const load = this.loads.get(nodeId);
    if (typeof demand === 'string') this.#waiting.push({ task, reason: demand });
    else if (load !== undefined && fits(load, demand)) this.#put(task, load, demand);
    else this.#waiting.push({ task, reason: explain(load === undefined ? [] : [load], demand) });
  }

  #placeGroup(tasks: readonly Task[]): void {
    const demand = this.#demandOf(tasks[0] as Task);
    if (typeof demand === 'string') return this.#refuse(tasks, demand);
    const spread = spreadOver([...this.loads.values()], demand);
    const inTurn = [...tasks].sort((a, b) => a.slot - b.slot || compareAge(a, b));
    for (const [index, task] of inTurn.entries()) {
      const load = spread.choose();
      if (load === undefined)
        return this.#refuse(inTurn.slice(index), explain([...this.loads.values()], demand));
      this.#put(task, load, demand);
      spread.took();
    }
  }

  #refuse(tasks: readonly Task[], reason: string): void {
    for (const task of tasks) this.#waiting.push({ task, reason });
  }

  #put(task: Task, load: NodeLoad, demand: Demand): void {
    load.reserve(demand);
    load.count(task.serviceId);
    this.#placed.push({ task, nodeId: load.node.id });
  }

  /** What the task asks for, or why that cannot be known. */
  #demandOf(task: Task): Demand | string {
    const key = revisionKey(task.serviceId, task.specVersion);
    const known = this.#demands.get(key) ?? this.#readDemand(task);
    this.#demands.set(key, known);
    return known;
  }

  #readDemand(task: Task): Demand | string {
    const revision = this.#facts.revision(task.serviceId, task.specVersion);
    if (revision === undefined) return 'no suitable node (what the task runs is not known)';
    try {
      return demandOf(revision);
    } catch (error) {
      return `no suitable node (${messageOf(error)})`;
    }
  }
}

/** The task that each slot is about: its newest, which takes over from others that may still run. */
class Heads {
  readonly #services = new Map<ServiceId, Map<SlotKey, Task>>();

  see(task: Task): void {
    const slots = this.#services.get(task.serviceId) ?? new Map<SlotKey, Task>();
    this.#services.set(task.serviceId, slots);
    const head = slots.get(slotKeyOf(task));
    if (head === undefined || compareAge(head, task) < 0) slots.set(slotKeyOf(task), task);
  }

  *all(): Iterable<Task> {
    for (const slots of this.#services.values()) yield* slots.values();
  }
}

function failedLately(task: Task, nowMs: number): boolean {
  const failed = task.status.state === TaskState.Failed || task.status.state === TaskState.Rejected;
  return failed && endedAtMs(task) > nowMs - FAILURE_MEMORY_MS;
}
