/** Texts that many rows name, each by a number; a text whose last user is gone leaves its number to another. */
export class Names<Name extends string> {
  readonly #numbers = new Map<string, number>();
  /** By number; 0 names nothing. */
  readonly #texts: (Name | undefined)[] = [undefined];
  readonly #users: number[] = [0];
  readonly #free: number[] = [];

  /** The number of a name that is in use, else 0. */
  numberOf(name: string | undefined): number {
    return name === undefined ? 0 : (this.#numbers.get(name) ?? 0);
  }

  nameOf(number: number): Name | undefined {
    return this.#texts[number];
  }

  /** Those in use. */
  all(): Iterable<Name> {
    return this.#numbers.keys() as Iterable<Name>;
  }

  usersOf(number: number): number {
    return this.#users[number] as number;
  }

  /** Counts one more user of a name, and gives its number. */
  use(name: Name): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) {
      this.useAgain(known);
      return known;
    }
    const number = this.#free.pop() ?? this.#texts.length;
    this.#numbers.set(name, number);
    this.#texts[number] = name;
    this.#users[number] = 1;
    return number;
  }

  /** Counts one more user of a name that is in use. */
  useAgain(number: number): void {
    this.#users[number] = (this.#users[number] as number) + 1;
  }

  /** One user less. */
  leave(number: number): void {
    const users = (this.#users[number] as number) - 1;
    this.#users[number] = users;
    if (users > 0) return;
    this.#numbers.delete(this.#texts[number] as Name);
    this.#texts[number] = undefined;
    this.#free.push(number);
  }
}

/** What is never forgotten must have a bound: some megabytes. */
const WORDS_MAX = 65_536;
const WORD_CHARS_MAX = 64;

/** Texts that come again and again, each by a number that it keeps for good. Those beyond the bound have none. */
export class Words {
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];

  get size(): number {
    return this.#texts.length;
  }

  /** The number of a text, which gets one if there is room. */
  numberOf(text: string): number | undefined {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    if (this.#texts.length >= WORDS_MAX || text.length > WORD_CHARS_MAX) return undefined;
    this.#numbers.set(text, this.#texts.length);
    this.#texts.push(text);
    return this.#texts.length - 1;
  }

  textOf(number: number): string {
    return this.#texts[number] as string;
  }

  /** Those that got their number at or after `from`, in that order. */
  since(from: number): readonly string[] {
    return this.#texts.slice(from);
  }

  /** Takes over words that others gave numbers to, in their order; there must be none yet that they don't begin with. */
  load(texts: readonly string[]): void {
    for (const text of texts) {
      this.#numbers.set(text, this.#texts.length);
      this.#texts.push(text);
    }
  }
}
