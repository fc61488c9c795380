import { encodePart } from './log-entry.ts';
import type { TransactionName } from './parts.ts';

/** A transaction that is larger than an entry. */
export interface LargeTransaction {
  readonly serial: number;
  /** As encodeTransaction gives them. */
  readonly bytes: Uint8Array;
}

/** The entry of the next part of a transaction. */
export interface NextPart<Large> {
  readonly from: Large;
  readonly entry: Uint8Array;
  readonly isLast: boolean;
}

/** Large transactions that wait for their parts to be proposed: one after the other, each from its first part to its last. */
export class PartQueue<Large extends LargeTransaction> {
  readonly #proposer: number;
  readonly #partBytes: number;
  #queue: Large[] = [];
  /** Parts of the first of them that were given out. */
  #given = 0;
  #bytes = 0;

  constructor(proposer: number, partBytes: number) {
    this.#proposer = proposer;
    this.#partBytes = partBytes;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Of all that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  add(large: Large): void {
    this.#queue.push(large);
    this.#bytes += large.bytes.length;
  }

  /** The next part, for whoever proposes what he gets in order. With its last part a transaction waits no longer. */
  next(): NextPart<Large> | undefined {
    const from = this.#queue[0];
    if (from === undefined) return undefined;
    const start = this.#given * this.#partBytes;
    const data = from.bytes.subarray(start, start + this.#partBytes);
    const count = Math.ceil(from.bytes.length / this.#partBytes);
    const number = this.#given + 1;
    this.#given = number;
    const isLast = number === count;
    if (isLast) this.#forget(0);
    return { from, entry: encodePart({ ...this.#nameOf(from), number, count, data }), isLast };
  }

  /**
   * Takes one that is not through out of the queue: its last part will not be proposed. Gives the entry that says so to
   * those who keep parts of it, if there may be any.
   */
  remove(large: Large): Uint8Array | undefined {
    const at = this.#queue.indexOf(large);
    const given = at === 0 ? this.#given : 0;
    this.#forget(at);
    if (given === 0) return undefined;
    return encodePart({ ...this.#nameOf(large), number: given + 1, count: 0, data: new Uint8Array() });
  }

  #forget(at: number): void {
    const [large] = this.#queue.splice(at, 1);
    this.#bytes -= large?.bytes.length ?? 0;
    if (at === 0) this.#given = 0;
  }

  #nameOf({ serial }: Large): TransactionName {
    return { proposer: this.#proposer, serial };
  }
}
