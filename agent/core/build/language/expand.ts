import { contentOf } from './heredoc.ts';
import type { CopyInstruction, Instruction, Pair } from './instructions.ts';
import { type Environment, expandWord, expandWords } from './shell-words.ts';

/** An instruction with its variables expanded, where the language says that they are. Throws an Error. */
export function expanded(instruction: Instruction, env: Environment, escapeChar: string): Instruction {
  const word = (text: string): string => expandWord(text, env, { escape: escapeChar });
  switch (instruction.kind) {
    case 'arg':
      return {
        ...instruction,
        args: instruction.args.map(({ name, value }) => ({
          name: word(name),
          ...(value !== undefined && { value: word(value) }),
        })),
      };
    case 'env':
      return { ...instruction, pairs: pairs(instruction.pairs, word) };
    case 'label':
      return instruction.literal ? instruction : { ...instruction, pairs: pairs(instruction.pairs, word) };
    case 'add':
    case 'copy':
      return { ...instruction, ...copy(instruction, word, env, escapeChar) };
    case 'expose': {
      // The one place where a variable may become several words.
      const ports = instruction.ports.flatMap((port) => expandWords(port, env, { escape: escapeChar }));
      return { ...instruction, ports };
    }
    case 'user':
      return { ...instruction, user: word(instruction.user) };
    case 'workdir':
      return { ...instruction, path: word(instruction.path) };
    case 'volume':
      return { ...instruction, paths: instruction.paths.map(word) };
    case 'stopsignal':
      return { ...instruction, signal: word(instruction.signal) };
    default:
      return instruction;
  }
}

function pairs(list: readonly Pair[], word: (text: string) => string): Pair[] {
  return list.map(({ name, value }) => ({ name: word(name), value: word(value) }));
}

function copy(
  { sources, dest, chown, chmod }: CopyInstruction,
  word: (text: string) => string,
  env: Environment,
  escapeChar: string,
): Pick<CopyInstruction, 'sources' | 'dest' | 'chown' | 'chmod'> {
  const raw = { escape: escapeChar, rawQuotes: true, rawEscapes: true } as const;
  return {
    sources: sources.map(({ path, heredoc }) => {
      if (!heredoc) return { path: word(path) };
      const content = contentOf(heredoc);
      return {
        path,
        heredoc: { ...heredoc, content: heredoc.expand ? expandWord(content, env, raw) : content },
      };
    }),
    dest: word(dest),
    ...(chown !== undefined && { chown: word(chown) }),
    ...(chmod !== undefined && { chmod: word(chmod) }),
  };
}
