import { assert } from './errors.ts';

/**
 * The messages with entries that are under way to one peer, oldest first: a ring that grows up to its limit. Each is
 * remembered by the index of its last entry, so that an answer frees all up to the index it names.
 */
export class Inflights {
  readonly #countMax: number;
  /** 0: no limit. A single message may go above it; none is added after that. */
  readonly #bytesMax: number;
  #indices: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing more may be sent until something is freed. */
  get full(): boolean {
    return this.#count === this.#countMax || (this.#bytesMax !== 0 && this.#bytes >= this.#bytesMax);
  }

  /** Remembers a message whose last entry is `index`; indices must not fall. */
  add(index: number, bytes: number): void {
    assert(!this.full, 'a message was sent although the limit of messages under way is reached');
    if (this.#count === this.#indices.length) this.#grow();
    const at = (this.#start + this.#count) % this.#indices.length;
    this.#indices[at] = index;
    this.#sizes[at] = bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** Forgets the messages whose last entry is at most `index`. */
  freeThrough(index: number): void {
    while (this.#count > 0 && (this.#indices[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#start = (this.#start + 1) % this.#indices.length;
      this.#count -= 1;
    }
    if (this.#count === 0) this.#start = 0;
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  /** Doubles the ring and lays it out from its start. */
  #grow(): void {
    const turn = (ring: number[]): number[] => [...ring.slice(this.#start), ...ring.slice(0, this.#start)];
    const room = Math.max(4, Math.min(this.#indices.length * 2, this.#countMax));
    this.#indices = turn(this.#indices);
    this.#sizes = turn(this.#sizes);
    while (this.#indices.length < room) {
      this.#indices.push(0);
      this.#sizes.push(0);
    }
    this.#start = 0;
  }
}
