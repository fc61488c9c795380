/** Label values of one sample, in base units (seconds, bytes). */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  inc(by?: number, labels?: Labels): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/**
 * The small face of the metrics library that rooms see; the library itself lives at the composition root.
 * Asking twice for one name gives the same metric. Names end in their unit: `_seconds`, `_bytes`, `_total`.
 */
export interface Metrics {
  counter(name: string, help: string, labelNames?: readonly string[]): Counter;
  gauge(name: string, help: string, labelNames?: readonly string[]): Gauge;
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames?: readonly string[],
  ): Histogram;
  /**
   * Runs before each scrape, to set gauges whose value is only worth computing when somebody looks; the returned
   * function ends it.
   */
  onScrape(refresh: () => void): () => void;
}

const ignore = (): void => undefined;

/** Measures nothing; for tests and tools. */
export const nullMetrics: Metrics = {
  counter: () => ({ inc: ignore }),
  gauge: () => ({ set: ignore }),
  histogram: () => ({ observe: ignore }),
  onScrape: () => ignore,
};
