import type { Digest } from './digest.ts';
import type { ImageStore } from './image-store.ts';
import type { StoredImage } from './image-table.ts';
import type { Lease } from './leases.ts';
import { isDangling } from './remove.ts';

/** Images that come together, and get their names when all are here. Nobody prunes them before. */
export class Arrivals implements Disposable {
  readonly #store: ImageStore;
  readonly #lease: Lease;
  readonly #before: ReadonlySet<Digest>;
  readonly #ids = new Set<Digest>();

  constructor(store: ImageStore) {
    this.#store = store;
    this.#lease = store.lease();
    this.#before = new Set(store.table.images().map(({ id }) => id));
  }

  add({ id }: StoredImage): void {
    this.#lease.add(id);
    this.#ids.add(id);
  }

  /** When one of them can't come, those that came for nothing go again. */
  async allOrNone<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.#takeBack();
      throw error;
    }
  }

  async #takeBack(): Promise<void> {
    const { table, holds } = this.#store;
    const isUnwanted = (id: Digest): boolean =>
      !this.#before.has(id) && isDangling(this.#store, id) && holds.of(id).length === 0;
    const ids = [...this.#ids].filter(isUnwanted);
    this.#lease[Symbol.dispose]();
    if (ids.length > 0) await table.change((edit) => ids.forEach((id) => void edit.remove(id)));
    await this.#store.collect();
  }

  [Symbol.dispose](): void {
    this.#lease[Symbol.dispose]();
  }
}
