/*
 * Values as bytes, as task bodies hold them: whole numbers in as many bytes as they need, texts behind their length.
 * What is written here is also in snapshots, so it can't change its meaning.
 */

const FIRST_BYTES = 1024;
const NONE: Buffer = Buffer.alloc(0);
/** The highest bit of a byte says that more follow; in a signed number's first one, the next bit is the sign. */
const LOW_BITS = 128;
const SIGNED_LOW_BITS = 64;
const SHORT_CHARS = 40;

/** Writes values one behind the other. */
export class ByteWriter {
  #bytes = NONE;
  #at = 0;

  /** Empties it; what written() gave before is overwritten from now on. */
  restart(): void {
    this.#at = 0;
  }

  /** Lets go of what was written, and of the memory it is in. */
  forget(): void {
    this.#bytes = NONE;
    this.#at = 0;
  }

  /** What was written since restart() is the beginning of this, `length` bytes of it; good until more is written. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  get length(): number {
    return this.#at;
  }

  /** Zero or more, up to 2^53. */
  count(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= LOW_BITS) {
      const high = Math.floor(rest / LOW_BITS);
      this.#bytes[this.#at++] = rest - high * LOW_BITS + LOW_BITS;
      rest = high;
    }
    this.#bytes[this.#at++] = rest;
  }

  /** Of either sign, up to 2^53 from zero: the first byte has the sign and six bits. */
  signed(value: number): void {
    this.#room(1);
    const size = Math.abs(value);
    const rest = Math.floor(size / SIGNED_LOW_BITS);
    const low = size - rest * SIGNED_LOW_BITS;
    this.#bytes[this.#at++] = low + (value < 0 ? SIGNED_LOW_BITS : 0) + (rest > 0 ? LOW_BITS : 0);
    if (rest > 0) this.count(rest);
  }

  text(value: string): void {
    if (value.length <= SHORT_CHARS && this.#maybeAscii(value)) return;
    const bytes = Buffer.byteLength(value);
    this.count(bytes);
    this.#room(bytes);
    this.#at += this.#bytes.write(value, this.#at, 'utf8');
  }

  /** Text of two hexadecimal digits a byte. */
  hex(value: string): void {
    this.#room(value.length / 2);
    this.#at += this.#bytes.write(value, this.#at, 'hex');
  }

  /** Short text of one byte a character is faster written here than by a call of Node; false, and nothing written, for other. */
  #maybeAscii(value: string): boolean {
    this.#room(1 + SHORT_CHARS);
    const from = this.#at + 1;
    for (let char = 0; char < value.length; char++) {
      const code = value.charCodeAt(char);
      if (code >= LOW_BITS) return false;
      this.#bytes[from + char] = code;
    }
    this.#bytes[this.#at] = value.length;
    this.#at = from + value.length;
    return true;
  }

  /** Bytes as they are. */
  raw(bytes: Buffer, start: number, length: number): void {
    this.#room(length);
    bytes.copy(this.#bytes, this.#at, start, start + length);
    this.#at += length;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(FIRST_BYTES, this.#bytes.length * 2, this.#at + bytes));
    this.#bytes.copy(larger);
    this.#bytes = larger;
  }
}

/** Reads back what a ByteWriter wrote, in the same order. */
export class ByteReader {
  #bytes: Buffer = NONE;
  #at = 0;

  restart(bytes: Buffer, at: number): void {
    this.#bytes = bytes;
    this.#at = at;
  }

  count(): number {
    let value = 0;
    for (let scale = 1; ; scale *= LOW_BITS) {
      const byte = this.#bytes[this.#at++] as number;
      if (byte < LOW_BITS) return value + byte * scale;
      value += (byte - LOW_BITS) * scale;
    }
  }

  signed(): number {
    const first = this.#bytes[this.#at++] as number;
    const low = first % SIGNED_LOW_BITS;
    const size = first < LOW_BITS ? low : low + this.count() * SIGNED_LOW_BITS;
    return first % LOW_BITS < SIGNED_LOW_BITS ? size : -size;
  }

  text(): string {
    const from = this.skip(this.count());
    return this.#bytes.toString('utf8', from, this.#at);
  }

  hex(bytes: number): string {
    const from = this.skip(bytes);
    return this.#bytes.toString('hex', from, this.#at);
  }

  /** Fills a buffer with bytes as they are. */
  raw(into: Buffer): void {
    const from = this.skip(into.length);
    this.#bytes.copy(into, 0, from, this.#at);
  }

  /** Leaves bytes out, and says where they begin. */
  skip(bytes: number): number {
    const from = this.#at;
    this.#at += bytes;
    return from;
  }
}
