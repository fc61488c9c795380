import { expandWord, expandWords } from './shell-words.ts';

/** `<<NAME`: lines that follow the instruction, up to one that is NAME alone. */
export interface Heredoc {
  readonly name: string;
  /** `<<-`: tabs in front of each line are no part of it. */
  readonly chomp: boolean;
  /** The name was not quoted: variables in the content are expanded. */
  readonly expand: boolean;
  readonly content: string;
}

/** Instructions that may have them. */
export const HEREDOC_KEYWORDS: readonly string[] = ['add', 'copy', 'run'];

const MARK = /^\d*<<(-?)([^<]*)$/s;

/** What a word announces, without content yet. Undefined for a word that announces nothing. */
export function heredocOf(word: string, escapeChar: string): Omit<Heredoc, 'content'> | undefined {
  const match = MARK.exec(word);
  const rest = match?.[2];
  if (!match || rest === undefined || rest === '') return undefined;
  const plain = expandWord(rest, new Map(), { escape: escapeChar });
  const names = expandWords(rest, new Map(), { escape: escapeChar, rawQuotes: true, keepUnset: true });
  if (names.length !== 1 || /\s/.test(plain)) return undefined;
  return { name: plain, chomp: match[1] === '-', expand: plain === rest };
}

/** Those that a line announces, in order. */
export function heredocsOf(line: string, escapeChar: string): Omit<Heredoc, 'content'>[] {
  if (!line.includes('<<')) return [];
  const words = expandWords(line, new Map(), {
    escape: escapeChar,
    rawQuotes: true,
    rawEscapes: true,
    keepUnset: true,
  });
  return words.map((word) => heredocOf(word, escapeChar)).filter((heredoc) => heredoc !== undefined);
}

/** The content as it is meant: of `<<-` without the tabs in front. */
export function contentOf(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.content.replace(/^\t+/gm, '') : heredoc.content;
}
