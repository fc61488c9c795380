/** How long something took lately. */
export interface Latency {
  /** How often it happened. */
  readonly count: number;
  /** Half of them, and all but one in a hundred, took no longer than about this. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const SLICE_MS = 5_000;
const SLICES = 12;
/** Each bucket reaches 15 % further than the one before, from ten microseconds to some minutes. */
const FIRST_SECONDS = 1e-5;
const GROWTH = 1.15;
const BUCKETS = 120;

interface Slice {
  /** Which stretch of time it counts. */
  readonly number: number;
  readonly counts: Uint32Array;
}

/** Durations of the last minute, counted in buckets: constant space however many there are, quantiles within 15 %. */
export class LatencyWindow {
  readonly #slices: (Slice | undefined)[] = Array.from({ length: SLICES });

  /** `nowMs` is on any clock that never goes backwards. */
  observe(seconds: number, nowMs: number): void {
    const counts = this.#sliceAt(Math.floor(nowMs / SLICE_MS)).counts;
    const bucket = bucketOf(seconds);
    counts[bucket] = (counts[bucket] as number) + 1;
  }

  /** Of the last minute, or of the last `withinMs` of it; undefined when nothing happened. */
  summary(nowMs: number, withinMs = SLICES * SLICE_MS): Latency | undefined {
    const newest = Math.floor(nowMs / SLICE_MS);
    const slices = Math.min(SLICES, Math.max(1, Math.ceil(withinMs / SLICE_MS)));
    const sum = new Uint32Array(BUCKETS);
    for (const slice of this.#slices) {
      if (slice === undefined || slice.number <= newest - slices) continue;
      for (let bucket = 0; bucket < BUCKETS; bucket += 1)
        sum[bucket] = (sum[bucket] as number) + (slice.counts[bucket] as number);
    }
    const count = sum.reduce((total, one) => total + one, 0);
    if (count === 0) return undefined;
    return { count, p50Ms: quantileMs(sum, count * 0.5), p99Ms: quantileMs(sum, count * 0.99) };
  }

  #sliceAt(number: number): Slice {
    const at = number % SLICES;
    const there = this.#slices[at];
    if (there?.number === number) return there;
    const slice = { number, counts: new Uint32Array(BUCKETS) };
    this.#slices[at] = slice;
    return slice;
  }
}

function bucketOf(seconds: number): number {
  if (seconds <= FIRST_SECONDS) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(seconds / FIRST_SECONDS) / Math.log(GROWTH)));
}

/** The upper end of the bucket in which so many of the counted are reached. */
function quantileMs(counts: Uint32Array, wanted: number): number {
  let seen = 0;
  let bucket = 0;
  for (; bucket < BUCKETS - 1; bucket += 1) {
    seen += counts[bucket] as number;
    if (seen >= wanted) break;
  }
  return Number((FIRST_SECONDS * GROWTH ** bucket * 1_000).toPrecision(3));
}
