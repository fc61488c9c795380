import { ShoalError } from '#proto/base/errors.ts';

/** The `filters` of a query: each key with its values. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/**
 * Parses `filters`: a JSON map of key to list of values, or to a map of values (before API 1.22).
 * INVALID_ARGUMENT for malformed ones and for keys that are not among `known`, with Docker's words.
 */
export function parseFilters(text: string | null, known: readonly string[]): Filters {
  const filters = new Map<string, readonly string[]>();
  if (text === null || text === '') return filters;
  for (const [key, value] of Object.entries(parseObject(text))) {
    if (!known.includes(key)) throw new ShoalError('INVALID_ARGUMENT', `invalid filter '${key}'`);
    filters.set(key, valuesOf(value));
  }
  return filters;
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new ShoalError('INVALID_ARGUMENT', 'invalid filter');
}

function valuesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  if (typeof value === 'object' && value !== null) return Object.keys(value);
  throw new ShoalError('INVALID_ARGUMENT', 'invalid filter');
}

/** The one boolean value of a key. INVALID_ARGUMENT for anything but true, false, 1 and 0. */
export function boolFilter(filters: Filters, key: string, otherwise: boolean): boolean {
  const values = filters.get(key);
  if (values === undefined || values.length === 0) return otherwise;
  const isTrue = values.some((value) => value === 'true' || value === '1');
  const isFalse = values.some((value) => value === 'false' || value === '0');
  if (isTrue === isFalse)
    throw new ShoalError('INVALID_ARGUMENT', `invalid filter '${key}=${JSON.stringify(values)}'`);
  return isTrue;
}

/** True when the labels have all of these, given as `key` or `key=value`. */
export function hasLabels(
  labels: Readonly<Record<string, string>> | null | undefined,
  wanted: readonly string[],
): boolean {
  return wanted.every((text) => {
    const equals = text.indexOf('=');
    if (equals < 0) return labels?.[text] !== undefined;
    return labels?.[text.slice(0, equals)] === text.slice(equals + 1);
  });
}

/** Shell patterns as Go's path.Match has them: `*` and `?` stop at slashes, `[a-z]` and `[^a-z]` are sets. */
export function matchesPattern(pattern: string, text: string): boolean {
  return patternOf(pattern)?.test(text) ?? false;
}

/** Undefined when the pattern is malformed. */
export function patternOf(pattern: string): RegExp | undefined {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const set = /^\[(\^?)((?:\\.|[^\]\\])+)\]/s.exec(pattern.slice(at));
      if (!set) return undefined;
      source += `[${set[1]}${(set[2] as string).replace(/[[^]/g, '\\$&')}]`;
      at += set[0].length - 1;
    } else if (char === '\\') {
      at += 1;
      if (at === pattern.length) return undefined;
      source += escaped(pattern[at] as string);
    } else source += escaped(char);
  }
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch {
    return undefined;
  }
}

function escaped(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
