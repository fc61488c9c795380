import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import type { TableName } from '../store/changes.ts';
import type { EventBatch, StoreEvent, StoreView } from '../store/view.ts';

/** When more nodes than this have changed, everything is looked at. */
const NODES_MAX = 64;

/** What to look at: some services and nodes, or everything where no services are named. */
export interface Wake {
  readonly services?: ReadonlySet<ServiceId>;
  /** Absent: none, where services are named. */
  readonly nodes?: ReadonlySet<NodeId>;
}

/** What happened since the last look: nothing, something about some services or nodes, or something that may concern all. */
export class Wakes {
  readonly #tables: ReadonlySet<TableName>;
  #services = new Set<ServiceId>();
  #nodes = new Set<NodeId>();
  #everything = true;
  #woken = Promise.withResolvers<void>();

  /** `tables`: those that anybody wakes on. The first look is at everything. */
  constructor(tables: ReadonlySet<TableName>) {
    this.#tables = tables;
    this.#woken.resolve();
  }

  /** Resolves when there is something to look at. */
  get woken(): Promise<void> {
    return this.#woken.promise;
  }

  note(batch: EventBatch): void {
    const events = batch.events.filter((event) => this.#tables.has(event.table) && isNews(event));
    for (const event of events) this.#noteEvent(event);
    if (events.length > 0) this.wake();
  }

  /** Something changed that is in no table. */
  wake(): void {
    this.#woken.resolve();
  }

  wakeForServices(services: ReadonlySet<ServiceId>): void {
    for (const id of services) this.#services.add(id);
    if (services.size > 0) this.wake();
  }

  wakeForEverything(): void {
    this.#everything = true;
    this.wake();
  }

  /** What to look at now, in the store as it is now. From here on, all is new again. */
  take(view: Pick<StoreView, 'services' | 'tasks'>): Wake {
    const wake = this.#everything || this.#nodes.size > NODES_MAX ? {} : this.#some(view);
    this.#services = new Set();
    this.#nodes = new Set();
    this.#everything = false;
    this.#woken = Promise.withResolvers();
    return wake;
  }

  /** A node that has changed concerns those who have tasks there, and those who want to have one on every node. */
  #some({ services, tasks }: Pick<StoreView, 'services' | 'tasks'>): Wake {
    if (this.#nodes.size === 0) return { services: this.#services };
    for (const { id, spec } of services.all()) if (spec.mode.kind === 'global') this.#services.add(id);
    for (const node of this.#nodes) for (const id of tasks.servicesOn(node)) this.#services.add(id);
    return { services: this.#services, nodes: this.#nodes };
  }

  #noteEvent(event: StoreEvent): void {
    if (event.table === 'task') this.#services.add((event.row ?? (event.previous as Task)).serviceId);
    else if (event.table === 'node') this.#nodes.add(event.id as NodeId);
    else if (event.table === 'service' && event.row !== undefined) this.#services.add(event.row.id);
    else this.#everything = true;
  }
}

/** A task that goes on running, of which only more is known than before, is nothing that anybody decides by. */
function isNews(event: StoreEvent): boolean {
  if (event.table !== 'task' || event.row === undefined || event.previous === undefined) return true;
  const { row, previous } = event;
  return !(
    row.status.state === TaskState.Running &&
    previous.status.state === TaskState.Running &&
    row.desired === previous.desired &&
    row.released === previous.released &&
    row.nodeId === previous.nodeId &&
    row.status.startedAtMs === previous.status.startedAtMs
  );
}
