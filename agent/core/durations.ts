const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
];
const MS_PER_SECOND = 1_000;

/** A length of time as Go writes it: `30s`, `1m30s`, `400ms`. */
export function goDuration(ms: number): string {
  if (ms < MS_PER_SECOND) return `${ms}ms`;
  let left = ms;
  let text = '';
  for (const [name, length] of UNITS) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0 || text !== '') text += `${count}${name}`;
  }
  return `${text}${left / MS_PER_SECOND}s`;
}
