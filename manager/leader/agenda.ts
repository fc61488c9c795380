import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { StoreView } from '../store/view.ts';
import type { Wake } from './wakes.ts';

export interface AgendaOpts {
  /** Tasks that a look may have to judge: some milliseconds of work. A service that has more is looked at alone. */
  readonly tasksMax: number;
  readonly nodesMax: number;
}

/** What is to be looked at, in parts, each of which is done within one turn of the loop. */
export class Agenda {
  readonly #opts: AgendaOpts;
  readonly #services = new Set<ServiceId>();
  readonly #nodes = new Set<NodeId>();
  #everything = false;
  /** Who only looks at nodes is to have a turn, even where there are none. */
  #nodesToo = false;

  constructor(opts: AgendaOpts) {
    this.#opts = opts;
  }

  get isEmpty(): boolean {
    return !this.#everything && !this.#nodesToo && this.#services.size === 0 && this.#nodes.size === 0;
  }

  add({ services, nodes }: Wake): void {
    if (services === undefined) this.#everything = true;
    for (const id of services ?? []) this.#services.add(id);
    for (const id of nodes ?? []) this.#nodes.add(id);
  }

  /**
   * What to look at first: everything, where that is little. `begins` is called when it is much, and its parts are going
   * to follow one another.
   */
  next(view: StoreView, begins: () => void): Wake {
    if (this.#everything && this.#fits(view)) {
      this.#everything = false;
      this.#services.clear();
      this.#nodes.clear();
      return {};
    }
    if (this.#everything) {
      begins();
      this.#spread(view);
    }
    const nodes = takeFirst(this.#nodes, this.#opts.nodesMax);
    const nodesToo = this.#nodesToo || nodes.size > 0;
    this.#nodesToo = false;
    return { services: this.#takeServices(view), ...(nodesToo ? { nodes } : {}) };
  }

  #fits({ tasks, nodes, services }: StoreView): boolean {
    const { tasksMax, nodesMax } = this.#opts;
    return tasks.size <= tasksMax && services.size <= tasksMax && nodes.size <= nodesMax;
  }

  #spread(view: StoreView): void {
    this.#everything = false;
    for (const { id } of view.services.all()) this.#services.add(id);
    for (const { id } of view.nodes.all()) this.#nodes.add(id);
    // And what is gone, as long as tasks are left of it.
    for (const { serviceId } of view.tasks.revisions()) this.#services.add(serviceId);
    for (const id of view.tasks.nodeIds()) this.#nodes.add(id);
    this.#nodesToo = true;
  }

  #takeServices({ tasks }: StoreView): Set<ServiceId> {
    const taken = new Set<ServiceId>();
    let size = 0;
    for (const id of this.#services) {
      // Also one without tasks is some work.
      size += 1 + tasks.sizeOf(id);
      if (taken.size > 0 && size > this.#opts.tasksMax) break;
      taken.add(id);
      this.#services.delete(id);
    }
    return taken;
  }
}

function takeFirst<T>(set: Set<T>, max: number): Set<T> {
  const taken = new Set<T>();
  for (const each of set) {
    if (taken.size >= max) break;
    taken.add(each);
    set.delete(each);
  }
  return taken;
}
