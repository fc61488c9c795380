import { labelOf } from './constraints.ts';
import type { Demand } from './demand.ts';
import { fits } from './filters.ts';
import { Heap } from './heap.ts';
import type { NodeLoad } from './node-load.ts';

/** Failures of a revision on a node, within a while, from which on the node is avoided. */
const FAILURES_MIN = 5;

/**
 * All nodes as a tree, a level for each label to spread over, for the tasks of one demand. Where each goes is where
 * the service has the fewest; below that, on the node with the least to do.
 */
export interface Spread {
  /** The best node with room, its load not yet told of the task; undefined when none has. */
  choose(): NodeLoad | undefined;
  /** The chosen node took the task: its load is up to date. */
  took(): void;
}

/** Builds the tree; `levels` are labels such as `node.labels.zone`, others are passed over. */
export function spreadOver(loads: readonly NodeLoad[], demand: Demand, levels = demand.preferences): Spread {
  const [label, ...deeper] = levels;
  if (label === undefined) return new Leaf(loads, demand);
  const branches = new Map<string, NodeLoad[]>();
  for (const load of loads) {
    const value = labelOf(load.node, label);
    if (value === undefined) return spreadOver(loads, demand, deeper);
    branches.set(value, [...(branches.get(value) ?? []), load]);
  }
  return new Fork(
    [...branches].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, inside]) => branch(inside, demand, deeper)),
  );
}

interface Branch {
  readonly spread: Spread;
  /** Tasks of the service in it, on nodes with room or without. */
  tasks: number;
}

function branch(loads: readonly NodeLoad[], demand: Demand, levels: readonly string[]): Branch {
  const tasks = loads.reduce((sum, load) => sum + load.tasksOf(demand.serviceId), 0);
  return { spread: spreadOver(loads, demand, levels), tasks };
}

class Fork implements Spread {
  #open: Branch[];
  #chosen: Branch | undefined;

  constructor(branches: Branch[]) {
    this.#open = branches;
  }

  choose(): NodeLoad | undefined {
    while (this.#open.length > 0) {
      const emptiest = this.#open.reduce((best, next) => (next.tasks < best.tasks ? next : best));
      const load = emptiest.spread.choose();
      this.#chosen = emptiest;
      if (load !== undefined) return load;
      this.#open = this.#open.filter((open) => open !== emptiest);
    }
    return undefined;
  }

  took(): void {
    if (this.#chosen === undefined) return;
    this.#chosen.tasks++;
    this.#chosen.spread.took();
  }
}

class Leaf implements Spread {
  readonly #demand: Demand;
  readonly #heap: Heap<NodeLoad>;

  constructor(loads: readonly NodeLoad[], demand: Demand) {
    this.#demand = demand;
    this.#heap = new Heap(loads, (a, b) => compareLoads(a, b, demand));
  }

  choose(): NodeLoad | undefined {
    // Room only shrinks while this demand is placed: a node that is full once is full to the end.
    while (this.#heap.top !== undefined && !fits(this.#heap.top, this.#demand)) this.#heap.pop();
    return this.#heap.top;
  }

  took(): void {
    this.#heap.topChanged();
  }
}

function compareLoads(a: NodeLoad, b: NodeLoad, demand: Demand): number {
  return (
    troubleOf(a, demand) - troubleOf(b, demand) ||
    a.tasksOf(demand.serviceId) - b.tasksOf(demand.serviceId) ||
    a.tasks - b.tasks ||
    (a.node.id < b.node.id ? -1 : 1)
  );
}

/** A few failures say nothing about a node. */
function troubleOf(load: NodeLoad, demand: Demand): number {
  const failures = load.failuresOf(demand);
  return failures < FAILURES_MIN ? 0 : failures;
}
