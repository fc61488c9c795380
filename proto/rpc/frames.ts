import { ShoalError } from '../base/errors.ts';

/* Frames on a stream of bytes: each is preceded by its length (u32, little-endian). */

const LENGTH_BYTES = 4;

/** A frame as it goes over the wire. */
export function frameOf(content: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + content.length);
  frame.writeUInt32LE(content.length, 0);
  frame.set(content, LENGTH_BYTES);
  return frame;
}

/** Finds the frames in what arrives, however it was cut on its way. */
export class FrameReader {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** So many bytes must be here before another frame can be whole. */
  #needed = LENGTH_BYTES;

  /** `bytesMax`: what no frame may exceed. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The contents of the frames that are whole now, as views of what arrived. Throws INVALID_ARGUMENT on one too large. */
  push(chunk: Buffer): Buffer[] {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    return this.#bytes < this.#needed ? [] : this.#whole();
  }

  #whole(): Buffer[] {
    const all = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    const frames: Buffer[] = [];
    let at = 0;
    for (let end = this.#endOf(all, at); end <= all.length; end = this.#endOf(all, at)) {
      frames.push(all.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
    this.#needed = this.#endOf(all, at) - at;
    this.#parts = at === all.length ? [] : [all.subarray(at)];
    this.#bytes = all.length - at;
    return frames;
  }

  /** Where the frame at `at` ends, as far as its length is here. */
  #endOf(all: Buffer, at: number): number {
    if (all.length - at < LENGTH_BYTES) return at + LENGTH_BYTES;
    const length = all.readUInt32LE(at);
    if (length <= this.#bytesMax) return at + LENGTH_BYTES + length;
    const message = `a frame of ${length} bytes was announced, and at most ${this.#bytesMax} are allowed`;
    throw new ShoalError('INVALID_ARGUMENT', message);
  }
}
