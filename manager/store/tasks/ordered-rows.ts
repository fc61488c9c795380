/** Orders rows by what is in their columns: negative, zero, positive. */
export type CompareRows = (a: number, b: number) => number;

const LEAF_ROWS = 512;

interface Leaf {
  readonly rows: Uint32Array;
  count: number;
}

/**
 * Numbers of rows, sorted by their columns: an index. What is looked for is put into the columns of a row that is in no
 * index, a probe. Columns that an index sorts by change only while their row is not in it.
 */
export class OrderedRows {
  readonly #compare: CompareRows;
  /** None is empty, except the only one. */
  #leaves: Leaf[] = [newLeaf()];

  constructor(compare: CompareRows) {
    this.#compare = compare;
  }

  add(row: number): void {
    const at = this.#leafFor(row);
    const leaf = this.#leaves[at] as Leaf;
    const place = this.#placeIn(leaf, row);
    if (leaf.count < LEAF_ROWS) return insert(leaf, place, row);
    const next = newLeaf();
    this.#leaves.splice(at + 1, 0, next);
    // What comes in order fills its leaves.
    if (place === LEAF_ROWS) return insert(next, 0, row);
    const half = LEAF_ROWS / 2;
    next.rows.set(leaf.rows.subarray(half));
    next.count = LEAF_ROWS - half;
    leaf.count = half;
    if (place <= half) insert(leaf, place, row);
    else insert(next, place - half, row);
  }

  remove(row: number): void {
    const at = this.#leafFor(row);
    const leaf = this.#leaves[at] as Leaf;
    const place = this.#placeIn(leaf, row);
    leaf.rows.copyWithin(place, place + 1, leaf.count);
    leaf.count -= 1;
    if (leaf.count === 0 && this.#leaves.length > 1) this.#leaves.splice(at, 1);
  }

  /** Rows that are not before the probe, in order, as long as they fit, at most so many. */
  from(probe: number, fits: (row: number) => boolean, max = Number.POSITIVE_INFINITY): number[] {
    const found: number[] = [];
    this.forEachFrom(probe, (row) => {
      if (found.length >= max || !fits(row)) return false;
      found.push(row);
      return true;
    });
    return found;
  }

  /** Calls back with rows that are not before the probe, in order, until it says no more. */
  forEachFrom(probe: number, use: (row: number) => boolean): void {
    let at = this.#leafFor(probe);
    let place = this.#placeIn(this.#leaves[at] as Leaf, probe);
    for (; at < this.#leaves.length; at++, place = 0) {
      const { rows, count } = this.#leaves[at] as Leaf;
      for (; place < count; place++) if (!use(rows[place] as number)) return;
    }
  }

  /** Takes over rows that are sorted already, in place of what it had. */
  load(sorted: Uint32Array): void {
    this.#leaves = [];
    for (let from = 0; from < sorted.length; from += LEAF_ROWS) {
      const part = sorted.subarray(from, from + LEAF_ROWS);
      const leaf = newLeaf();
      leaf.rows.set(part);
      leaf.count = part.length;
      this.#leaves.push(leaf);
    }
    if (this.#leaves.length === 0) this.#leaves.push(newLeaf());
  }

  /** The last leaf that does not begin behind the row. */
  #leafFor(row: number): number {
    let low = 0;
    let high = this.#leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const first = (this.#leaves[middle] as Leaf).rows[0] as number;
      if (this.#compare(first, row) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The first place in a leaf that is not before the row. */
  #placeIn({ rows, count }: Leaf, row: number): number {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(rows[middle] as number, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function newLeaf(): Leaf {
  return { rows: new Uint32Array(LEAF_ROWS), count: 0 };
}

function insert(leaf: Leaf, place: number, row: number): void {
  leaf.rows.copyWithin(place + 1, place, leaf.count);
  leaf.rows[place] = row;
  leaf.count += 1;
}
