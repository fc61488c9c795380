/** Those who want to be told of something, in the order they came. */
export class Listeners<T> {
  readonly #listeners = new Set<{ readonly tell: (value: T) => void }>();

  /** The returned function ends it. */
  add(tell: (value: T) => void): () => void {
    const listener = { tell };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell(value: T): void {
    for (const { tell } of [...this.#listeners]) tell(value);
  }
}
