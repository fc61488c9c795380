import { ShoalError } from '#proto/base/errors.ts';

/** Archives are made of blocks: headers of one, content filled up to some. */
export const BLOCK = 512;

/** Octal text, or big-endian binary when the first bit is set (GNU). */
export function numberAt(
  block: Buffer,
  at: number,
  length: number,
  what: string,
  mayBeNegative = false,
): number {
  const first = block[at] as number;
  const value = first & 0x80 ? binaryAt(block, at, length) : octalAt(block, at, length);
  if (!Number.isSafeInteger(value) || (value < 0 && !mayBeNegative)) throw invalid(`${what} is out of range`);
  return value;
}

function binaryAt(block: Buffer, at: number, length: number): number {
  const isNegative = ((block[at] as number) & 0x40) !== 0;
  let value = BigInt((block[at] as number) & 0x7f) - (isNegative ? 128n : 0n);
  for (let i = at + 1; i < at + length; i++) value = (value << 8n) | BigInt(block[i] as number);
  return Number(value);
}

/** NaN when it is no number. */
export function octalAt(block: Buffer, at: number, length: number): number {
  const text = textAt(block, at, length).trim();
  if (text === '') return 0;
  return /^-?[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}

/** Text up to a zero byte, as bytes. */
export function textAt(block: Buffer, at: number, length: number): string {
  return untilZero(block.subarray(at, at + length));
}

export function untilZero(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

/** Whatever is wrong with an archive. */
export function invalid(what: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `archive/tar: ${what}`);
}
