import { ShoalError } from '#proto/base/errors.ts';

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
  try {
    return { regex: new RegExp(`^${sourceOf(text)}$`, 'su'), except };
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `error from .dockerignore: syntax error in pattern: ${line}`, {
      cause: error,
    });
  }
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

function sourceOf(pattern: string): string {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === '*' && pattern[at + 1] === '*') {
      at += pattern[at + 2] === '/' ? 2 : 1;
      source += at === pattern.length - 1 ? '.*' : '(.*/)?';
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const end = pattern.indexOf(']', at + 2);
      if (end < 0) throw new Error('unterminated set');
      source += pattern
        .slice(at, end + 1)
        .replace(/\[(?!$)/g, (found, offset: number) => (offset === 0 ? found : '\\['));
      at = end;
    } else if (char === '\\') {
      at += 1;
      if (at === pattern.length) throw new Error('nothing to escape');
      source += literal(pattern[at] as string);
    } else source += literal(char);
  }
  return source;
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
