import type { EventBatch } from './view.ts';

/** What has happened lately, for watchers that were away for a moment. Forgets the oldest first. */
export class History {
  readonly #eventsMax: number;
  #batches: EventBatch[] = [];
  #events = 0;
  /** Everything after this version is remembered. */
  #sinceVersion = 0;

  constructor(eventsMax: number) {
    this.#eventsMax = eventsMax;
  }

  add(batch: EventBatch): void {
    if (batch.events.length === 0) return;
    this.#batches.push(batch);
    this.#events += batch.events.length;
    if (this.#events > this.#eventsMax) this.#forget();
  }

  /** Batches after a version; undefined when some of them are forgotten. */
  after(version: number): readonly EventBatch[] | undefined {
    if (version < this.#sinceVersion) return undefined;
    return this.#batches.filter((batch) => batch.version > version);
  }

  /** Nothing up to this version is remembered. */
  restart(version: number): void {
    this.#batches = [];
    this.#events = 0;
    this.#sinceVersion = version;
  }

  /** Down to half, so that forgetting costs each batch once. */
  #forget(): void {
    let count = 0;
    while (this.#events > this.#eventsMax / 2) {
      const oldest = this.#batches[count++] as EventBatch;
      this.#events -= oldest.events.length;
      this.#sinceVersion = oldest.version;
    }
    this.#batches = this.#batches.slice(count);
  }
}
