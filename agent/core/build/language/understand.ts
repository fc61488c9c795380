import { ShoalError } from '#proto/base/errors.ts';
import type { HealthConfig } from '../../container-types.ts';
import { parseDuration } from '../../image/duration.ts';
import { type FlagKind, readFlags } from './flags.ts';
import { heredocOf } from './heredoc.ts';
import type { CommandLine, CopySource, Dockerfile, Instruction, Pair, Stage } from './instructions.ts';
import { DockerfileError, type DockerfileNode, parseDockerfile } from './parser.ts';

const NO_INSTRUCTIONS = 'file with no instructions';
const NO_STAGE = 'no build stage in current context';

/** Reads a Dockerfile. INVALID_ARGUMENT with Docker's words for what is wrong with it, and the line. */
export function readDockerfile(text: string): Dockerfile {
  const {
    nodes,
    escape: escapeChar,
    warnings,
  } = said(
    () => parseDockerfile(text),
    ({ message, line }) =>
      `failed to parse Dockerfile: ${message}${message === NO_INSTRUCTIONS ? '' : ` (line ${line})`}`,
  );
  const stages = said(
    () => stagesOf(nodes, escapeChar),
    ({ message, line }) => (message === NO_STAGE ? '' : `dockerfile parse error on line ${line}: `) + message,
  );
  return { escape: escapeChar, warnings: allWarnings(warnings), ...stages };
}

function said<T>(work: () => T, words: (error: DockerfileError) => string): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    throw new ShoalError('INVALID_ARGUMENT', words(error), { cause: error });
  }
}

function allWarnings(warnings: readonly string[]): string[] {
  if (warnings.length === 0) return [];
  return [...warnings, '[WARNING]: Empty continuation lines will become errors in a future release.'];
}

function stagesOf(
  nodes: readonly DockerfileNode[],
  escapeChar: string,
): Pick<Dockerfile, 'metaArgs' | 'stages'> {
  const metaArgs: Extract<Instruction, { kind: 'arg' }>[] = [];
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const node of nodes) {
    if (node.name.toLowerCase() === 'from') {
      stages.push({ ...at(node, () => fromOf(node)), instructions: [] });
      continue;
    }
    const instruction = at(node, () => understand(node, escapeChar));
    const stage = stages.at(-1);
    if (stage) stage.instructions.push(instruction);
    else if (instruction.kind === 'arg') metaArgs.push(instruction);
    else throw new DockerfileError(NO_STAGE, node.startLine);
  }
  return { metaArgs, stages };
}

function at<T>(node: DockerfileNode, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new DockerfileError((error as Error).message, node.startLine);
  }
}

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

function fromOf(node: DockerfileNode): Stage {
  const flags = readFlags(node.flags, { platform: 'text' });
  const [base = '', as, name] = node.args;
  const isNamed = node.args.length === 3 && as?.toLowerCase() === 'as';
  if (node.args.length !== 1 && !isNamed) throw new Error('FROM requires either one or three arguments');
  const stageName = name?.toLowerCase();
  if (stageName !== undefined && !STAGE_NAME.test(stageName)) {
    throw new Error(
      `invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`,
    );
  }
  const platform = flags.text('platform');
  return {
    text: node.original,
    base,
    instructions: [],
    ...(stageName !== undefined && { name: stageName }),
    ...(platform !== undefined && { platform }),
  };
}

/** Understands one instruction; throws an Error that does not know its line. */
export function understand(node: DockerfileNode, escapeChar: string): Instruction {
  const keyword = node.name.toLowerCase();
  const read = READERS[keyword];
  if (!read) throw new Error(`unknown instruction: ${node.name}`);
  return { ...read(node, keyword.toUpperCase(), escapeChar), text: node.original };
}

type Understood = Instruction extends infer One
  ? One extends Instruction
    ? Omit<One, 'text'>
    : never
  : never;
type Reader = (node: DockerfileNode, name: string, escapeChar: string) => Understood;

