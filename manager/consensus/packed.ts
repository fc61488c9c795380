/*
 * Many small byte strings as one buffer: crossing between threads costs by the buffer, far more than by the byte. First
 * how many there are, then where each ends (u32), then all of them.
 */

export type Packed = Uint8Array<ArrayBuffer>;

/** Above this a buffer is cheaper handed over than copied. */
const HAND_OVER_BYTES_MIN = 16 * 1024;

export function pack(strings: readonly Uint8Array[]): Packed {
  const headBytes = 4 * (1 + strings.length);
  const bytes = new Uint8Array(strings.reduce((sum, string) => sum + string.length, headBytes));
  const head = new Uint32Array(bytes.buffer, 0, 1 + strings.length);
  head[0] = strings.length;
  let end = headBytes;
  for (const [at, string] of strings.entries()) {
    bytes.set(string, end);
    end += string.length;
    head[at + 1] = end;
  }
  return bytes;
}

/** The strings again, as views. */
export function unpack(packed: Packed): Uint8Array[] {
  const [count = 0] = new Uint32Array(packed.buffer, packed.byteOffset, 1);
  let from = 4 * (1 + count);
  return Array.from(new Uint32Array(packed.buffer, packed.byteOffset + 4, count), (end) => {
    const string = packed.subarray(from, end);
    from = end;
    return string;
  });
}

/** What to hand over rather than copy. */
export function toHandOver(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer[] {
  return bytes.length < HAND_OVER_BYTES_MIN ? [] : [bytes.buffer];
}
