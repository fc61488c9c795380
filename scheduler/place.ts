import { messageOf } from '#proto/base/errors.ts';
import { revisionKey } from '#proto/types/assignments.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Node, Revision, Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { type Demand, demandOf } from './demand.ts';
import { explain, fits } from './filters.ts';
import { NodeLoad } from './node-load.ts';
import { type NodeUser, NodeUses } from './node-uses.ts';
import { compareAge, endedAtMs, isActive, type SlotKey, slotKeyOf } from './slots.ts';
import { spreadOver } from './spread.ts';

/** How long a failure speaks against a node. */
const FAILURE_MEMORY_MS = 5 * 60_000;

/** What there is to place on and what is there already; every StoreView is one. */
export interface ClusterFacts {
  readonly version: number;
  readonly nodes: { all(): Iterable<Node> };
  readonly tasks: {
    byService(serviceId: ServiceId): Iterable<Task>;
    /** At least those that wait for a node, or were just given one, as the state says. */
    unsettled(state: TaskState): Iterable<Task>;
    /** The services that have tasks, each at least once. */
    revisions(): Iterable<{ readonly serviceId: ServiceId }>;
    glance(serviceId: ServiceId, see: (task: NodeUser) => void): void;
  };
  revision(serviceId: ServiceId, specVersion: number): Revision | undefined;
}

/** What nodes have to bear, up to a version of the facts. */
export interface KnownUses {
  readonly version: number;
  readonly uses: Pick<NodeUses, 'of'>;
}

export interface Placement {
  readonly placed: readonly { readonly task: Task; readonly nodeId: NodeId }[];
  /** Tasks that must wait, and why, as users read it. */
  readonly waiting: readonly { readonly task: Task; readonly reason: string }[];
}

/**
 * Finds nodes for every task that waits for one. Tasks of one revision are placed together; those whose node is given
 * (global services) are only checked, and first, for nobody else can take their place. Without `known`, what nodes have to
 * bear is found out by a look at every task; where `services` are given, other tasks are left waiting.
 */
export function place(
  facts: ClusterFacts,
  nowMs: number,
  known?: KnownUses,
  services?: ReadonlySet<ServiceId>,
): Placement {
  const pending = [...facts.tasks.unsettled(TaskState.Pending)].filter(
    (task) =>
      isActive(task) &&
      task.status.state === TaskState.Pending &&
      (services === undefined || services.has(task.serviceId)),
  );
  if (pending.length === 0) return { placed: [], waiting: [] };
  return new Placing(facts, nowMs, pending, known).run(pending);
}

/** What the tasks of these facts take of their nodes. */
export function usesOf(facts: ClusterFacts): KnownUses {
  const uses = new NodeUses((serviceId, specVersion) => facts.revision(serviceId, specVersion));
  const services = new Set([...facts.tasks.revisions()].map(({ serviceId }) => serviceId));
  for (const id of services) facts.tasks.glance(id, (task) => uses.change(undefined, task));
  return { version: Number.POSITIVE_INFINITY, uses };
}

class Placing {
  readonly #loads = new Map<NodeId, NodeLoad>();
  readonly #facts: ClusterFacts;
  readonly #demands = new Map<string, Demand | string>();
  readonly #placed: { task: Task; nodeId: NodeId }[] = [];
  readonly #waiting: { task: Task; reason: string }[] = [];

  constructor(facts: ClusterFacts, nowMs: number, pending: readonly Task[], known = usesOf(facts)) {
    this.#facts = facts;
    for (const node of facts.nodes.all())
      this.#loads.set(node.id, new NodeLoad(node, known.uses.of(node.id)));
    for (const task of facts.tasks.unsettled(TaskState.Assigned))
      if (task.status.state === TaskState.Assigned && task.version > known.version) this.#addNew(task);
    for (const id of new Set(pending.map(({ serviceId }) => serviceId))) this.#addService(id, nowMs);
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

  /** A task that was given to its node after what is known. */
  #addNew(task: Task): void {
    const demand = this.#demandOf(task);
    const load = this.#loadOf(task);
    if (typeof demand === 'object') load?.reserve(demand);
    if (isActive(task)) load?.countTask(1);
  }

  /** Where the tasks are of a service of which more are to be placed. */
  #addService(id: ServiceId, nowMs: number): void {
    const heads = new Map<SlotKey, Task>();
    for (const task of this.#facts.tasks.byService(id)) {
      if (failedLately(task, nowMs)) this.#loadOf(task)?.noteFailure(id, task.specVersion);
      if (!isActive(task)) continue;
      const before = heads.get(slotKeyOf(task));
      const [head, other] =
        before === undefined || compareAge(before, task) < 0 ? [task, before] : [before, task];
      heads.set(slotKeyOf(task), head);
      // The other one goes as soon as the head can do without it.
      if (other !== undefined && other.status.state >= TaskState.Assigned) this.#loadOf(other)?.countTask(-1);
    }
    for (const task of heads.values())
      if (task.status.state >= TaskState.Assigned) this.#loadOf(task)?.countOf(id);
  }

  #loadOf({ nodeId }: Task): NodeLoad | undefined {
    return nodeId === undefined ? undefined : this.#loads.get(nodeId);
  }

  #check(task: Task, nodeId: NodeId): void {
    const demand = this.#demandOf(task);
    const load = this.#loads.get(nodeId);
    if (typeof demand === 'string') this.#waiting.push({ task, reason: demand });
    else if (load !== undefined && fits(load, demand)) this.#put(task, load, demand);
    else this.#waiting.push({ task, reason: explain(load === undefined ? [] : [load], demand) });
  }

  #placeGroup(tasks: readonly Task[]): void {
    const demand = this.#demandOf(tasks[0] as Task);
    if (typeof demand === 'string') return this.#refuse(tasks, demand);
    const spread = spreadOver([...this.#loads.values()], demand);
    const inTurn = [...tasks].sort((a, b) => a.slot - b.slot || compareAge(a, b));
    for (const [index, task] of inTurn.entries()) {
      const load = spread.choose();
      if (load === undefined)
        return this.#refuse(inTurn.slice(index), explain([...this.#loads.values()], demand));
      this.#put(task, load, demand);
      spread.took();
    }
  }

  #refuse(tasks: readonly Task[], reason: string): void {
    for (const task of tasks) this.#waiting.push({ task, reason });
  }

  #put(task: Task, load: NodeLoad, demand: Demand): void {
    load.reserve(demand);
    load.countTask(1);
    load.countOf(task.serviceId);
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

function failedLately(task: Task, nowMs: number): boolean {
  const failed = task.status.state === TaskState.Failed || task.status.state === TaskState.Rejected;
  return failed && endedAtMs(task) > nowMs - FAILURE_MEMORY_MS;
}
