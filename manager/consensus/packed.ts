/*
 * Many small byte strings as one: crossing between threads costs by the buffer, and one buffer is handed over without
 * being copied.
 */

export interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each string ends in `bytes`. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

export function pack(strings: readonly Uint8Array[]): Packed {
  const ends = new Uint32Array(strings.length);
  let total = 0;
  for (const [at, string] of strings.entries()) {
    total += string.length;
    ends[at] = total;
  }
  const bytes = new Uint8Array(total);
  let from = 0;
  for (const string of strings) {
    bytes.set(string, from);
    from += string.length;
  }
  return { bytes, ends };
}

/** The strings again, as views. */
export function unpack({ bytes, ends }: Packed): Uint8Array[] {
  const strings: Uint8Array[] = [];
  let from = 0;
  for (const end of ends) {
    strings.push(bytes.subarray(from, end));
    from = end;
  }
  return strings;
}

/** What to hand over rather than copy. */
export function buffersOf({ bytes, ends }: Packed): ArrayBuffer[] {
  return [bytes.buffer, ends.buffer];
}
