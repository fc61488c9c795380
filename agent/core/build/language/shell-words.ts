/*
 * Words of a Dockerfile as its shell-like rules have them: quotes, escapes, `$name` and `${name…}` with the modifiers
 * of POSIX (`:-` `:+` `:?` and without colon, `#` `##` `%` `%%`) and of bash (`/` `//`).
 */

export interface ExpandOpts {
  /** Backslash, unless the Dockerfile says otherwise. */
  readonly escape: string;
  /** Quotes stay where they are, and still protect what is between them. */
  readonly rawQuotes?: boolean;
  /** Escapes stay where they are, and still protect what follows. */
  readonly rawEscapes?: boolean;
  /** Variables that are not set stay as they are written. */
  readonly keepUnset?: boolean;
}

export type Environment = ReadonlyMap<string, string>;

/** Expands one word. Throws an Error that says what is wrong with it. */
export function expandWord(text: string, env: Environment, opts: ExpandOpts): string {
  return run(text, env, opts).text;
}

/** Expands what may become several words, or none: unquoted values are split at blanks. */
export function expandWords(text: string, env: Environment, opts: ExpandOpts): string[] {
  return run(text, env, opts).words;
}

function run(text: string, env: Environment, opts: ExpandOpts): ReturnType<Expansion['run']> {
  try {
    return new Expansion(text, env, opts).run(undefined);
  } catch (error) {
    const message = `failed to process ${JSON.stringify(text)}: ${(error as Error).message}`;
    throw new Error(message, { cause: error });
  }
}

/** Collects words: blanks that are not quoted end one. */
class Words {
  readonly #done: string[] = [];
  #word = '';
  #inWord = false;

  plain(text: string): void {
    for (const char of text) {
      if (!isBlank(char)) this.quoted(char);
      else if (this.#inWord) this.#end();
    }
  }

  quoted(text: string): void {
    this.#word += text;
    this.#inWord = true;
  }

  #end(): void {
    if (this.#word !== '') this.#done.push(this.#word);
    this.#word = '';
    this.#inWord = false;
  }

  all(): string[] {
    this.#end();
    return this.#done;
  }
}

class Expansion {
  readonly #chars: readonly string[];
  readonly #env: Environment;
  readonly #opts: ExpandOpts;
  #at = 0;

  constructor(text: string, env: Environment, opts: ExpandOpts) {
    this.#chars = [...text];
    this.#env = env;
    this.#opts = opts;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string | undefined {
    return this.#chars[this.#at++];
  }

  /** Up to the end, or to `stop` and past it. */
  run(
    stop: string | undefined,
    rawEscapes = this.#opts.rawEscapes ?? false,
  ): { text: string; words: string[] } {
    const words = new Words();
    let text = '';
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (char === stop) {
        this.#next();
        return { text, words: words.all() };
      }
      const quote = char === "'" || char === '"';
      const part = quote ? this.#quoted(char) : char === '$' ? this.#dollar() : this.#char(rawEscapes);
      text += typeof part === 'string' ? part : part.text;
      if (quote) words.quoted(part as string);
      else if (typeof part === 'string') words.plain(part);
      else words.quoted(part.text);
    }
    if (stop !== undefined) throw new Error(`unexpected end of statement while looking for matching ${stop}`);
    return { text, words: words.all() };
  }

  /** A character by itself, or what an escape protects. */
  #char(rawEscapes: boolean): string | { text: string } {
    const char = this.#next() as string;
    if (char !== this.#opts.escape) return char;
    const protectedChar = this.#next();
    if (protectedChar === undefined) return rawEscapes ? { text: char } : '';
    return { text: (rawEscapes ? char : '') + protectedChar };
  }

