/** A queue that refuses rather than grows. */
export class BoundedQueue<T> {
  readonly #itemsMax: number;
  #items: T[] = [];

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  get length(): number {
    return this.#items.length;
  }

  /** False when full: shed load here, where the sender can still be told. */
  push(item: T): boolean {
    if (this.#items.length >= this.#itemsMax) return false;
    this.#items.push(item);
    return true;
  }

  /** Everything waiting, in order; the queue is empty afterwards. */
  drain(): T[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }
}
