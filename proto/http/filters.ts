import { ShoalError } from '../base/errors.ts';

/** The `filters` of a list or prune request: values by key. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/**
 * Reads the query parameter: JSON of `{"key": ["value"]}` or the older `{"key": {"value": true}}`. INVALID_ARGUMENT
 * with Docker's words for anything else, and for keys that the object does not have.
 */
export function parseFilters(query: URLSearchParams, keys: readonly string[]): Filters {
  const text = query.get('filters') ?? '';
  if (text === '') return new Map();
  const filters = new Map(Object.entries(parsed(text)).map(([key, values]) => [key, valuesOf(values)]));
  for (const key of filters.keys())
    if (!keys.includes(key)) throw new ShoalError('INVALID_ARGUMENT', `invalid filter '${key}'`);
  return filters;
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below, in the same words as for other things that are no filters.
  }
  throw new ShoalError('INVALID_ARGUMENT', `invalid filter: ${text}`);
}

function valuesOf(values: unknown): string[] {
  if (Array.isArray(values)) return values.map(String);
  if (typeof values === 'object' && values !== null)
    return Object.entries(values).flatMap(([value, on]) => (on === true ? [value] : []));
  throw new ShoalError('INVALID_ARGUMENT', `invalid filter: ${JSON.stringify(values)}`);
}

/** True when the key is not asked for, or one of its values fits. */
export function fits(filters: Filters, key: string, test: (value: string) => boolean): boolean {
  const values = filters.get(key);
  return values === undefined || values.length === 0 || values.some(test);
}

/** Label filters, `name` or `name=value`: all of them hold. */
export function fitsLabels(
  filters: Filters,
  labels: Readonly<Record<string, string>> | null | undefined,
  key = 'label',
): boolean {
  return (filters.get(key) ?? []).every((wanted) => hasLabel(labels ?? {}, wanted));
}

/** `label!` filters of prune: none of them holds. */
export function lacksLabels(
  filters: Filters,
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  return (filters.get('label!') ?? []).every((unwanted) => !hasLabel(labels ?? {}, unwanted));
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf('=');
  if (at < 0) return wanted in labels;
  return labels[wanted.slice(0, at)] === wanted.slice(at + 1);
}

/** A flag among the filters, `true`, `1`, `false`, `0`. INVALID_ARGUMENT for anything else. */
export function flagFilter(filters: Filters, key: string): boolean | undefined {
  const [value] = filters.get(key) ?? [];
  if (value === undefined) return undefined;
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new ShoalError('INVALID_ARGUMENT', `invalid filter '${key}=[${value}]'`);
}

/**
 * A moment as clients write it, in milliseconds since 1970: seconds (`1700000000.5`), RFC 3339, or a Go duration before
 * `nowMs` (`10m`, `1h30m`). INVALID_ARGUMENT otherwise.
 */
export function parseMoment(text: string, nowMs: number): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const ago = durationMs(text);
  if (ago !== undefined) return nowMs - ago;
  const at = Date.parse(text);
  if (Number.isNaN(at))
    throw new ShoalError('INVALID_ARGUMENT', `failed to parse value as time or duration: "${text}"`);
  return at;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

function durationMs(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * (UNIT_MS[unit as string] as number),
    0,
  );
}
