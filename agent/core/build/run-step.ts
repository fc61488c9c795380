import { ShoalError } from '#proto/base/errors.ts';
import { writeLayer } from '../image/write.ts';
import { inContainer } from './in-container.ts';
import { contentOf, type Heredoc } from './language/heredoc.ts';
import type { CommandLine, RunInstruction } from './language/instructions.ts';
import { shellOf, wordsOf } from './metadata.ts';
import { StepFailed } from './output.ts';
import type { StageBuild } from './stage-build.ts';

/** RUN: a command in a container of the image so far; what it changes is the next layer. */
export async function runStep(stage: StageBuild, instruction: RunInstruction): Promise<void> {
  const args = commandOf(instruction.command, stage);
  const visible = stage.visibleArgs();
  const command = withArgs(stage, visible, args);
  if (await stage.fromCache(command)) return;
  await inContainer(stage, async (id) => {
    const { folders, modules, signal } = stage.it;
    const { store } = modules.images;
    const files = folders.writable(stage.image);
    const env = [...(stage.run.Env ?? []), ...[...visible].map(([name, value]) => `${name}=${value}`)];
    await run(stage, { id, ...files, args, env }, instruction);
    using lease = store.lease();
    const layer = await writeLayer(store, stage.image, { tree: files.upper, adopt: true }, lease, signal);
    await stage.commit(command, layer);
  });
}

interface Prepared {
  readonly id: string;
  readonly lowers: readonly string[];
  readonly upper: string;
  readonly work: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
}

async function run(stage: StageBuild, prepared: Prepared, { network }: RunInstruction): Promise<void> {
  const { modules, options, output, signal } = stage.it;
  signal.throwIfAborted();
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const { exitCode } = await modules.runner.run({
    ...prepared,
    workdir: stage.run.WorkingDir ?? '/',
    user: stage.run.User ?? '',
    network: network === undefined || network === 'default' ? options.network : network,
    host: options.host,
    signal,
    output: (stream, data) => {
      const text = decoders[stream].decode(data, { stream: true });
      return stream === 'stdout' ? output.text(text) : output.errorText(text);
    },
  });
  signal.throwIfAborted();
  if (exitCode === 0) return;
  const message = `The command '${prepared.args.join(' ')}' returned a non-zero code: ${exitCode}`;
  throw new StepFailed(message, exitCode);
}

/** Build-time variables that count are part of what was run: `|2 A=1 B=2 /bin/sh -c …`. */
function withArgs(
  stage: StageBuild,
  visible: ReadonlyMap<string, string>,
  args: readonly string[],
): string[] {
  const counting = [...visible].filter(([name]) => stage.it.args.counts(name));
  if (visible.size === 0) return [...args];
  const env = counting.map(([name, value]) => `${name}=${value}`).sort();
  return [`|${env.length}`, ...env, ...args];
}

/** The words to run. A line that is nothing but a heredoc is a script; else the shell reads its heredocs itself. */
function commandOf(command: CommandLine, stage: StageBuild): string[] {
  const [line = ''] = command.words;
  const [first] = command.heredocs;
  if (!command.shell || !first) return wordsOf(command, stage.run);
  const isScript = command.heredocs.length === 1 && /^<<-?\s*["']?[^\s"']+["']?$/.test(line.trim());
  const text = isScript ? scriptOf(first) : [line, ...command.heredocs.map(inShell)].join('\n');
  return [...shellOf(stage.run), text];
}

/** As the shell has it: up to the name, with the tabs it is to take away. */
function inShell(heredoc: Heredoc): string {
  return heredoc.content + heredoc.name;
}

const END = 'SHOAL_END_OF_SCRIPT';

/** A script that says what runs it is written to a file for that, which goes afterwards. */
function scriptOf(heredoc: Heredoc): string {
  const script = contentOf(heredoc);
  if (!script.startsWith('#!')) return script;
  if (script.includes(END)) throw new ShoalError('INVALID_ARGUMENT', `a script can not contain ${END}`);
  return [
    't=$(mktemp) || exit 1',
    `cat > "$t" <<'${END}'`,
    `${script}${END}`,
    'chmod 700 "$t"; "$t"; r=$?; rm -f "$t"; exit $r',
  ].join('\n');
}
