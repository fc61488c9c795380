/*
 * How the rest of an instruction falls into words, before anything in them is expanded.
 */

/** Flags at the front, and what follows them. */
export interface FlagsAndRest {
  readonly flags: string[];
  readonly rest: string;
}

const BLANKS = /[\t\v\f\r ]+/;

/** The first word and the rest. */
export function splitFirst(text: string): [first: string, rest: string | undefined] {
  const match = BLANKS.exec(text);
  return match ? [text.slice(0, match.index), text.slice(match.index + match[0].length)] : [text, undefined];
}

export function splitAtBlanks(text: string): string[] {
  return text === '' ? [] : text.split(BLANKS);
}

/** `--name`, `--name=value`, … in front; `--` ends them. Quotes and escapes in them are taken away. */
export function takeFlags(line: string): FlagsAndRest {
  const flags: string[] = [];
  let rest = line;
  for (;;) {
    rest = rest.replace(/^\s+/, '');
    if (!rest.startsWith('--')) return { flags, rest };
    const { word, length } = firstWord(rest);
    rest = rest.slice(length);
    if (word === '--') return { flags, rest };
    flags.push(word);
  }
}

function firstWord(text: string): { word: string; length: number } {
  let word = '';
  let quote = '';
  let at = 0;
  for (; at < text.length; at++) {
    let char = text[at] as string;
    if (quote === '' && /\s/.test(char)) break;
    if (quote === '' && (char === "'" || char === '"')) quote = char;
    else if (char === quote) quote = '';
    else {
      if (char === '\\') {
        at += 1;
        char = text[at] ?? '';
      }
      word += char;
    }
  }
  return { word, length: at };
}

/** Words at blanks that are neither quoted nor escaped; quotes and escapes stay in them. */
export function splitWords(text: string, escapeChar: string): string[] {
  const chars = [...text];
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    if (quote === '' && /\s/.test(char)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    if (char === escapeChar && quote !== "'") {
      // At the very end there is nothing it could protect.
      if (at === chars.length - 1) continue;
      at += 1;
      word += char + (chars[at] as string);
      continue;
    }
    if (quote === '' && (char === "'" || char === '"')) quote = char;
    else if (char === quote) quote = '';
    word += char;
  }
  if (word !== '') words.push(word);
  return words;
}

/** A JSON array of strings; undefined when it is no JSON array, an Error when something else than strings is in it. */
export function parseJsonWords(text: string): string[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  if (!parsed.every((item) => typeof item === 'string')) {
    throw new Error('when using JSON array syntax, arrays must be comprised of strings only');
  }
  return parsed as string[];
}
