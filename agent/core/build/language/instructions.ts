import type { HealthConfig } from '../../container-types.ts';
import type { Heredoc } from './heredoc.ts';

/*
 * Instructions as they are understood, before variables in them are expanded.
 */

/** A command: a list of words as it is, or a line for the shell. */
export interface CommandLine {
  readonly words: readonly string[];
  /** The words are one line, which the shell of the stage runs. */
  readonly shell: boolean;
  readonly heredocs: readonly Heredoc[];
}

export interface Pair {
  readonly name: string;
  readonly value: string;
}

export interface CopySource {
  /** A path or pattern; of `<<NAME` the name. */
  readonly path: string;
  readonly heredoc?: Heredoc;
}

export interface CopyInstruction {
  readonly kind: 'add' | 'copy';
  readonly sources: readonly CopySource[];
  readonly dest: string;
  /** A stage or image. */
  readonly from?: string;
  readonly chown?: string;
  readonly chmod?: string;
}

export interface RunInstruction {
  readonly kind: 'run';
  readonly command: CommandLine;
  /** `default`, `none` or `host`. */
  readonly network?: string;
}

export type Instruction = { /** As written, in one line. */ readonly text: string } & (
  | { readonly kind: 'arg'; readonly args: readonly { readonly name: string; readonly value?: string }[] }
  | { readonly kind: 'env'; readonly pairs: readonly Pair[] }
  | { readonly kind: 'label'; readonly pairs: readonly Pair[]; readonly literal?: true }
  | { readonly kind: 'maintainer'; readonly name: string }
  | CopyInstruction
  | RunInstruction
  | { readonly kind: 'cmd' | 'entrypoint'; readonly command: CommandLine }
  | { readonly kind: 'healthcheck'; readonly config: HealthConfig }
  | { readonly kind: 'expose'; readonly ports: readonly string[] }
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'workdir'; readonly path: string }
  | { readonly kind: 'volume'; readonly paths: readonly string[] }
  | { readonly kind: 'stopsignal'; readonly signal: string }
  | { readonly kind: 'shell'; readonly words: readonly string[] }
  | { readonly kind: 'onbuild'; readonly expression: string }
);

export interface Stage {
  /** `FROM …` as written. */
  readonly text: string;
  readonly base: string;
  /** In lower case. */
  readonly name?: string;
  readonly platform?: string;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly escape: string;
  /** ARGs before the first FROM. */
  readonly metaArgs: readonly Extract<Instruction, { kind: 'arg' }>[];
  readonly stages: readonly Stage[];
  readonly warnings: readonly string[];
}
