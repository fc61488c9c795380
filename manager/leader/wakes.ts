import type { ServiceId } from '#proto/types/ids.ts';
import type { TableName } from '../store/changes.ts';
import type { EventBatch, StoreEvent } from '../store/view.ts';

/** What happened since the last look: nothing, something about some services, or something that may concern all. */
export class Wakes {
  readonly #tables: ReadonlySet<TableName>;
  #services = new Set<ServiceId>();
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
    const events = batch.events.filter(({ table }) => this.#tables.has(table));
    for (const event of events) this.#noteEvent(event);
    if (events.length > 0) this.wake();
  }

  /** Something changed that is in no table. */
  wake(): void {
    this.#woken.resolve();
  }

  wakeForEverything(): void {
    this.#everything = true;
    this.wake();
  }

  /** What to look at now; undefined = everything. From here on, all is new again. */
  take(): ReadonlySet<ServiceId> | undefined {
    const services = this.#everything ? undefined : this.#services;
    this.#services = new Set();
    this.#everything = false;
    this.#woken = Promise.withResolvers();
    return services;
  }

  #noteEvent(event: StoreEvent): void {
    const task = event.table === 'task' ? (event.row ?? event.previous) : undefined;
    const service = event.table === 'service' ? event.row : undefined;
    if (task !== undefined) this.#services.add(task.serviceId);
    else if (service !== undefined) this.#services.add(service.id);
    else this.#everything = true;
  }
}
