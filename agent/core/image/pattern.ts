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
