import type { TaskPage } from '#proto/gen/shoal.ts';
import type { Task } from '#proto/types/objects.ts';
import type { LiveTasks } from './live-tasks.ts';
import { ID_WORDS, packId } from './packed-id.ts';
import { encodeBody } from './task-body.ts';

/** Writes tasks as the pages of one snapshot, each with the names and words that it is the first to need. */
export class PageWriter {
  readonly #live: LiveTasks;
  readonly #numbers = new Map<string, number>();
  #wordsWritten = 0;
  #names: string[] = [];

  constructor(live: LiveTasks) {
    this.#live = live;
  }

  /** Rows of the live table as they are now, and tasks that are not there. */
  page(items: readonly (number | Task)[]): TaskPage {
    this.#names = [];
    const columns = newColumns(items.length);
    const bodies: Uint8Array[] = [];
    for (const [at, item] of items.entries()) {
      const body = typeof item === 'number' ? this.#row(columns, at, item) : this.#task(columns, at, item);
      columns.bodyLengths[at] = body.length;
      bodies.push(body);
    }
    const words = this.#live.words.since(this.#wordsWritten);
    this.#wordsWritten += words.length;
    return { names: this.#names, words: [...words], ...bytesOf(columns), bodies: Buffer.concat(bodies) };
  }

  #row(columns: PageColumns, at: number, row: number): Uint8Array {
    const { columns: from, services, nodes, bodies } = this.#live;
    from.copyId(row, columns.ids, at * ID_WORDS);
    columns.services[at] = this.#numberOf(services.nameOf(from.service(row)));
    columns.nodes[at] = this.#numberOf(nodes.nameOf(from.node(row)));
    columns.specVersions[at] = from.specVersion(row);
    columns.slots[at] = from.slot(row);
    columns.states[at] = from.state(row);
    columns.desired[at] = from.desired(row);
    const block = from.body(row);
    const start = bodies.startOf(block);
    return bodies.bytesOf(block).subarray(start, start + bodies.lengthOf(block));
  }

  #task(columns: PageColumns, at: number, task: Task): Uint8Array {
    packId(task.id, columns.ids, at * ID_WORDS);
    columns.services[at] = this.#numberOf(task.serviceId);
    columns.nodes[at] = this.#numberOf(task.nodeId);
    columns.specVersions[at] = task.specVersion;
    columns.slots[at] = task.slot;
    columns.states[at] = task.status.state;
    columns.desired[at] = task.desired;
    return Uint8Array.from(encodeBody(task, this.#live.words));
  }

  #numberOf(name: string | undefined): number {
    if (name === undefined) return 0;
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#numbers.size + 1);
    this.#names.push(name);
    return this.#numbers.size;
  }
}

/** The columns of one page. */
export interface PageColumns {
  readonly ids: Uint32Array;
  readonly services: Uint32Array;
  readonly nodes: Uint32Array;
  readonly specVersions: Float64Array;
  readonly slots: Float64Array;
  readonly states: Uint16Array;
  readonly desired: Uint16Array;
  readonly bodyLengths: Uint32Array;
}

function newColumns(rows: number): PageColumns {
  return {
    ids: new Uint32Array(rows * ID_WORDS),
    services: new Uint32Array(rows),
    nodes: new Uint32Array(rows),
    specVersions: new Float64Array(rows),
    slots: new Float64Array(rows),
    states: new Uint16Array(rows),
    desired: new Uint16Array(rows),
    bodyLengths: new Uint32Array(rows),
  };
}

function bytesOf(columns: PageColumns): Record<keyof PageColumns, Uint8Array> {
  const bytes = Object.entries(columns).map(([name, { buffer }]) => [name, new Uint8Array(buffer)]);
  return Object.fromEntries(bytes) as Record<keyof PageColumns, Uint8Array>;
}
