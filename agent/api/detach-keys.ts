import { ShoalError } from '#proto/base/errors.ts';

const DEFAULT = 'ctrl-p,ctrl-q';

/** The bytes of `ctrl-p,ctrl-q`, `a,b` or `ctrl-@`. INVALID_ARGUMENT for anything else. */
export function parseDetachKeys(text: string | null | undefined): Buffer {
  const keys = (text || DEFAULT).split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const letter = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    if (letter === undefined)
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `Invalid detach keys (${text}) provided: unknown character: '${key}'`,
      );
    return letter.toUpperCase().charCodeAt(0) - 64;
  });
  return Buffer.from(keys);
}

/** Watches what a user types for the keys that mean "leave it running". */
export class DetachScanner {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** What of this input is for the container, and whether the keys are complete. */
  scan(input: Buffer): { pass: Buffer; detached: boolean } {
    const pass: number[] = [];
    for (const byte of input) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length) return { pass: Buffer.from(pass), detached: true };
        continue;
      }
      pass.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) pass.push(byte);
    }
    return { pass: Buffer.from(pass), detached: false };
  }
}
