const STEPS: readonly (readonly [limit: number, unitSeconds: number, word: string])[] = [
  [60, 1, 'seconds'],
  [3600, 60, 'minutes'],
  [48 * 3600, 3600, 'hours'],
  [14 * 86_400, 86_400, 'days'],
  [60 * 86_400, 7 * 86_400, 'weeks'],
  [2 * 365 * 86_400, 30 * 86_400, 'months'],
  [Number.POSITIVE_INFINITY, 365 * 86_400, 'years'],
];

/** A length of time in the words of `docker ps`: `3 minutes`, `About an hour`. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds >= 60 && seconds < 120) return 'About a minute';
  const hours = Math.floor(ms / 3_600_000 + 0.5);
  if (seconds >= 3600 && hours === 1) return 'About an hour';
  const [, unit, word] = STEPS.find(([limit]) => seconds < limit) as (typeof STEPS)[number];
  const count = word === 'hours' ? hours : Math.floor(seconds / unit);
  return `${count} ${word}`;
}
