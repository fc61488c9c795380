import { ID_WORDS, packId, unpackId } from './packed-id.ts';

/*
 * What is known of every task and is of one size, in typed arrays: out of sight of the garbage collector. They are cut
 * into pages, so that growing copies nothing.
 */

const PAGE_BITS = 12;
const PAGE_ROWS = 2 ** PAGE_BITS;
const IN_PAGE = PAGE_ROWS - 1;

interface Page {
  readonly ids: Uint32Array;
  /** Numbers of names. */
  readonly services: Uint32Array;
  /** 0: on no node. */
  readonly nodes: Uint32Array;
  readonly specVersions: Float64Array;
  readonly slots: Float64Array;
  readonly states: Uint16Array;
  readonly desired: Uint16Array;
  /** Where the rest of the row is. */
  readonly bodies: Uint32Array;
}

/** A row of which nothing is ever kept: searches put into it what they look for. */
export const PROBE = 0;

/** Rows of columns, by number. Numbers of freed rows are used again. */
export class Columns {
  readonly #pages: Page[] = [newPage()];
  readonly #free: number[] = [];
  #made = 1;

  /** A row whose columns are all there to be set. */
  add(): number {
    const freed = this.#free.pop();
    if (freed !== undefined) return freed;
    const row = this.#made++;
    if (row >> PAGE_BITS === this.#pages.length) this.#pages.push(newPage());
    return row;
  }

  remove(row: number): void {
    this.#free.push(row);
  }

  id(row: number): string {
    return unpackId(this.#page(row).ids, (row & IN_PAGE) * ID_WORDS);
  }

  /** False, and nothing usable set, where the text is no packable id. */
  setId(row: number, id: string): boolean {
    return packId(id, this.#page(row).ids, (row & IN_PAGE) * ID_WORDS);
  }

  /** Copies ids to or from plain arrays of words. */
  copyId(row: number, into: Uint32Array, at: number): void {
    copyWords(this.#page(row).ids, (row & IN_PAGE) * ID_WORDS, into, at);
  }

  setIdWords(row: number, from: Uint32Array, at: number): void {
    copyWords(from, at, this.#page(row).ids, (row & IN_PAGE) * ID_WORDS);
  }

  service(row: number): number {
    return this.#page(row).services[row & IN_PAGE] as number;
  }

  setService(row: number, name: number): void {
    this.#page(row).services[row & IN_PAGE] = name;
  }

  node(row: number): number {
    return this.#page(row).nodes[row & IN_PAGE] as number;
  }

  setNode(row: number, name: number): void {
    this.#page(row).nodes[row & IN_PAGE] = name;
  }

  specVersion(row: number): number {
    return this.#page(row).specVersions[row & IN_PAGE] as number;
  }

  setSpecVersion(row: number, version: number): void {
    this.#page(row).specVersions[row & IN_PAGE] = version;
  }

  slot(row: number): number {
    return this.#page(row).slots[row & IN_PAGE] as number;
  }

  setSlot(row: number, slot: number): void {
    this.#page(row).slots[row & IN_PAGE] = slot;
  }

  state(row: number): number {
    return this.#page(row).states[row & IN_PAGE] as number;
  }

  setState(row: number, state: number): void {
    this.#page(row).states[row & IN_PAGE] = state;
  }

  desired(row: number): number {
    return this.#page(row).desired[row & IN_PAGE] as number;
  }

  setDesired(row: number, desired: number): void {
    this.#page(row).desired[row & IN_PAGE] = desired;
  }

  body(row: number): number {
    return this.#page(row).bodies[row & IN_PAGE] as number;
  }

  setBody(row: number, block: number): void {
    this.#page(row).bodies[row & IN_PAGE] = block;
  }

  /** By id, as texts sort. */
  readonly compareIds = (a: number, b: number): number => {
    const idsA = this.#page(a).ids;
    const idsB = this.#page(b).ids;
    const atA = (a & IN_PAGE) * ID_WORDS;
    const atB = (b & IN_PAGE) * ID_WORDS;
    for (let word = 0; word < ID_WORDS; word++) {
      const difference = (idsA[atA + word] as number) - (idsB[atB + word] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  };

  readonly sameId = (a: number, b: number): boolean => this.compareIds(a, b) === 0;

  /** Of ids: 32 bits, every one of which depends on all of the id. */
  readonly hashId = (row: number): number => {
    const { ids } = this.#page(row);
    const at = (row & IN_PAGE) * ID_WORDS;
    let hash = 0;
    for (let word = 0; word < ID_WORDS; word++) {
      hash = Math.imul(hash ^ (ids[at + word] as number), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash >>> 0;
  };

  /** By service, as its name is numbered, then slot, then id. */
  readonly compareSlots = (a: number, b: number): number =>
    this.service(a) - this.service(b) || this.slot(a) - this.slot(b) || this.compareIds(a, b);

  /** By observed state, then id. */
  readonly compareStates = (a: number, b: number): number =>
    this.state(a) - this.state(b) || this.compareIds(a, b);

  /** By node, as its name is numbered, then id. */
  readonly comparePlaces = (a: number, b: number): number =>
    this.node(a) - this.node(b) || this.compareIds(a, b);

  #page(row: number): Page {
    return this.#pages[row >> PAGE_BITS] as Page;
  }
}

function newPage(): Page {
  return {
    ids: new Uint32Array(PAGE_ROWS * ID_WORDS),
    services: new Uint32Array(PAGE_ROWS),
    nodes: new Uint32Array(PAGE_ROWS),
    specVersions: new Float64Array(PAGE_ROWS),
    slots: new Float64Array(PAGE_ROWS),
    states: new Uint16Array(PAGE_ROWS),
    desired: new Uint16Array(PAGE_ROWS),
    bodies: new Uint32Array(PAGE_ROWS),
  };
}

function copyWords(from: Uint32Array, at: number, into: Uint32Array, intoAt: number): void {
  for (let word = 0; word < ID_WORDS; word++) into[intoAt + word] = from[at + word] as number;
}
