import type { Random } from './random.ts';

export interface BackoffOpts {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before try number `attempt` (0 = the first retry): doubling from `firstMs` to `maxMs`, of
 * which a random half to whole, so that many who failed together do not return together.
 */
export function backoffMs(opts: BackoffOpts, attempt: number, random: Random): number {
  const fullMs = Math.min(opts.maxMs, opts.firstMs * 2 ** Math.min(attempt, 30));
  return fullMs * (0.5 + random.next() / 2);
}
