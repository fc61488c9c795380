import { ShoalError } from '#proto/base/errors.ts';
import { type PatternPart, partOf, regexOf } from '../image/pattern.ts';

/*
 * `.dockerignore`: patterns of paths, each a shell pattern with `**` for any folders; `!` takes back. The last that
 * matches a path, or a folder above it, decides.
 */

interface Pattern {
  readonly regex: RegExp;
  readonly except: boolean;
}

export class IgnorePatterns {
  readonly #patterns: readonly Pattern[];

  /** INVALID_ARGUMENT for malformed patterns. */
  constructor(file: string) {
    this.#patterns = linesOf(file).map(patternOf);
  }

  get isEmpty(): boolean {
    return this.#patterns.length === 0;
  }

  /** `path` is relative to the context, with slashes. */
  matches(path: string): boolean {
    const parts = path.split('/');
    const prefixes = parts.map((_part, index) => parts.slice(0, index + 1).join('/'));
    return this.#patterns.reduce((ignored, { regex, except }) => {
      if (ignored !== except) return ignored;
      return prefixes.some((prefix) => regex.test(prefix)) ? !except : ignored;
    }, false);
  }
}

function linesOf(file: string): string[] {
  return file
    .replace(/^\ufeff/, '')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function patternOf(line: string): Pattern {
  const except = line.startsWith('!');
  const text = cleaned(except ? line.slice(1).trim() : line);
  if (text === '') throw new ShoalError('INVALID_ARGUMENT', 'illegal exclusion pattern: "!"');
  const source = sourceOf(text);
  const regex = source === undefined ? undefined : regexOf(source);
  if (regex) return { regex, except };
  throw new ShoalError('INVALID_ARGUMENT', `error from .dockerignore: syntax error in pattern: ${line}`);
}

/** Without `.`, `..` and doubled slashes, and relative. */
function cleaned(pattern: string): string {
  const parts: string[] = [];
  for (const part of pattern.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..' || !pattern.startsWith('/')) parts.push(part);
  }
  return parts.length === 0 && pattern !== '' ? '.' : parts.join('/');
}

/** Undefined when the pattern is malformed. */
function sourceOf(pattern: string): string | undefined {
  let source = '';
  for (let at = 0; at < pattern.length; ) {
    const part = pattern.startsWith('**', at) ? anyFolders(pattern, at) : partOf(pattern, at);
    if (!part) return undefined;
    source += part.source;
    at = part.end;
  }
  return source;
}

/** `**` at the end is everything, before that any number of folders. */
function anyFolders(pattern: string, at: number): PatternPart {
  const end = at + (pattern[at + 2] === '/' ? 3 : 2);
  return { source: end === pattern.length ? '.*' : '(.*/)?', end };
}
