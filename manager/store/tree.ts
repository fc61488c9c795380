import sortedBtree from 'sorted-btree';

// The package is CommonJS: at run time its class is the `default` of what is imported, which its types don't say.
const BTree = (sortedBtree as unknown as { default: typeof sortedBtree.default }).default;
type BTree<Key, Value> = InstanceType<typeof sortedBtree.default<Key, Value>>;

/** Orders keys: negative, zero, positive. */
export type Compare<Key> = (a: Key, b: Key) => number;

/** By code unit: the same on every machine, whatever its locale. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A sorted map that is copied in O(1): copies share what neither of them has changed since. */
export class Tree<Key, Value> {
  readonly #compare: Compare<Key>;
  readonly #tree: BTree<Key, Value>;

  constructor(compare: Compare<Key>, tree: BTree<Key, Value> = new BTree(undefined, compare)) {
    this.#compare = compare;
    this.#tree = tree;
  }

  get size(): number {
    return this.#tree.size;
  }

  get(key: Key): Value | undefined {
    return this.#tree.get(key);
  }

  /** Also replaces an equal key by this one. */
  set(key: Key, value: Value): void {
    this.#tree.set(key, value);
  }

  delete(key: Key): void {
    this.#tree.delete(key);
  }

  /** In order of keys, as they are now: later changes don't disturb the iteration. */
  values(): Iterable<Value> {
    return this.#tree.clone().values();
  }

  /** Calls back with all, in order. */
  forEach(use: (value: Value, key: Key) => void): void {
    this.#tree.forEach(use);
  }

  /** Values from `low` to `high`, both included. */
  between(low: Key, high: Key): Value[] {
    const found: Value[] = [];
    this.#tree.forRange(low, high, true, (_key, value) => void found.push(value));
    return found;
  }

  copy(): Tree<Key, Value> {
    return new Tree(this.#compare, this.#tree.clone());
  }
}
