const CHUNK_BYTES = 1024 * 1024;
/** Blocks are multiples of this. */
const UNIT_BYTES = 32;
const UNITS_IN_CHUNK = CHUNK_BYTES / UNIT_BYTES;
const LENGTH_BYTES = 2;
const BITS_IN_BYTE = 8;
const BYTE = 0xff;
/** Names from here on are of what is kept by itself; smaller ones reach 64 GiB. */
const FIRST_LARGE = 2 ** 31;
/** Few, and the least is what most need in the end, so that what grows a little stays where it is. */
const SIZES = [96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096];

/** Of each number of units, the size that holds it. */
const SIZE_OF_UNITS = Array.from({ length: (SIZES.at(-1) as number) / UNIT_BYTES + 1 }, (_, units) =>
  SIZES.findIndex((size) => size >= units * UNIT_BYTES),
);

/**
 * Many small byte strings of changing size, outside of the heap that is garbage collected: each is a block of one of a
 * few sizes in a chunk of memory, and freed blocks are used again by others of their size. Memory grows with the most
 * blocks there ever were of each size.
 */
export class Slab {
  readonly #chunks: Buffer[] = [];
  /** Freed blocks, by size. */
  readonly #free: number[][] = SIZES.map(() => []);
  /** What fits no block is kept by itself. */
  readonly #large = new Map<number, Buffer>();
  #largeMade = 0;
  /** Where the newest chunk is free. */
  #at = CHUNK_BYTES;

  /** Keeps a copy of these bytes (from `from` on, so many), and gives the name to find it by. Names are from 1 on. */
  add(bytes: Buffer, from = 0, length = bytes.length): number {
    const size = sizeFor(length);
    if (size === undefined) return this.#addLarge(bytes.subarray(from, from + length));
    const block = this.#free[size]?.pop() ?? this.#cut(SIZES[size] as number);
    this.#write(block, bytes, from, length);
    return block;
  }

  /** Replaces what `block` names, and gives its name from now on. */
  replace(block: number, bytes: Buffer, from = 0, length = bytes.length): number {
    const size = sizeFor(length);
    if (size !== undefined && block < FIRST_LARGE && size === sizeFor(this.#lengthOf(block))) {
      this.#write(block, bytes, from, length);
      return block;
    }
    this.remove(block);
    return this.add(bytes, from, length);
  }

  remove(block: number): void {
    if (block >= FIRST_LARGE) this.#large.delete(block);
    else this.#free[sizeFor(this.#lengthOf(block)) as number]?.push(block);
  }

  /** The buffer that a block is part of, good until the next change; see startOf and lengthOf. */
  bytesOf(block: number): Buffer {
    return block >= FIRST_LARGE ? (this.#large.get(block) as Buffer) : this.#chunkOf(block);
  }

  startOf(block: number): number {
    return block >= FIRST_LARGE ? 0 : offsetOf(block) + LENGTH_BYTES;
  }

  lengthOf(block: number): number {
    return block >= FIRST_LARGE ? this.bytesOf(block).length : this.#lengthOf(block);
  }

  #addLarge(bytes: Buffer): number {
    const block = FIRST_LARGE + this.#largeMade++;
    this.#large.set(block, Buffer.from(bytes));
    return block;
  }

  #cut(bytes: number): number {
    if (this.#at + bytes > CHUNK_BYTES) {
      this.#chunks.push(Buffer.alloc(CHUNK_BYTES));
      // The first block's name is 1.
      this.#at = this.#chunks.length === 1 ? UNIT_BYTES : 0;
    }
    const block = ((this.#chunks.length - 1) * CHUNK_BYTES + this.#at) / UNIT_BYTES;
    this.#at += bytes;
    return block;
  }

  #write(block: number, bytes: Buffer, from: number, length: number): void {
    const chunk = this.#chunkOf(block);
    const at = offsetOf(block);
    chunk[at] = length & BYTE;
    chunk[at + 1] = length >> BITS_IN_BYTE;
    bytes.copy(chunk, at + LENGTH_BYTES, from, from + length);
  }

  #lengthOf(block: number): number {
    const chunk = this.#chunkOf(block);
    const at = offsetOf(block);
    return (chunk[at] as number) + ((chunk[at + 1] as number) << BITS_IN_BYTE);
  }

  #chunkOf(block: number): Buffer {
    return this.#chunks[Math.floor(block / UNITS_IN_CHUNK)] as Buffer;
  }
}

function sizeFor(bytes: number): number | undefined {
  return SIZE_OF_UNITS[Math.ceil((bytes + LENGTH_BYTES) / UNIT_BYTES)];
}

function offsetOf(block: number): number {
  return (block % UNITS_IN_CHUNK) * UNIT_BYTES;
}
