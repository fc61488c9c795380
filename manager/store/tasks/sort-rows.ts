const DIGIT = 2 ** 16;

/** Rows looked at in one step: some milliseconds. */
const STEP_ROWS = 2 ** 17;

/** The rows sorted by a whole number from 0 on, in steps; those with equal ones stay in their order. */
export function* sortRows(rows: Uint32Array, keyOf: (row: number) => number): Generator<void, Uint32Array> {
  let largest = 0;
  for (const row of rows) largest = Math.max(largest, keyOf(row));
  yield;
  let sorted = rows;
  for (let scale = 1; scale <= largest; scale *= DIGIT)
    sorted = yield* sortedByDigit(sorted, (row) => Math.floor(keyOf(row) / scale) % DIGIT);
  return sorted;
}

function* sortedByDigit(rows: Uint32Array, digitOf: (row: number) => number): Generator<void, Uint32Array> {
  const places = new Uint32Array(DIGIT + 1);
  for (const part of partsOf(rows)) {
    for (const row of part) places[digitOf(row) + 1] = (places[digitOf(row) + 1] as number) + 1;
    yield;
  }
  for (let digit = 1; digit <= DIGIT; digit++)
    places[digit] = (places[digit] as number) + (places[digit - 1] as number);
  const sorted = new Uint32Array(rows.length);
  for (const part of partsOf(rows)) {
    for (const row of part) {
      const digit = digitOf(row);
      const place = places[digit] as number;
      sorted[place] = row;
      places[digit] = place + 1;
    }
    yield;
  }
  return sorted;
}

function* partsOf(rows: Uint32Array): Generator<Uint32Array> {
  for (let from = 0; from < rows.length; from += STEP_ROWS) yield rows.subarray(from, from + STEP_ROWS);
}