  #quoted(quote: string): string {
    this.#next();
    const mark = this.#opts.rawQuotes ? quote : '';
    const inner = quote === "'" ? this.#single() : this.#double();
    return mark + inner + mark;
  }

  /** Everything up to the next single quote, which nothing can escape. */
  #single(): string {
    let text = '';
    for (let char = this.#next(); char !== "'"; char = this.#next()) {
      if (char === undefined)
        throw new Error('unexpected end of statement while looking for matching single-quote');
      text += char;
    }
    return text;
  }

  #double(): string {
    let text = '';
    for (;;) {
      const char = this.#peek();
      if (char === undefined)
        throw new Error('unexpected end of statement while looking for matching double-quote');
      if (char === '$') {
        text += this.#dollar();
        continue;
      }
      this.#next();
      if (char === '"') return text;
      text += char === this.#opts.escape ? this.#escapeInDouble() : char;
    }
  }

  /** Within double quotes only these can be escaped; before anything else the escape stands for itself. */
  #escapeInDouble(): string {
    const { escape: mark, rawEscapes } = this.#opts;
    const next = this.#peek();
    if (next === undefined) return rawEscapes ? mark : '';
    if (next !== '"' && next !== '$' && next !== mark) return mark;
    this.#next();
    return (rawEscapes ? mark : '') + next;
  }

  #dollar(): string {
    this.#next();
    if (this.#peek() === '{') return this.#braces();
    const name = this.#name();
    if (name === '') return '$';
    const value = this.#env.get(name);
    return value ?? (this.#opts.keepUnset ? `$${name}` : '');
  }

  #braces(): string {
    this.#next();
    const first = this.#peek();
    if (first === undefined) throw new Error("syntax error: missing '}'");
    if (first === '{' || first === '}' || first === ':') throw new Error('syntax error: bad substitution');
    const name = this.#name();
    const char = this.#next();
    if (char === '}') return this.#env.get(name) ?? (this.#opts.keepUnset ? `\${${name}}` : '');
    if (char === undefined) throw new Error("syntax error: missing '}'");
    return this.#modified(name, char);
  }

  #modified(name: string, char: string): string {
    const modifier = char === ':' ? char + (this.#next() ?? '') : this.#doubled(char);
    const kind = modifier.at(-1) as string;
    const isPattern = ['#', '%', '/'].includes(kind) && char !== ':';
    if (!isPattern && !['-', '+', '?'].includes(kind)) {
      throw new Error(`unsupported modifier (${modifier}) in substitution`);
    }
    const word = this.#operand('}', isPattern);
    const value = this.#env.get(name);
    if (value === undefined && this.#opts.keepUnset) return `\${${name}${modifier}${word}}`;
    if (isPattern) return patternModified(value ?? '', modifier, word);
    return chosen(name, value, modifier, word);
  }

  #doubled(char: string): string {
    if (!['#', '%', '/'].includes(char) || this.#peek() !== char) return char;
    this.#next();
    return char + char;
  }

  #operand(stop: string, rawEscapes: boolean): string {
    try {
      return this.run(stop, rawEscapes).text;
    } catch (error) {
      if (this.#peek() === undefined) throw new Error("syntax error: missing '}'", { cause: error });
      throw error;
    }
  }

  /** Letters, digits and underscores; a number; or one of the shell's special parameters. */
  #name(): string {
    const rest = this.#chars.slice(this.#at).join('');
    const name = /^(\d+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*)/u.exec(rest)?.[0] ?? '';
    this.#at += [...name].length;
    return name;
  }
}

/** `-` a value for none, `+` a value for any, `?` an error for none; after a colon, empty counts as none. */
function chosen(name: string, value: string | undefined, modifier: string, word: string): string {
  const isEmpty = value === '' && modifier.startsWith(':');
  const isSet = value !== undefined && !isEmpty;
  switch (modifier.at(-1)) {
    case '-':
      return isSet ? value : word;
    case '+':
      return isSet ? word : '';
    default: {
      if (isSet) return value;
      const otherwise = `is not allowed to be ${isEmpty ? 'empty' : 'unset'}`;
      throw new Error(`${name}: ${word === '' ? otherwise : word}`);
    }
  }
}

function patternModified(value: string, modifier: string, word: string): string {
  switch (modifier) {
    case '#':
      return value.replace(new RegExp(`^${patternSource(word, false)}`, 's'), '');
    case '##':
      return value.replace(new RegExp(`^${patternSource(word, true)}`, 's'), '');
    case '%':
      return withoutSuffix(value, word, false);
    case '%%':
      return withoutSuffix(value, word, true);
    default: {
      const [, pattern = '', by = ''] = /^((?:\\.|[^\\/])*)(?:\/(.*))?$/s.exec(word) ?? [];
      if (pattern === '') return value;
      return value.replace(new RegExp(patternSource(pattern, true), modifier === '//' ? 'gs' : 's'), () =>
        unescaped(by),
      );
    }
  }
}

function withoutSuffix(value: string, pattern: string, longest: boolean): string {
  const whole = new RegExp(`^${patternSource(pattern, true)}$`, 's');
  const cuts = Array.from({ length: value.length + 1 }, (_item, index) =>
    longest ? index : value.length - index,
  );
  const cut = cuts.find((at) => whole.test(value.slice(at)));
  return cut === undefined ? value : value.slice(0, cut);
}

function patternSource(pattern: string, greedy: boolean): string {
  return pattern.replace(/\\(.)|./gs, (part, escaped: string | undefined) => {
    if (escaped !== undefined) return literal(escaped);
    if (part === '*') return greedy ? '.*' : '.*?';
    return part === '?' ? '.' : literal(part);
  });
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, '$1');
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

function isBlank(char: string): boolean {
  return /\s/.test(char);
}
