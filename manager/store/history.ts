import { eventOf } from './apply/writer.ts';
import { Words } from './tasks/names.ts';
import { unpackId } from './tasks/packed-id.ts';
import { type PackedTask, PackedTasks } from './tasks/packed-tasks.ts';
import type { EventBatch, StoreEvent } from './view.ts';

/** What one entry did. */
interface Remembered {
  readonly version: number;
  /** In the place of a task's event, nothing. */
  readonly events: readonly (StoreEvent | undefined)[];
  /** Of each of those tasks what it was, and what it became. */
  readonly tasks: PackedTasks | undefined;
}

/**
 * What has happened lately, for watchers that were away for a moment. Forgets the oldest first. Tasks are kept as bytes:
 * objects that live for some seconds grow old, and old ones are costly to collect.
 */
export class History {
  readonly #eventsMax: number;
  readonly #words = new Words();
  #batches: Remembered[] = [];
  #events = 0;
  /** Everything after this version is remembered. */
  #sinceVersion = 0;

  constructor(eventsMax: number) {
    this.#eventsMax = eventsMax;
  }

  add(batch: EventBatch): void {
    const count = batch.events.length;
    if (count === 0) return;
    if (count > this.#eventsMax) return this.restart(batch.version);
    this.#batches.push(packed(batch, this.#words));
    this.#events += count;
    if (this.#events > this.#eventsMax) this.#forget();
  }

  /** Batches after a version; undefined when some of them are forgotten. */
  after(version: number): readonly EventBatch[] | undefined {
    if (version < this.#sinceVersion) return undefined;
    return this.#batches.filter((batch) => batch.version > version).map(unpacked);
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
      const oldest = this.#batches[count++] as Remembered;
      this.#events -= oldest.events.length;
      this.#sinceVersion = oldest.version;
    }
    this.#batches = this.#batches.slice(count);
  }
}

function packed({ version, events }: EventBatch, words: Words): Remembered {
  if (!events.some(({ table }) => table === 'task')) return { version, events, tasks: undefined };
  const tasks = new PackedTasks(words);
  const others = events.map((event) => {
    if (event.table !== 'task') return event;
    for (const task of [event.previous, event.row]) {
      if (task === undefined) tasks.addNone(event.id);
      else tasks.addTask(task);
    }
    return undefined;
  });
  tasks.trim();
  return { version, events: others, tasks };
}

function unpacked({ version, events, tasks }: Remembered): EventBatch {
  const each = tasks?.all();
  const next = (): PackedTask => each?.next().value as PackedTask;
  const whole = events.map((event) => event ?? taskEvent(tasks as PackedTasks, next));
  return { version, events: whole };
}

function taskEvent(tasks: PackedTasks, next: () => PackedTask): StoreEvent {
  const was = next();
  const previous = tasks.taskOf(was) ?? undefined;
  const id = unpackId(was.id, 0);
  return eventOf('task', id, tasks.taskOf(next()) ?? undefined, previous);
}
