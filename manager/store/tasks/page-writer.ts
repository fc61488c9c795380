import type { TaskPage } from '#proto/gen/shoal.ts';
import type { Task } from '#proto/types/objects.ts';
import type { LiveTasks } from './live-tasks.ts';
import { ID_WORDS, packId } from './packed-id.ts';
import { encodeBody } from './task-body.ts';

/** Bodies of a page: more than most pages need. */
const BODIES_BYTES = 64 * 1024;

/** Writes tasks as the pages of one snapshot, each with the names and words that it is the first to need. */
export class PageWriter {
  readonly #live: LiveTasks;
  readonly #numbers = new Map<string, number>();
  readonly #services = new Seen((name) => this.#numberOf(name));
  readonly #nodes = new Seen((name) => this.#numberOf(name));
  #wordsWritten = 0;
  #names: string[] = [];
  #bodies = Buffer.allocUnsafe(BODIES_BYTES);
  #bodiesEnd = 0;

  constructor(live: LiveTasks) {
    this.#live = live;
  }

  /** Rows of the live table as they are now, and tasks that are not there. What is given is good until the next page. */
  page(items: readonly (number | Task)[]): TaskPage {
    this.#names = [];
    this.#bodiesEnd = 0;
    const columns = newColumns(items.length);
    for (const [at, item] of items.entries()) {
      const before = this.#bodiesEnd;
      if (typeof item === 'number') this.#row(columns, at, item);
      else this.#task(columns, at, item);
      columns.bodyLengths[at] = this.#bodiesEnd - before;
    }
    const words = [...this.#live.words.since(this.#wordsWritten)];
    this.#wordsWritten += words.length;
    const bodies = this.#bodies.subarray(0, this.#bodiesEnd);
    return { names: this.#names, words, ...bytesOf(columns), bodies };
  }

  #row(columns: PageColumns, at: number, row: number): void {
    const { columns: from, services, nodes, bodies } = this.#live;
    const service = from.service(row);
    const node = from.node(row);
    from.copyId(row, columns.ids, at * ID_WORDS);
    columns.services[at] = this.#services.numberOf(service, services.nameOf(service));
    columns.nodes[at] = this.#nodes.numberOf(node, nodes.nameOf(node));
    columns.specVersions[at] = from.specVersion(row);
    columns.slots[at] = from.slot(row);
    columns.states[at] = from.state(row);
    columns.desired[at] = from.desired(row);
    const block = from.body(row);
    this.#body(bodies.bytesOf(block), bodies.startOf(block), bodies.lengthOf(block));
  }

  #task(columns: PageColumns, at: number, task: Task): void {
    packId(task.id, columns.ids, at * ID_WORDS);
    columns.services[at] = this.#numberOf(task.serviceId);
    columns.nodes[at] = this.#numberOf(task.nodeId);
    columns.specVersions[at] = task.specVersion;
    columns.slots[at] = task.slot;
    columns.states[at] = task.status.state;
    columns.desired[at] = task.desired;
    const body = encodeBody(task, this.#live.words);
    this.#body(body, 0, body.length);
  }

  #body(from: Buffer, start: number, length: number): void {
    const end = this.#bodiesEnd + length;
    if (end > this.#bodies.length) this.#bodies = Buffer.concat([this.#bodies, Buffer.alloc(end)]);
    from.copy(this.#bodies, this.#bodiesEnd, start, start + length);
    this.#bodiesEnd = end;
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

/** Spares looking up a name's number in the snapshot by its text, as long as its number in the live table is the same. */
class Seen {
  readonly #numberOf: (name: string | undefined) => number;
  readonly #names: (string | undefined)[] = [];
  readonly #numbers: number[] = [];

  constructor(numberOf: (name: string | undefined) => number) {
    this.#numberOf = numberOf;
  }

  numberOf(live: number, name: string | undefined): number {
    if (this.#names[live] === name && this.#numbers[live] !== undefined) return this.#numbers[live];
    const number = this.#numberOf(name);
    this.#names[live] = name;
    this.#numbers[live] = number;
    return number;
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
