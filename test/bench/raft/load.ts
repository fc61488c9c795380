import type { Load } from './member-protocol.ts';

/** Not counted: what comes before is warming up. */
const WARM_UP_SHARE = 0.2;

/** Runs `writers` loops of `write` for so long, and says how many writes were done a second, and how long each took. */
export async function closedLoop(
  writers: number,
  ms: number,
  write: () => Promise<unknown>,
  nowMs: () => number = () => performance.now(),
): Promise<Load> {
  const startedMs = nowMs();
  const countFromMs = startedMs + WARM_UP_SHARE * ms;
  const untilMs = startedMs + ms;
  const tookUs: number[] = [];
  const writer = async (): Promise<void> => {
    for (let beganMs = nowMs(); beganMs < untilMs; ) {
      await write();
      const endedMs = nowMs();
      if (beganMs >= countFromMs) tookUs.push((endedMs - beganMs) * 1000);
      beganMs = endedMs;
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
  const seconds = (nowMs() - countFromMs) / 1000;
  return { perSecond: tookUs.length / seconds, p50Us: quantile(tookUs, 0.5), p99Us: quantile(tookUs, 0.99) };
}

/** The value below which this share of them lies. Throws where there is none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  if (value === undefined) throw new Error('a quantile of no values');
  return value;
}
