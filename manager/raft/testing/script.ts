/*
 * Scripts: a command with its arguments, perhaps lines of input, a line of four dashes, and what is to be printed up to
 * the next empty line. Lines that begin with # are for the reader.
 */

/** `key`, `key=value` or `key=(value, value)`. */
export interface ScriptArg {
  readonly key: string;
  readonly values: readonly string[];
}

/** One command of a script. */
export interface ScriptCase {
  /** Of the command, counted from 1. */
  readonly line: number;
  readonly command: string;
  readonly args: readonly ScriptArg[];
  readonly input: readonly string[];
  readonly expected: string;
}

/** A command that printed something else. */
export interface ScriptMismatch {
  readonly line: number;
  readonly command: string;
  readonly expected: string;
  readonly actual: string;
}

const ARGUMENT = /([^\s=]+)(?:=(\([^)]*\)|\S*))?/g;

/** The commands of a script, in order. */
export function parseScript(text: string): ScriptCase[] {
  const lines = text.split('\n');
  const cases: ScriptCase[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] as string;
    if (line.trim() === '' || line.startsWith('#')) {
      at += 1;
      continue;
    }
    const separator = lines.indexOf('----', at);
    if (separator < 0) throw new Error(`line ${at + 1}: "${line}" has no ----`);
    let end = separator + 1;
    while (end < lines.length && lines[end] !== '') end += 1;
    cases.push(parseCase(lines, at, separator, end));
    at = end;
  }
  return cases;
}

function parseCase(lines: readonly string[], at: number, separator: number, end: number): ScriptCase {
  const [command, ...args] = parseArgs(lines[at] as string);
  return {
    line: at + 1,
    command: (command as ScriptArg).key,
    args,
    input: lines.slice(at + 1, separator),
    expected: lines.slice(separator + 1, end).join('\n'),
  };
}

function parseArgs(line: string): ScriptArg[] {
  return [...line.matchAll(ARGUMENT)].map(([, key, value = '']) => ({
    key: key as string,
    values: value
      .replace(/[()]/g, '')
      .split(/[\s,]+/)
      .filter((part) => part !== ''),
  }));
}

/** Runs a script against `handle`, which says what a command prints; what it throws is printed, too. */
export function runScript(text: string, handle: (script: ScriptCase) => string): ScriptMismatch[] {
  return parseScript(text).flatMap((script) => {
    const actual = handle(script).trimEnd();
    const { line, command, expected } = script;
    return actual === expected ? [] : [{ line, command, expected, actual }];
  });
}
