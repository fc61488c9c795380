import { HEREDOC_KEYWORDS, type Heredoc, heredocsOf } from './heredoc.ts';
import { parseJsonWords, splitAtBlanks, splitFirst, splitWords, takeFlags } from './split.ts';

/** One instruction, split into words and not yet understood. */
export interface DockerfileNode {
  /** As written. */
  readonly name: string;
  readonly flags: readonly string[];
  /** Words; of ENV and LABEL name, value and `=` (or nothing for the old form) in turn. */
  readonly args: readonly string[];
  /** They were a JSON array. */
  readonly json: boolean;
  /** Of ONBUILD. */
  readonly child?: DockerfileNode;
  /** The line with its continuations, without heredocs. */
  readonly original: string;
  readonly heredocs: readonly Heredoc[];
  /** Lines count from 1. */
  readonly startLine: number;
  readonly endLine: number;
}

export interface ParsedDockerfile {
  readonly escape: string;
  readonly nodes: readonly DockerfileNode[];
  readonly warnings: readonly string[];
}

/** What is wrong with a Dockerfile, and where. */
export class DockerfileError extends Error {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.name = 'DockerfileError';
    this.line = line;
  }
}

const DIRECTIVE = /^#[ \t]*([a-zA-Z][a-zA-Z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*$/;
const DIRECTIVES = ['escape', 'syntax', 'check'];

/** Splits a Dockerfile into instructions. Throws DockerfileError. */
export function parseDockerfile(text: string): ParsedDockerfile {
  const parser = new Parser(text);
  const nodes: DockerfileNode[] = [];
  for (let node = parser.next(); node !== undefined; node = parser.next()) nodes.push(node);
  if (nodes.length === 0) throw new DockerfileError('file with no instructions', parser.line);
  return { escape: parser.escape, nodes, warnings: parser.warnings };
}

class Parser {
  readonly #lines: readonly string[];
  readonly #seen = new Set<string>();
  readonly warnings: string[] = [];
  #mayBeDirective = true;
  /** Number of lines read. */
  line = 0;
  escape = '\\';

  constructor(text: string) {
    this.#lines = text.replace(/^\ufeff/, '').match(/[^\n]*\n|[^\n]+$/g) ?? [];
  }

  /** The next instruction; undefined at the end. */
  next(): DockerfileNode | undefined {
    for (let raw = this.#read(); raw !== undefined; raw = this.#read()) {
      const startLine = this.line;
      const trimmed = withoutNewline(raw).trimStart();
      this.#directive(trimmed);
      const first = trimmed.startsWith('#') ? '' : trimmed;
      const { text, isEnd } = this.#continuation(first);
      if (isEnd && text === '') continue;
      const line = isEnd ? text : text + this.#continued(text);
      if (line.trim() === '') continue;
      return this.#node(line, startLine);
    }
    return undefined;
  }

  #read(): string | undefined {
    const line = this.#lines[this.line];
    if (line !== undefined) this.line += 1;
    return line;
  }

  /** Comments at the top that say how the file is to be read; the first other line ends them. */
  #directive(line: string): void {
    if (!this.#mayBeDirective) return;
    const match = DIRECTIVE.exec(line);
    if (!match) {
      this.#mayBeDirective = false;
      return;
    }
    const name = (match[1] as string).toLowerCase();
    if (!DIRECTIVES.includes(name)) return;
    if (this.#seen.has(name)) throw this.#error(`only one ${name} parser directive can be used`);
    this.#seen.add(name);
    if (name === 'escape') this.#setEscape(match[2] as string);
  }

  #setEscape(value: string): void {
    if (value !== '\\' && value !== '`') {
      throw this.#error(`invalid escape token '${value}' does not match \` or \\`);
    }
    this.escape = value;
  }

  /** A line ends with one escape character, and blanks perhaps, when it goes on. */
  #continuation(line: string): { text: string; isEnd: boolean } {
    const bare = line.replace(/[ \t]+$/, '');
    const before = bare.at(-2);
    if (bare.at(-1) !== this.escape || before === this.escape) return { text: line, isEnd: true };
    return { text: bare.slice(0, -1), isEnd: false };
  }

  #continued(first: string): string {
    let text = '';
    let hasEmpty = false;
    for (let raw = this.#read(); raw !== undefined; raw = this.#read()) {
      const line = withoutNewline(raw);
      if (line.trimStart().startsWith('#')) continue;
      if (line.trim() === '') {
        hasEmpty = true;
        continue;
      }
      const { text: part, isEnd } = this.#continuation(line);
      text += part;
      if (isEnd) break;
    }
    if (hasEmpty) this.warnings.push(`[WARNING]: Empty continuation line found in:\n    ${first}${text}`);
    return text;
  }

  #node(line: string, startLine: number): DockerfileNode {
    const split = this.#split(line);
    const heredocs = HEREDOC_KEYWORDS.includes(split.name.toLowerCase())
      ? this.#heredocs(line, startLine)
      : [];
    return located(split, heredocs, startLine, this.line);
  }

  #heredocs(line: string, startLine: number): Heredoc[] {
    let announced: Omit<Heredoc, 'content'>[];
    try {
      announced = heredocsOf(line, this.escape);
    } catch {
      // A line that can't be split by the shell's rules is the shell's to complain about.
      return [];
    }
    return announced.map((heredoc) => ({ ...heredoc, content: this.#until(heredoc, startLine) }));
  }

  #until({ name, chomp }: Omit<Heredoc, 'content'>, startLine: number): string {
    let content = '';
    for (let raw = this.#read(); raw !== undefined; raw = this.#read()) {
      const line = withoutNewline(raw);
      if ((chomp ? line.replace(/^\t+/, '') : line) === name) return content;
      content += raw;
    }
    throw new DockerfileError('unterminated heredoc', startLine);
  }

  #split(line: string): Split {
    try {
      return splitInstruction(line, this.escape);
    } catch (error) {
      throw this.#error((error as Error).message);
    }
  }

  #error(message: string): DockerfileError {
    return new DockerfileError(message, this.line);
  }
}

