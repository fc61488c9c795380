/** Entries from an index on, up to the next run. */
interface Run {
  readonly from: number;
  readonly term: number;
}

/** The term of every entry of a log: as many runs as there were leaders, however long it is. */
export class LogTerms {
  /** Ascending; never empty. */
  #runs: Run[];

  /** The log starts behind this entry. */
  constructor(index: number, term: number) {
    this.#runs = [{ from: index, term }];
  }

  /** Of an entry that is there, or of the one that the log starts behind. */
  at(index: number): number {
    return (this.#runs[this.#position(index)] as Run).term;
  }

  /** The entries from `from` on, whatever they were, are of this term. */
  set(from: number, term: number): void {
    while (this.#runs.length > 1 && (this.#runs.at(-1) as Run).from >= from) this.#runs.pop();
    if (this.#runs.at(-1)?.term !== term) this.#runs.push({ from, term });
  }

  /** Entries before `index` are asked for no more. */
  forgetBefore(index: number): void {
    this.#runs.splice(0, this.#position(index));
  }

  #position(index: number): number {
    return Math.max(
      0,
      this.#runs.findLastIndex(({ from }) => from <= index),
    );
  }
}
