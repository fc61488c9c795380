import type { TaskPage } from '#proto/gen/shoal.ts';
import type { Words } from './names.ts';
import { ID_WORDS } from './packed-id.ts';
import type { RowSource } from './packed-tasks.ts';

/** Bodies of a page: more than most pages need. */
const BODIES_BYTES = 64 * 1024;

/** Rows that pages are made from, and the numbers in the snapshot of the names they use. */
export interface PageSource<Source extends RowSource = RowSource> {
  readonly rows: Source;
  readonly services: Seen;
  readonly nodes: Seen;
}

/** One row. */
export interface PageItem {
  readonly source: PageSource;
  readonly row: number;
}

/** Writes tasks as the pages of one snapshot, each with the names and words that it is the first to need. */
export class PageWriter {
  readonly #words: Words;
  readonly #numbers = new Map<string, number>();
  #wordsWritten = 0;
  #names: string[] = [];
  #bodies = Buffer.allocUnsafe(BODIES_BYTES);
  #bodiesEnd = 0;

  constructor(words: Words) {
    this.#words = words;
  }

  /** A place that rows of pages come from: they are written as they are at that moment. */
  source<Source extends RowSource>(rows: Source): PageSource<Source> {
    const numberOf = (name: string | undefined): number => this.#numberOf(name);
    return { rows, services: new Seen(numberOf), nodes: new Seen(numberOf) };
  }

  /** What is given is good until the next page. */
  page(items: readonly PageItem[]): TaskPage {
    this.#names = [];
    this.#bodiesEnd = 0;
    const columns = newColumns(items.length);
    items.forEach(({ source, row }, at) => {
      const before = this.#bodiesEnd;
      this.#row(columns, at, source, row);
      columns.bodyLengths[at] = this.#bodiesEnd - before;
    });
    const words = [...this.#words.since(this.#wordsWritten)];
    this.#wordsWritten += words.length;
    const bodies = this.#bodies.subarray(0, this.#bodiesEnd);
    return { names: this.#names, words, ...bytesOf(columns), bodies };
  }

  #row(columns: PageColumns, at: number, source: PageSource, row: number): void {
    const { columns: from, services, nodes, bodies } = source.rows;
    const service = from.service(row);
    const node = from.node(row);
    from.copyId(row, columns.ids, at * ID_WORDS);
    columns.services[at] = source.services.numberOf(service, services.nameOf(service));
    columns.nodes[at] = source.nodes.numberOf(node, nodes.nameOf(node));
    columns.specVersions[at] = from.specVersion(row);
    columns.slots[at] = from.slot(row);
    columns.states[at] = from.state(row);
    columns.desired[at] = from.desired(row);
    const block = from.body(row);
    this.#body(bodies.bytesOf(block), bodies.startOf(block), bodies.lengthOf(block));
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

/** Spares looking up a name's number in the snapshot by its text, as long as its number where it comes from is the same. */
class Seen {
  readonly #numberOf: (name: string | undefined) => number;
  readonly #names: (string | undefined)[] = [];
  readonly #numbers: number[] = [];

  constructor(numberOf: (name: string | undefined) => number) {
    this.#numberOf = numberOf;
  }

  numberOf(there: number, name: string | undefined): number {
    if (this.#names[there] === name && this.#numbers[there] !== undefined) return this.#numbers[there];
    const number = this.#numberOf(name);
    this.#names[there] = name;
    this.#numbers[there] = number;
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