interface Split extends Pick<DockerfileNode, 'name' | 'flags' | 'args' | 'json' | 'original'> {
  readonly child?: Split;
}

function splitInstruction(line: string, escapeChar: string): Split {
  const original = line.trim();
  const [name, rest = ''] = splitFirst(original);
  const { flags, rest: text } = takeFlags(rest);
  const args = text.trim();
  const keyword = name.toLowerCase();
  if (keyword === 'onbuild' && args !== '') {
    return { name, flags, args: [], json: false, original, child: splitInstruction(args, escapeChar) };
  }
  return { name, flags, original, ...argsOf(keyword, args, escapeChar) };
}

function located(
  split: Split,
  heredocs: readonly Heredoc[],
  startLine: number,
  endLine: number,
): DockerfileNode {
  const { child, ...rest } = split;
  return {
    ...rest,
    heredocs,
    startLine,
    endLine,
    ...(child && { child: located(child, [], startLine, endLine) }),
  };
}

type Args = Pick<DockerfileNode, 'args' | 'json'>;

function argsOf(keyword: string, text: string, escapeChar: string): Args {
  switch (keyword) {
    case 'cmd':
    case 'entrypoint':
    case 'run':
    case 'shell':
      return jsonOr(text, (rest) => (rest === '' ? [] : [rest]));
    case 'add':
    case 'copy':
    case 'volume':
      return jsonOr(text, splitAtBlanks);
    case 'env':
    case 'label':
      return words(pairs(text, keyword, escapeChar));
    case 'arg':
      return words(splitWords(text, escapeChar));
    case 'expose':
    case 'from':
      return words(splitAtBlanks(text));
    case 'healthcheck':
      return healthcheckArgs(text);
    case 'maintainer':
    case 'stopsignal':
    case 'user':
    case 'workdir':
      return words(text === '' ? [] : [text]);
    default:
      return words([]);
  }
}

function words(args: readonly string[]): Args {
  return { args, json: false };
}

function jsonOr(text: string, otherwise: (text: string) => string[]): Args {
  const parsed = parseJsonWords(text);
  return parsed ? { args: parsed, json: true } : words(otherwise(text));
}

function healthcheckArgs(text: string): Args {
  const [type, rest] = splitFirst(text);
  if (type === '') return words([]);
  const { args, json } = jsonOr(rest?.trim() ?? '', (command) => (command === '' ? [] : [command]));
  return { args: [type, ...args], json };
}

/** `name=value …`, or the old `name value`. */
function pairs(text: string, keyword: string, escapeChar: string): string[] {
  const found = splitWords(text, escapeChar);
  const [first] = found;
  if (first === undefined) return [];
  if (!first.includes('=')) {
    const [name, value] = splitFirst(text);
    if (value === undefined) throw new Error(`${keyword.toUpperCase()} must have two arguments`);
    return [name, value, ''];
  }
  return found.flatMap((word) => {
    const equals = word.indexOf('=');
    if (equals < 0) {
      throw new Error(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    }
    return [word.slice(0, equals), word.slice(equals + 1), '='];
  });
}

function withoutNewline(line: string): string {
  return line.replace(/[\r\n]+$/, '');
}
