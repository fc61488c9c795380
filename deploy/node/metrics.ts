import * as prom from 'prom-client';
import type { Counter, Gauge, Histogram, Metrics } from '#proto/base/metrics.ts';

/** The metrics of a daemon, and the text a scrape gets. */
export interface MetricsRegistry extends Metrics {
  /** In Prometheus' text format. */
  scrape(): Promise<string>;
}

/** Metrics of their own for each daemon: nothing is shared between several in one process. */
export function openMetrics(): MetricsRegistry {
  const registry = new prom.Registry();
  prom.collectDefaultMetrics({ register: registry });
  const refreshers = new Set<() => void>();
  const known = new Map<string, unknown>();
  const once = <T>(name: string, make: () => T): T => {
    const metric = (known.get(name) as T | undefined) ?? make();
    known.set(name, metric);
    return metric;
  };
  const common = (name: string, help: string, labelNames: readonly string[] = []) => {
    return { name, help, labelNames: [...labelNames], registers: [registry] };
  };
  return {
    counter: (name, help, labels) =>
      once(name, () => counterOver(new prom.Counter(common(name, help, labels)))),
    gauge: (name, help, labels) => once(name, () => gaugeOver(new prom.Gauge(common(name, help, labels)))),
    histogram: (name, help, buckets, labels) =>
      once(name, () =>
        histogramOver(new prom.Histogram({ ...common(name, help, labels), buckets: [...buckets] })),
      ),
    onScrape(refresh) {
      refreshers.add(refresh);
      return () => void refreshers.delete(refresh);
    },
    scrape() {
      for (const refresh of refreshers) refresh();
      return registry.metrics();
    },
  };
}

function counterOver(counter: prom.Counter<string>): Counter {
  return { inc: (by = 1, labels = {}) => counter.inc(labels, by) };
}

function gaugeOver(gauge: prom.Gauge<string>): Gauge {
  return { set: (value, labels = {}) => gauge.set(labels, value) };
}

function histogramOver(histogram: prom.Histogram<string>): Histogram {
  return { observe: (value, labels = {}) => histogram.observe(labels, value) };
}
