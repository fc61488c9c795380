import { randomBytes } from 'node:crypto';

/** Randomness as a module: handed in, so that one seed replays one run. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** `count` random bytes; from the operating system where secrets are made. */
  bytes(count: number): Uint8Array;
}

/** The operating system's randomness, fit for keys and tokens. */
export const systemRandom: Random = {
  next: () => randomBytes(4).readUInt32LE() / 2 ** 32,
  bytes: (count) => randomBytes(count),
};

/** A repeatable source (splitmix32): same seed, same numbers. Never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next32 = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  return {
    next: () => next32() / 2 ** 32,
    bytes: (count) => Uint8Array.from({ length: count }, () => next32() & 0xff),
  };
}

/** An integer in [0, bound). */
export function randomInt(random: Random, bound: number): number {
  return Math.floor(random.next() * bound);
}