const READERS: Readonly<Record<string, Reader>> = {
  arg: (node, name) => ({ kind: 'arg', args: atLeastOne(node, name).map((word) => argOf(word, name)) }),
  env: (node, name) => ({ kind: 'env', pairs: pairsOf(node, name) }),
  label: (node, name) => ({ kind: 'label', pairs: pairsOf(node, name) }),
  maintainer: (node, name) => ({ kind: 'maintainer', name: exactlyOne(node, name) }),
  add: (node, name, escapeChar) => copyOf(node, 'add', name, escapeChar),
  copy: (node, name, escapeChar) => copyOf(node, 'copy', name, escapeChar),
  run: runOf,
  cmd: (node) => ({ kind: 'cmd', command: commandOf(node, plain(node)) }),
  entrypoint: (node) => ({ kind: 'entrypoint', command: commandOf(node, plain(node)) }),
  healthcheck: (node) => ({ kind: 'healthcheck', config: healthcheckOf(node) }),
  expose: (node, name) => ({ kind: 'expose', ports: [...atLeastOne(node, name)].sort() }),
  user: (node, name) => ({ kind: 'user', user: exactlyOne(node, name) }),
  workdir: (node, name) => ({ kind: 'workdir', path: exactlyOne(node, name) }),
  volume: volumeOf,
  stopsignal: (node, name) => ({ kind: 'stopsignal', signal: exactlyOne(node, name) }),
  shell: shellOf,
  onbuild: onbuildOf,
};

function plain(node: DockerfileNode): readonly string[] {
  readFlags(node.flags, {});
  return node.args;
}

function atLeastOne(node: DockerfileNode, name: string): readonly string[] {
  const args = plain(node);
  if (args.length === 0) throw new Error(`${name} requires at least one argument`);
  return args;
}

function exactlyOne(node: DockerfileNode, name: string): string {
  const [first, ...more] = plain(node);
  if (first === undefined || more.length > 0) throw new Error(`${name} requires exactly one argument`);
  return first;
}

function argOf(word: string, name: string): { name: string; value?: string } {
  const equals = word.indexOf('=');
  if (equals === 0 || word === '') throw new Error(`${name} names can not be blank`);
  return equals < 0 ? { name: word } : { name: word.slice(0, equals), value: word.slice(equals + 1) };
}

function pairsOf(node: DockerfileNode, name: string): Pair[] {
  const args = atLeastOne(node, name);
  const pairs: Pair[] = [];
  for (let index = 0; index + 1 < args.length; index += 3) {
    const pair = { name: args[index] as string, value: args[index + 1] as string };
    if (pair.name === '') throw new Error(`${name} names can not be blank`);
    pairs.push(pair);
  }
  return pairs;
}

