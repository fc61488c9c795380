/** Shell patterns as Go's path.Match has them: `*` and `?` stop at slashes, `[a-z]` and `[^a-z]` are sets. */
export function matchesPattern(pattern: string, text: string): boolean {
  return patternOf(pattern)?.test(text) ?? false;
}

/** Undefined when the pattern is malformed. */
export function patternOf(pattern: string): RegExp | undefined {
  let source = '';
  for (let at = 0; at < pattern.length; ) {
    const part = partOf(pattern, at);
    if (!part) return undefined;
    source += part.source;
    at = part.end;
  }
  return regexOf(source);
}

/** A piece of a pattern as a piece of a regular expression, and where the next begins. */
export interface PatternPart {
  readonly source: string;
  readonly end: number;
}

/** The piece that begins at `at`; undefined when it is malformed. */
export function partOf(pattern: string, at: number): PatternPart | undefined {
  const char = pattern[at] as string;
  if (char === '*') return { source: '[^/]*', end: at + 1 };
  if (char === '?') return { source: '[^/]', end: at + 1 };
  if (char === '[') return setOf(pattern, at);
  if (char !== '\\') return { source: literal(char), end: at + 1 };
  const escaped = pattern[at + 1];
  return escaped === undefined ? undefined : { source: literal(escaped), end: at + 2 };
}

const SET = /\[(\^?)((?:\\.|[^\]\\])+)\]/sy;

function setOf(pattern: string, at: number): PatternPart | undefined {
  SET.lastIndex = at;
  const match = SET.exec(pattern);
  if (!match) return undefined;
  const [all, negated, items = ''] = match;
  const source = items.replace(/\\(.)|[[^]/gs, (item, escaped: string | undefined) => inSet(escaped ?? item));
  return { source: `[${negated}${source}]`, end: at + all.length };
}

function inSet(char: string): string {
  return /[\\\][^-]/.test(char) ? `\\${char}` : char;
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** A regular expression for the whole of a text; undefined when the source is none. */
export function regexOf(source: string): RegExp | undefined {
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch {
    return undefined;
  }
}
