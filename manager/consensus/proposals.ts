/** A proposal in the log. */
interface PlacedProposal {
  readonly id: number;
  readonly index: number;
  readonly term: number;
}

/** Proposals `firstId`, `firstId` + 1, ..., one behind the other in the log. */
export interface PlacedRun {
  readonly firstId: number;
  readonly firstIndex: number;
  readonly term: number;
  readonly count: number;
}

/** What became of proposals. `unknown`: the entries that would have told never come here. */
export interface Outcomes {
  /** What was proposed together is mostly committed together: few values then cross between threads. */
  readonly committed: readonly PlacedRun[];
  readonly lost: readonly number[];
  readonly unknown: readonly number[];
}

/**
 * The outcome of proposals, by where they were put in the log. An entry that is applied there with the same term is the
 * proposal itself; with another term it took the proposal's place for good. And once an entry of a later term is
 * committed, every later index holds that term or more: what waits there from an earlier term is lost as well.
 */
export class Proposals {
  readonly #waiting = new Map<number, PlacedProposal[]>();
  #appliedTerm = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** A proposal was put into the log. */
  add(id: number, index: number, term: number): void {
    const there = this.#waiting.get(index);
    if (there === undefined) this.#waiting.set(index, [{ id, index, term }]);
    else there.push({ id, index, term });
    this.#count += 1;
  }

  /** What these applied entries decide; to be told of every entry, in order. */
  applied(entries: readonly { readonly index: number; readonly term: number }[]): Outcomes {
    const committed: Writable<PlacedRun>[] = [];
    const lost: number[] = [];
    for (const { index, term } of entries) {
      for (const waiting of this.#take(index))
        if (waiting.term === term) addTo(committed, waiting);
        else lost.push(waiting.id);
      if (term > this.#appliedTerm) lost.push(...this.#sweep(index, term));
    }
    return { committed, lost, unknown: [] };
  }

  /** A snapshot stands for everything up to its index. */
  replaced(index: number, term: number): Outcomes {
    const unknown: number[] = [];
    for (const at of [...this.#waiting.keys()])
      if (at < index) unknown.push(...this.#take(at).map((waiting) => waiting.id));
    const { committed, lost } = this.applied([{ index, term }]);
    return { committed, lost, unknown };
  }

  /** This member was removed: it will not hear what becomes of them. */
  abandoned(): Outcomes {
    const unknown = [...this.#waiting.keys()].flatMap((index) => this.#take(index).map(({ id }) => id));
    return { committed: [], lost: [], unknown };
  }

  #take(index: number): readonly PlacedProposal[] {
    const there = this.#waiting.get(index);
    if (there === undefined) return [];
    this.#waiting.delete(index);
    this.#count -= there.length;
    return there;
  }

  #sweep(appliedIndex: number, term: number): number[] {
    this.#appliedTerm = term;
    const lost: number[] = [];
    for (const [index, there] of this.#waiting) {
      if (index <= appliedIndex) continue;
      const left = there.filter((waiting) => waiting.term >= term);
      for (const waiting of there) if (waiting.term < term) lost.push(waiting.id);
      this.#count -= there.length - left.length;
      if (left.length > 0) this.#waiting.set(index, left);
      else this.#waiting.delete(index);
    }
    return lost;
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function addTo(runs: Writable<PlacedRun>[], { id, index, term }: PlacedProposal): void {
  const last = runs.at(-1);
  if (last?.term === term && last.firstId + last.count === id && last.firstIndex + last.count === index)
    last.count += 1;
  else runs.push({ firstId: id, firstIndex: index, term, count: 1 });
}