function copyOf(node: DockerfileNode, kind: 'add' | 'copy', name: string, escapeChar: string): Understood {
  const known: Record<string, FlagKind> = { chown: 'text', chmod: 'text' };
  if (kind === 'copy') known['from'] = 'text';
  refuse(node, ['link', 'parents', 'exclude', 'keep-git-dir', 'checksum', 'unpack']);
  const flags = readFlags(node.flags, known);
  const dest = node.args.at(-1);
  if (dest === undefined) throw new Error(`${name} requires at least two arguments`);
  if (node.args.length < 2) {
    throw new Error(
      `${name} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  const heredocs = [...node.heredocs];
  const sources = node.args.slice(0, -1).map((path): CopySource => {
    const announced = node.json ? undefined : heredocOf(path, escapeChar);
    if (!announced) return { path };
    const heredoc = heredocs.shift();
    if (!heredoc) throw new Error(`${name} has no content for ${path}`);
    return { path: heredoc.name, heredoc };
  });
  const [from, chown, chmod] = ['from', 'chown', 'chmod'].map((flag) => flags.text(flag));
  return {
    kind,
    sources,
    dest,
    ...(from !== undefined && { from }),
    ...(chown !== undefined && { chown }),
    ...(chmod !== undefined && { chmod }),
  };
}

/** Flags that the language has and this builder has not. */
function refuse(node: DockerfileNode, names: readonly string[]): void {
  for (const flag of node.flags) {
    const name = flag.slice(2).split('=')[0] as string;
    if (names.includes(name)) throw new Error(`the --${name} option is not supported by this builder`);
  }
}

function runOf(node: DockerfileNode, name: string): Understood {
  refuse(node, ['mount', 'security', 'device']);
  const flags = readFlags(node.flags, { network: 'text' });
  const command = commandOf(node, node.args);
  if (command.words.length === 0) throw new Error(`${name} requires at least one argument`);
  const network = flags.text('network');
  if (network === undefined) return { kind: 'run', command };
  if (!['default', 'none', 'host'].includes(network))
    throw new Error(`invalid network mode ${JSON.stringify(network)}`);
  return { kind: 'run', command, network };
}

function commandOf(node: DockerfileNode, words: readonly string[]): CommandLine {
  return { words, shell: !node.json && words.length > 0, heredocs: node.heredocs };
}

function volumeOf(node: DockerfileNode, name: string): Understood {
  const paths = atLeastOne(node, name).map((path) => path.trim());
  if (paths.includes('')) throw new Error('VOLUME specified can not be an empty string');
  return { kind: 'volume', paths };
}

function shellOf(node: DockerfileNode, name: string): Understood {
  if (plain(node).length === 0) throw new Error(`${name} requires at least one argument`);
  if (!node.json) throw new Error(`${name} requires the arguments to be in JSON form`);
  return { kind: 'shell', words: node.args };
}

function onbuildOf(node: DockerfileNode, name: string): Understood {
  if (!node.child) throw new Error(`${name} requires at least one argument`);
  const trigger = node.child.name.toUpperCase();
  if (trigger === 'ONBUILD') throw new Error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'MAINTAINER' || trigger === 'FROM')
    throw new Error(`${trigger} isn't allowed as an ONBUILD trigger`);
  return { kind: 'onbuild', expression: node.original.replace(/^\s*ONBUILD\s+/i, '') };
}

const NANOSECONDS = 1_000_000;
const DURATIONS = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
} as const;

function healthcheckOf(node: DockerfileNode): HealthConfig {
  const [type, ...command] = node.args;
  if (type === undefined) throw new Error('HEALTHCHECK requires at least one argument');
  if (type.toUpperCase() === 'NONE') {
    if (command.length > 0) throw new Error('HEALTHCHECK NONE takes no arguments');
    return { Test: ['NONE'] };
  }
  if (type.toUpperCase() !== 'CMD')
    throw new Error(`unknown type ${JSON.stringify(type.toUpperCase())} in HEALTHCHECK (try CMD)`);
  if (command.length === 0) throw new Error('missing command after HEALTHCHECK CMD');
  return { Test: [node.json ? 'CMD' : 'CMD-SHELL', ...command], ...healthcheckNumbers(node) };
}

function healthcheckNumbers(node: DockerfileNode): HealthConfig {
  const names = Object.keys(DURATIONS) as (keyof typeof DURATIONS)[];
  const known = Object.fromEntries([...names, 'retries'].map((name) => [name, 'text' as const]));
  const flags = readFlags(node.flags, known);
  const durations = names.map((name) => [DURATIONS[name], nanoseconds(name, flags.text(name))] as const);
  const retries = flags.text('retries');
  if (retries !== undefined && !/^\d+$/.test(retries)) {
    throw new Error(`--retries must be a number of at least 0, not ${JSON.stringify(retries)}`);
  }
  return {
    ...Object.fromEntries(durations.filter(([, value]) => value !== 0)),
    ...(retries !== undefined && Number(retries) > 0 && { Retries: Number(retries) }),
  };
}

function nanoseconds(name: string, text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  const ms = parseDuration(text);
  if (ms === undefined) throw new Error(`time: invalid duration ${JSON.stringify(text)}`);
  if (ms !== 0 && ms < 1) throw new Error(`Interval ${JSON.stringify(name)} cannot be less than 1ms`);
  return Math.round(ms * NANOSECONDS);
}
