import type { HealthConfig } from '../../container-types.ts';

/*
 * How values are written in the history of images and in the output of builds, where programs of the field expect
 * the forms of Go's fmt package.
 */

/** `%q` of a string. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\u009f]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`);
}

/** `%q` of a list: `["a" "b"]`. */
export function quotedList(words: readonly string[]): string {
  return `[${words.map(quoted).join(' ')}]`;
}

/** `%q` of a health check. */
export function quotedHealthcheck(config: HealthConfig): string {
  const { Test = [], Interval, Timeout, StartPeriod, StartInterval, Retries = 0 } = config;
  const times = [Interval, Timeout, StartPeriod, StartInterval].map((ns) => quoted(duration(ns ?? 0)));
  return `&{${[quotedList(Test), ...times, quotedChar(Retries)].join(' ')}}`;
}

function quotedChar(code: number): string {
  const printable = code >= 0x20 && code < 0x7f;
  return printable ? `'${String.fromCharCode(code)}'` : `'\\x${code.toString(16).padStart(2, '0')}'`;
}

/** Nanoseconds as Go writes a duration: `1m30s`, `1.5s`, `10ms`, `0s`. */
export function duration(ns: number): string {
  if (ns === 0) return '0s';
  if (ns < 1_000) return `${ns}ns`;
  if (ns < 1_000_000) return `${ns / 1_000}µs`;
  if (ns < 1_000_000_000) return `${ns / 1_000_000}ms`;
  const seconds = ns / 1_000_000_000;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const rest = `${Number((seconds % 60).toFixed(9))}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
