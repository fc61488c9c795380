import { constants } from 'node:os';
import { ShoalError } from '#proto/base/errors.ts';
import type { RunConfig } from '../image/oci.ts';
import { quotedHealthcheck, quotedList } from './language/format.ts';
import type { CommandLine, Instruction, Pair } from './language/instructions.ts';

/** What a stage knows of how its image is to be run. */
export interface StageConfig {
  readonly run: RunConfig;
  /** CMD was set in this stage: a later ENTRYPOINT leaves it alone. */
  readonly cmdSet: boolean;
  readonly author: string;
}

export interface MetadataChange {
  readonly config: StageConfig;
  /** For the history. */
  readonly comment: string;
  /** For who watches. */
  readonly note?: string;
}

const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

export function shellOf(run: RunConfig): readonly string[] {
  return run.Shell && run.Shell.length > 0 ? run.Shell : DEFAULT_SHELL;
}

/** The words that a command is run by. */
export function wordsOf(command: CommandLine, run: RunConfig): string[] {
  return command.shell ? [...shellOf(run), ...command.words] : [...command.words];
}

/** The kinds of instructions that change nothing but how the image is run. */
export type MetadataInstruction = Extract<
  Instruction,
  {
    kind:
      | 'env'
      | 'label'
      | 'maintainer'
      | 'cmd'
      | 'entrypoint'
      | 'healthcheck'
      | 'expose'
      | 'user'
      | 'volume'
      | 'stopsignal'
      | 'shell'
      | 'onbuild';
  }
>;

/** What an instruction changes. INVALID_ARGUMENT with Docker's words for values that can't be. */
export function applyMetadata(instruction: MetadataInstruction, config: StageConfig): MetadataChange {
  const { run } = config;
  const changed = (change: RunConfig, comment: string): MetadataChange => ({
    config: { ...config, run: { ...run, ...change } },
    comment,
  });
  switch (instruction.kind) {
    case 'env':
      return changed(
        { Env: withEnv(run.Env ?? [], instruction.pairs) },
        `ENV ${assignments(instruction.pairs)}`,
      );
    case 'label': {
      const labels = Object.fromEntries(instruction.pairs.map(({ name, value }) => [name, value]));
      return changed({ Labels: { ...run.Labels, ...labels } }, `LABEL ${assignments(instruction.pairs)}`);
    }
    case 'maintainer':
      return { config: { ...config, author: instruction.name }, comment: `MAINTAINER ${instruction.name}` };
    case 'cmd': {
      const words = wordsOf(instruction.command, run);
      const { config: next, comment } = changed({ Cmd: words }, `CMD ${quotedList(words)}`);
      return { config: { ...next, cmdSet: instruction.command.words.length > 0 || config.cmdSet }, comment };
    }
    case 'entrypoint': {
      const words = wordsOf(instruction.command, run);
      const cmd = config.cmdSet ? {} : { Cmd: null };
      return changed({ Entrypoint: words, ...cmd }, `ENTRYPOINT ${quotedList(words)}`);
    }
    case 'healthcheck':
      return healthcheckChange(instruction.config, config);
    case 'expose':
      return changed(
        { ExposedPorts: withPorts(run, instruction.ports) },
        `EXPOSE ${instruction.ports.join(' ')}`,
      );
    case 'user':
      return changed({ User: instruction.user }, `USER ${instruction.user}`);
    case 'volume':
      return changed(
        { Volumes: withVolumes(run, instruction.paths) },
        `VOLUME [${instruction.paths.join(' ')}]`,
      );
    case 'stopsignal':
      return changed({ StopSignal: checkedSignal(instruction.signal) }, `STOPSIGNAL ${instruction.signal}`);
    case 'shell':
      return changed({ Shell: instruction.words }, `SHELL [${instruction.words.join(' ')}]`);
    case 'onbuild': {
      const triggers = [...(run.OnBuild ?? []), instruction.expression];
      return changed({ OnBuild: triggers }, `ONBUILD ${instruction.expression}`);
    }
  }
}

function healthcheckChange(health: RunConfig['Healthcheck'] & object, config: StageConfig): MetadataChange {
  const before = config.run.Healthcheck?.Test ?? [];
  const isOverriding = before.length > 0 && before[0] !== 'NONE';
  return {
    config: { ...config, run: { ...config.run, Healthcheck: health } },
    comment: `HEALTHCHECK ${quotedHealthcheck(health)}`,
    ...(isOverriding && { note: `Note: overriding previous HEALTHCHECK: [${before.join(' ')}]\n` }),
  };
}

function assignments(pairs: readonly Pair[]): string {
  return pairs.map(({ name, value }) => `${name}=${value}`).join(' ');
}

/** Values of names that are there already change in their place; new ones come last. */
export function withEnv(env: readonly string[], pairs: readonly Pair[]): string[] {
  const result = [...env];
  for (const { name, value } of pairs) {
    const index = result.findIndex((item) => item.split('=', 1)[0] === name);
    if (index < 0) result.push(`${name}=${value}`);
    else result[index] = `${name}=${value}`;
  }
  return result;
}

/** `80`, `80/udp`, `8000-8010/tcp`; host parts mean nothing here and are left out. */
function withPorts(run: RunConfig, specs: readonly string[]): Record<string, object> {
  const ports = specs.flatMap(portsOf).map((port) => [port, {}] as const);
  return { ...run.ExposedPorts, ...Object.fromEntries(ports) };
}

const PORTS_MAX = 65_535;

function portsOf(spec: string): string[] {
  const [range = '', protocol = 'tcp', ...more] = spec.split('/');
  const container = range.slice(range.lastIndexOf(':') + 1);
  const match = /^(\d+)(?:-(\d+))?$/.exec(container);
  const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (!match || more.length > 0 || from > to || to > PORTS_MAX) {
    throw new ShoalError('INVALID_ARGUMENT', `invalid containerPort: ${container}`);
  }
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) {
    throw new ShoalError('INVALID_ARGUMENT', `invalid proto: ${protocol}`);
  }
  return Array.from({ length: to - from + 1 }, (_item, index) => `${from + index}/${protocol.toLowerCase()}`);
}

function withVolumes(run: RunConfig, paths: readonly string[]): Record<string, object> {
  if (paths.includes(''))
    throw new ShoalError('INVALID_ARGUMENT', 'VOLUME specified can not be an empty string');
  return { ...run.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
}

const SIGNAL_MAX = 64;

function checkedSignal(signal: string): string {
  const name = signal.toUpperCase().replace(/^(SIG)?/, 'SIG');
  const isNumber = /^\d+$/.test(signal) && Number(signal) > 0 && Number(signal) <= SIGNAL_MAX;
  const isName = name in constants.signals || /^SIGRT(MIN(\+\d+)?|MAX(-\d+)?)$/.test(name);
  if (!isNumber && !isName) throw new ShoalError('INVALID_ARGUMENT', `invalid signal: ${signal}`);
  return signal;
}
