const PART_BITS = 10;
const PARTS = 2 ** PART_BITS;
const FIRST_PLACES = 8;
/** Rows added in one step: some milliseconds. */
const STEP_ROWS = 2 ** 15;

interface Part {
  /** Rows at their places or, where those are taken, behind; 0 is nobody. A power of two. */
  rows: Uint32Array;
  count: number;
}

/**
 * Rows found by a hash of 32 bits: a table with open addressing, in many parts, each of which grows for itself, so that
 * growing never takes long.
 */
export class RowHash {
  readonly #hashOf: (row: number) => number;
  readonly #same: (a: number, b: number) => boolean;
  readonly #parts: readonly Part[] = Array.from({ length: PARTS }, newPart);

  constructor(hashOf: (row: number) => number, same: (a: number, b: number) => boolean) {
    this.#hashOf = hashOf;
    this.#same = same;
  }

  /** The row that is the same as the probe; 0 where there is none. */
  find(probe: number): number {
    const hash = this.#hashOf(probe);
    const { rows } = this.#partOf(hash);
    const last = rows.length - 1;
    for (let place = placeOf(hash) & last; ; place = (place + 1) & last) {
      const row = rows[place] as number;
      if (row === 0 || this.#same(row, probe)) return row;
    }
  }

  /** Adds a row that is not there. */
  add(row: number): void {
    const hash = this.#hashOf(row);
    const part = this.#partOf(hash);
    part.count += 1;
    if (part.count * 4 > part.rows.length * 3) this.#grow(part);
    put(part.rows, placeOf(hash), row);
  }

  /** Removes a row that is there; those behind it that it kept from their places move up. */
  remove(row: number): void {
    const hash = this.#hashOf(row);
    const part = this.#partOf(hash);
    const { rows } = part;
    const last = rows.length - 1;
    let hole = placeOf(hash) & last;
    while (rows[hole] !== row) hole = (hole + 1) & last;
    for (let at = (hole + 1) & last; rows[at] !== 0; at = (at + 1) & last) {
      const wanted = placeOf(this.#hashOf(rows[at] as number)) & last;
      if (((at - wanted) & last) < ((at - hole) & last)) continue;
      rows[hole] = rows[at] as number;
      hole = at;
    }
    rows[hole] = 0;
    part.count -= 1;
  }

  /** Adds rows to an empty table, some at a time, with room for all of them made at once. */
  *load(rows: Uint32Array): Generator<void> {
    const places = placesFor(rows.length / PARTS);
    for (const part of this.#parts) part.rows = new Uint32Array(places);
    for (let from = 0; from < rows.length; from += STEP_ROWS) {
      for (const row of rows.subarray(from, from + STEP_ROWS)) this.add(row);
      yield;
    }
  }

  #grow(part: Part): void {
    const before = part.rows;
    part.rows = new Uint32Array(before.length * 2);
    for (const row of before) if (row !== 0) put(part.rows, placeOf(this.#hashOf(row)), row);
  }

  #partOf(hash: number): Part {
    return this.#parts[hash & (PARTS - 1)] as Part;
  }
}

function newPart(): Part {
  return { rows: new Uint32Array(FIRST_PLACES), count: 0 };
}

/** A power of two, of which so many rows take at most five eighths: some parts get more of them than others. */
function placesFor(rows: number): number {
  let places = FIRST_PLACES;
  while (places * 5 < rows * 8) places *= 2;
  return places;
}

/** The bits that did not choose the part. */
function placeOf(hash: number): number {
  return hash >>> PART_BITS;
}

function put(rows: Uint32Array, wanted: number, row: number): void {
  const last = rows.length - 1;
  let place = wanted & last;
  while (rows[place] !== 0) place = (place + 1) & last;
  rows[place] = row;
}
