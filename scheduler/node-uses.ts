import { revisionKey } from '#proto/types/assignments.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Revision } from '#proto/types/objects.ts';
import { type DesiredState, isTerminal, TaskState } from '#proto/types/states.ts';
import { type Demand, demandOf } from './demand.ts';
import { isLeaving } from './slots.ts';

/** What of a task says what it takes of its node. */
export interface NodeUser {
  readonly serviceId: ServiceId;
  readonly specVersion: number;
  readonly nodeId?: NodeId | undefined;
  readonly state: TaskState;
  readonly desired: DesiredState;
}

/** What the tasks of one node take. */
export interface NodeUse {
  /** Tasks that are meant to run. */
  readonly tasks: number;
  /** What is reserved, by name; see Amounts. */
  readonly taken: ReadonlyMap<string, number>;
  /** How many tasks have each port of the node. */
  readonly hostPorts: ReadonlyMap<string, number>;
}

export type FindRevision = (serviceId: ServiceId, specVersion: number) => Revision | undefined;

interface Taking {
  tasks: number;
  readonly taken: Map<string, number>;
  readonly hostPorts: Map<string, number>;
}

/** What a revision asks for, as long as a task is counted that asks for it: it may be forgotten before its last task is. */
interface Asked {
  readonly demand: Demand | undefined;
  tasks: number;
}

/**
 * What all tasks take of all nodes: kept as tasks come, change and go, for to find it out costs a look at every task. A
 * task takes of its node from the moment it is given to it until it has ended.
 */
export class NodeUses {
  readonly #find: FindRevision;
  readonly #nodes = new Map<NodeId, Taking>();
  readonly #asked = new Map<string, Asked>();

  constructor(find: FindRevision) {
    this.#find = find;
  }

  of(id: NodeId): NodeUse | undefined {
    return this.#nodes.get(id);
  }

  /** What a task was, if it was, and what it is now, if it still is. */
  change(before: NodeUser | undefined, now: NodeUser | undefined): void {
    const [was, is] = [before && kindOf(before), now && kindOf(now)];
    if (was === is && before?.nodeId === now?.nodeId) return;
    if (before !== undefined && was !== undefined) this.#add(before, was, -1);
    if (now !== undefined && is !== undefined) this.#add(now, is, 1);
  }

  #add(task: NodeUser, kind: Kind, by: 1 | -1): void {
    const id = task.nodeId as NodeId;
    const use = this.#nodes.get(id) ?? { tasks: 0, taken: new Map(), hostPorts: new Map() };
    this.#nodes.set(id, use);
    if (kind === 'active') use.tasks += by;
    const demand = this.#demandOf(task, by);
    for (const [name, amount] of demand?.amounts ?? []) count(use.taken, name, by * amount);
    for (const port of demand?.hostPorts ?? []) count(use.hostPorts, port, by);
    // What is counted down before it is counted up keeps its place until then.
    if (use.tasks === 0 && use.taken.size === 0 && use.hostPorts.size === 0) this.#nodes.delete(id);
  }

  #demandOf({ serviceId, specVersion }: NodeUser, by: 1 | -1): Demand | undefined {
    const key = revisionKey(serviceId, specVersion);
    const asked = this.#asked.get(key) ?? { demand: this.#readDemand(serviceId, specVersion), tasks: 0 };
    asked.tasks += by;
    if (asked.tasks === 0) this.#asked.delete(key);
    else this.#asked.set(key, asked);
    return asked.demand;
  }

  #readDemand(serviceId: ServiceId, specVersion: number): Demand | undefined {
    const revision = this.#find(serviceId, specVersion);
    try {
      return revision && demandOf(revision);
    } catch {
      // Constraints that cannot be read: its tasks are told so when they look for a node.
      return undefined;
    }
  }
}

type Kind = 'active' | 'leaving';

/** Undefined: takes nothing. */
function kindOf(user: NodeUser): Kind | undefined {
  const { nodeId, state } = user;
  if (nodeId === undefined || state < TaskState.Assigned || isTerminal(state)) return undefined;
  return isLeaving(user) ? 'leaving' : 'active';
}

function count(counts: Map<string, number>, name: string, by: number): void {
  const sum = (counts.get(name) ?? 0) + by;
  if (sum === 0) counts.delete(name);
  else counts.set(name, sum);
}
