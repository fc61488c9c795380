const DIGIT = 2 ** 16;

/**
 * The rows sorted by a whole number from 0 on; those with equal ones stay in their order. One step for each 16 bits that
 * the largest number has.
 */
export function* sortRows(rows: Uint32Array, keyOf: (row: number) => number): Generator<void, Uint32Array> {
  let largest = 0;
  for (const row of rows) largest = Math.max(largest, keyOf(row));
  let sorted = rows;
  for (let scale = 1; scale <= largest; scale *= DIGIT) {
    sorted = sortedByDigit(sorted, (row) => Math.floor(keyOf(row) / scale) % DIGIT);
    yield;
  }
  return sorted;
}

function sortedByDigit(rows: Uint32Array, digitOf: (row: number) => number): Uint32Array {
  const ends = new Uint32Array(DIGIT + 1);
  for (const row of rows) {
    const digit = digitOf(row) + 1;
    ends[digit] = (ends[digit] as number) + 1;
  }
  for (let digit = 1; digit <= DIGIT; digit++)
    ends[digit] = (ends[digit] as number) + (ends[digit - 1] as number);
  const sorted = new Uint32Array(rows.length);
  for (const row of rows) {
    const digit = digitOf(row);
    const place = ends[digit] as number;
    sorted[place] = row;
    ends[digit] = place + 1;
  }
  return sorted;
}
