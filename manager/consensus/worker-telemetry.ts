import type { Log, LogFields } from '#proto/base/log.ts';
import type { Labels, Metrics } from '#proto/base/metrics.ts';
import type { FromWorker, LogLevel, MetricDefinition, MetricSample } from './worker-protocol.ts';

/** Samples kept between two flushes; those beyond are lost. */
const SAMPLES_MAX = 20_000;

/** A log whose lines are written by the main thread. */
export function forwardedLog(post: (message: FromWorker) => void, modules: readonly string[] = []): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void =>
      post({ kind: 'log', level, modules, message, fields: fields && cloneable(fields) });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (module) => forwardedLog(post, [...modules, module]),
  };
}

/** Fields that can cross between threads: errors keep what they say, the rest becomes plain data. */
function cloneable(fields: LogFields): Record<string, unknown> {
  const plain = Object.entries(fields).map(([name, value]) => [
    name,
    value instanceof Error ? value : plainOf(value),
  ]);
  return Object.fromEntries(plain) as Record<string, unknown>;
}

function plainOf(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value) ?? 'null') as unknown);
}

/** Metrics that are kept by the main thread: samples are collected, and handed over at each flush. */
export class ForwardedMetrics implements Metrics {
  readonly #post: (message: FromWorker) => void;
  readonly #ids = new Map<string, number>();
  readonly #refreshes = new Set<() => void>();
  #definitions: MetricDefinition[] = [];
  #samples: MetricSample[] = [];

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  counter(name: string, help: string, labelNames: readonly string[] = []) {
    const sample = this.#define({ type: 'counter', name, help, labelNames, buckets: [] });
    return { inc: (by = 1, labels?: Labels) => sample(by, labels) };
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []) {
    return { set: this.#define({ type: 'gauge', name, help, labelNames, buckets: [] }) };
  }

  histogram(name: string, help: string, buckets: readonly number[], labelNames: readonly string[] = []) {
    return { observe: this.#define({ type: 'histogram', name, help, labelNames, buckets }) };
  }

  onScrape(refresh: () => void): () => void {
    this.#refreshes.add(refresh);
    return () => void this.#refreshes.delete(refresh);
  }

  flush(): void {
    for (const refresh of this.#refreshes) refresh();
    if (this.#definitions.length + this.#samples.length === 0) return;
    this.#post({ kind: 'metrics', definitions: this.#definitions, samples: this.#samples });
    this.#definitions = [];
    this.#samples = [];
  }

  #define(definition: Omit<MetricDefinition, 'id'>): (value: number, labels?: Labels) => void {
    const id = this.#ids.get(definition.name) ?? this.#ids.size;
    if (!this.#ids.has(definition.name)) this.#definitions.push({ ...definition, id });
    this.#ids.set(definition.name, id);
    return (value, labels) => {
      if (this.#samples.length < SAMPLES_MAX) this.#samples.push({ id, value, labels });
    };
  }
}

/** The main thread's end: writes the worker's lines and samples where they belong. */
export function receiveTelemetry(log: Log, metrics: Metrics): (message: FromWorker) => void {
  const samplers = new Map<number, (value: number, labels?: Labels) => void>();
  return (message) => {
    if (message.kind === 'log') {
      const target = message.modules.reduce((parent, module) => parent.child(module), log);
      return target[message.level](message.message, message.fields);
    }
    for (const definition of message.definitions) samplers.set(definition.id, samplerOf(metrics, definition));
    for (const { id, value, labels } of message.samples) samplers.get(id)?.(value, labels);
  };
}

function samplerOf(metrics: Metrics, definition: MetricDefinition): (value: number, labels?: Labels) => void {
  const { type, name, help, labelNames, buckets } = definition;
  switch (type) {
    case 'counter': {
      const counter = metrics.counter(name, help, labelNames);
      return (value, labels) => counter.inc(value, labels);
    }
    case 'gauge': {
      const gauge = metrics.gauge(name, help, labelNames);
      return (value, labels) => gauge.set(value, labels);
    }
    case 'histogram': {
      const histogram = metrics.histogram(name, help, buckets, labelNames);
      return (value, labels) => histogram.observe(value, labels);
    }
  }
}
