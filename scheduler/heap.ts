/** A binary heap: the item that sorts first is on top. */
export class Heap<T> {
  readonly #items: T[];
  readonly #compare: (a: T, b: T) => number;

  constructor(items: readonly T[], compare: (a: T, b: T) => number) {
    this.#compare = compare;
    // A sorted array is a heap.
    this.#items = [...items].sort(compare);
  }

  get top(): T | undefined {
    return this.#items[0];
  }

  /** Takes the top away. */
  pop(): void {
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return;
    this.#items[0] = last;
    this.topChanged();
  }

  /** Finds the place of the top anew after it changed. */
  topChanged(): void {
    const items = this.#items;
    for (let at = 0; ; ) {
      const child = this.#firstChild(at);
      if (child === undefined || this.#compare(items[at] as T, items[child] as T) <= 0) return;
      [items[at], items[child]] = [items[child] as T, items[at] as T];
      at = child;
    }
  }

  #firstChild(parent: number): number | undefined {
    const [left, right] = [2 * parent + 1, 2 * parent + 2];
    if (left >= this.#items.length) return undefined;
    if (right >= this.#items.length) return left;
    return this.#compare(this.#items[left] as T, this.#items[right] as T) <= 0 ? left : right;
  }
}
