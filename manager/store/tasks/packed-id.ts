/*
 * Cluster ids are 25 characters of base 36. In memory they are five words of five characters each, which sort as the
 * texts do.
 */

/** Words of a packed id. */
export const ID_WORDS = 5;

const CHARS_IN_WORD = 5;
const ID_CHARS = ID_WORDS * CHARS_IN_WORD;
const BASE = 36;
const DIGITS = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz', 'latin1');
const ZERO = 0x30;
const NINE = 0x39;
const A = 0x61;
const Z = 0x7a;

const scratch = Buffer.alloc(ID_CHARS);

/** Writes an id as words from `at` on; false, and nothing usable written, for a text that is no such id. */
export function packId(id: string, into: Uint32Array, at: number): boolean {
  if (id.length !== ID_CHARS) return false;
  for (let word = 0; word < ID_WORDS; word++) {
    let value = 0;
    for (let char = 0; char < CHARS_IN_WORD; char++) {
      const digit = digitOf(id.charCodeAt(word * CHARS_IN_WORD + char));
      if (digit < 0) return false;
      value = value * BASE + digit;
    }
    into[at + word] = value;
  }
  return true;
}

/** The id whose words are there. */
export function unpackId(words: Uint32Array, at: number): string {
  for (let word = 0; word < ID_WORDS; word++) {
    let value = words[at + word] as number;
    for (let char = CHARS_IN_WORD - 1; char >= 0; char--) {
      const rest = Math.floor(value / BASE);
      scratch[word * CHARS_IN_WORD + char] = DIGITS[value - rest * BASE] as number;
      value = rest;
    }
  }
  return scratch.toString('latin1', 0, ID_CHARS);
}

function digitOf(code: number): number {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  return code >= A && code <= Z ? code - A + 10 : -1;
}
