import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import type { RunConfig } from '../image/oci.ts';
import { expanded } from './language/expand.ts';
import type { Instruction } from './language/instructions.ts';
import { parseDockerfile } from './language/parser.ts';
import { understand } from './language/understand.ts';
import { applyMetadata, type MetadataInstruction, type StageConfig } from './metadata.ts';
import { workdirIn } from './workdir.ts';

const ALLOWED: readonly Instruction['kind'][] = [
  'cmd',
  'entrypoint',
  'env',
  'expose',
  'healthcheck',
  'label',
  'onbuild',
  'stopsignal',
  'user',
  'volume',
  'workdir',
];

/** `--change` of commit and import: instructions that say how the image is run. INVALID_ARGUMENT for any other. */
export function applyChanges(run: RunConfig, changes: readonly string[]): RunConfig {
  const lines = changes.filter((change) => change.trim() !== '').join('\n');
  if (lines === '') return run;
  try {
    const { nodes, escape: escapeChar } = parseDockerfile(lines);
    let config: StageConfig = { run, cmdSet: false, author: '' };
    for (const node of nodes) {
      const instruction = understand(node, escapeChar);
      if (!ALLOWED.includes(instruction.kind))
        throw new Error(`${node.name.toLowerCase()} is not a valid change command`);
      config = changed(config, expanded(instruction, environmentOf(config.run), escapeChar));
    }
    return config.run;
  } catch (error) {
    const code = codeOf(error) === 'INTERNAL' ? 'INVALID_ARGUMENT' : codeOf(error);
    throw new ShoalError(code, messageOf(error), { cause: error });
  }
}

function changed(config: StageConfig, instruction: Instruction): StageConfig {
  if (instruction.kind !== 'workdir') return applyMetadata(instruction as MetadataInstruction, config).config;
  return {
    ...config,
    run: { ...config.run, WorkingDir: workdirIn(config.run.WorkingDir, instruction.path) },
  };
}

/** The variables of `Env`. */
export function environmentOf(run: RunConfig): Map<string, string> {
  return new Map(
    (run.Env ?? []).map((item) => {
      const equals = item.indexOf('=');
      return equals < 0 ? [item, ''] : [item.slice(0, equals), item.slice(equals + 1)];
    }),
  );
}
