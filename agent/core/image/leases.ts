import type { Digest } from './digest.ts';

/** Keeps content from being collected while something is made of it; ends with `using`. */
export interface Lease extends Disposable {
  /** Blobs, layers (chain ids) and images (ids), here or still to come. */
  add(...digests: readonly Digest[]): void;
}

/** All content that work under way needs. It is in memory alone: after a crash no work is under way. */
export class Leases {
  readonly #held = new Set<Set<Digest>>();

  take(...digests: readonly Digest[]): Lease {
    const mine = new Set(digests);
    this.#held.add(mine);
    return {
      add: (...more) => {
        for (const digest of more) mine.add(digest);
      },
      [Symbol.dispose]: () => void this.#held.delete(mine),
    };
  }

  has(digest: Digest): boolean {
    return [...this.#held].some((digests) => digests.has(digest));
  }

  all(): Digest[] {
    return [...this.#held].flatMap((digests) => [...digests]);
  }
}

/** Which containers use which images. The engine says so again for all it has, when it starts. */
export class Holds {
  readonly #holders = new Map<Digest, Set<string>>();

  /** Once a holder, however often it is said. */
  hold(image: Digest, holder: string): void {
    const holders = this.#holders.get(image) ?? new Set();
    this.#holders.set(image, holders.add(holder));
  }

  /** True when that was the last. */
  release(image: Digest, holder: string): boolean {
    const holders = this.#holders.get(image);
    if (!holders?.delete(holder) || holders.size > 0) return false;
    return this.#holders.delete(image);
  }

  /** Ids of containers. */
  of(image: Digest): string[] {
    return [...(this.#holders.get(image) ?? [])];
  }
}
