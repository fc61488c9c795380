import { ShoalError } from '#proto/base/errors.ts';
import { writeLayer } from '../image/write.ts';
import { inWords } from './build.ts';
import { copyStep } from './copy-step.ts';
import { inContainer } from './in-container.ts';
import { expanded } from './language/expand.ts';
import type { Instruction } from './language/instructions.ts';
import { parseDockerfile } from './language/parser.ts';
import { understand } from './language/understand.ts';
import { applyMetadata, type MetadataInstruction } from './metadata.ts';
import { runStep } from './run-step.ts';
import type { StageBuild } from './stage-build.ts';
import { workdirIn } from './workdir.ts';

/** Does one instruction of a stage. */
export async function instructionStep(stage: StageBuild, written: Instruction): Promise<void> {
  const { dockerfile } = stage.it;
  const instruction = inWords(() => expanded(written, stage.environment(), dockerfile.escape));
  switch (instruction.kind) {
    case 'run':
      return await runStep(stage, instruction);
    case 'add':
    case 'copy':
      return await copyStep(stage, instruction);
    case 'workdir':
      return await workdirStep(stage, instruction.path);
    case 'arg':
      return await argStep(stage, instruction);
    default:
      return await metadataStep(stage, instruction);
  }
}

async function metadataStep(stage: StageBuild, instruction: MetadataInstruction): Promise<void> {
  const { config, comment, note } = applyMetadata(instruction, stage.config);
  stage.config = config;
  if (note !== undefined) await stage.it.output.text(note);
  await commentStep(stage, stage.comment('#(nop) ', comment));
}

async function argStep(stage: StageBuild, { args }: Extract<Instruction, { kind: 'arg' }>): Promise<void> {
  for (const { name, value } of args) stage.it.args.declare(name, value);
  const words = args.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`));
  await commentStep(stage, stage.comment('#(nop) ', `ARG ${words.join(' ')}`));
}

/** A step that changes no file, shown as if a container had done it. */
async function commentStep(stage: StageBuild, command: readonly string[]): Promise<void> {
  if (await stage.fromCache(command)) return;
  await inContainer(stage, () => stage.commit(command));
}

async function workdirStep(stage: StageBuild, requested: string): Promise<void> {
  const path = workdirIn(stage.run.WorkingDir, requested);
  stage.change({ WorkingDir: path });
  const command = stage.comment(`#(nop) WORKDIR ${path}`);
  if (await stage.fromCache(command)) return;
  await inContainer(stage, async () => {
    const { folders, modules, signal } = stage.it;
    const { store } = modules.images;
    const files = folders.writable(stage.image);
    const root = folders.mount(files.lowers, files);
    await store.pool.run('copy', { root, dest: path, sources: [], unpack: false, mtime: 0 }, { signal });
    folders.unmount(root);
    using lease = store.lease();
    const layer = await writeLayer(store, stage.image, { tree: files.upper, adopt: true }, lease, signal);
    await stage.commit(command, layer);
  });
}

/** Does what the base image wants done in whatever is built on it. */
export async function runTriggers(stage: StageBuild): Promise<void> {
  const triggers = stage.run.OnBuild ?? [];
  if (triggers.length === 0) return;
  stage.change({ OnBuild: null });
  const { output, dockerfile } = stage.it;
  await output.text(`# Executing ${triggers.length} build trigger${triggers.length > 1 ? 's' : ''}\n`);
  for (const trigger of triggers) {
    const instruction = inWords(() => {
      const [node, ...more] = parseDockerfile(trigger).nodes;
      if (!node || more.length > 0)
        throw new ShoalError('INVALID_ARGUMENT', 'onbuild trigger should be a single expression');
      return understand(node, dockerfile.escape);
    });
    await instructionStep(stage, instruction);
  }
}
