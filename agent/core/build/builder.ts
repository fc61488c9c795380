import { codeOf, ShoalError } from '#proto/base/errors.ts';
import { shortId } from '../image/digest.ts';
import type { StoredImage } from '../image/image-table.ts';
import { HOST_PLATFORM } from '../image/platform.ts';
import { familiarName, type Reference, withDefaultTag } from '../image/reference.ts';
import { type Build, type BuilderModules, type BuildOptions, inWords, randomId } from './build.ts';
import { CacheSources } from './cache-sources.ts';
import { prepareContext } from './context.ts';
import { BuildFolders } from './folders.ts';
import { BuildArgs } from './language/build-args.ts';
import { expanded } from './language/expand.ts';
import type { Dockerfile, Instruction, Stage } from './language/instructions.ts';
import type { BuildOutput } from './output.ts';
import { baseImage } from './sources.ts';
import { StageBuild } from './stage-build.ts';
import { Stages } from './stages.ts';
import { instructionStep, runTriggers } from './steps.ts';

export { remoteContext } from './remote-context.ts';

/**
 * Builds an image of a context, an archive of any compression, and gives it its tags. Failures are ShoalErrors with
 * Docker's words; whatever happens, nothing is left behind but the images of steps that went well, which are the cache.
 */
export async function build(
  context: AsyncIterable<Uint8Array>,
  options: BuildOptions,
  output: BuildOutput,
  signal: AbortSignal,
  modules: BuilderModules,
): Promise<StoredImage> {
  const { store } = modules.images;
  await using folders = new BuildFolders(store, randomId(modules.random).slice(0, 12));
  using lease = store.lease();
  const dockerfile = await prepareContext(context, options, folders.context, store, signal);
  const it: Build = {
    options,
    modules,
    folders,
    dockerfile: forTarget(dockerfile, options),
    args: new BuildArgs(options.buildArgs, platformArgs()),
    stages: new Stages(),
    cacheSources: new CacheSources(store.table, knownImages(modules, options.cacheFrom)),
    output,
    signal,
    keep: (image) => lease.add(image.id),
  };
  const image = await runBuild(it);
  await output.text(`Successfully built ${shortId(image.id)}\n`);
  for (const tag of options.tags) await tagAs(it, tag, image);
  return image;
}

/** Those that are not here are left out: a build can do without. */
function knownImages({ images }: BuilderModules, names: readonly string[]): StoredImage[] {
  return names.flatMap((name) => {
    try {
      return [images.store.find(name)];
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') return [];
      throw error;
    }
  });
}

async function tagAs({ modules, output }: Build, tag: Reference, image: StoredImage): Promise<void> {
  const { store } = modules.images;
  await store.setName(tag, { image });
  const name = familiarName(withDefaultTag(tag));
  store.event('tag', image.id, { name });
  await output.text(`Successfully tagged ${name}\n`);
}

/** The stages up to the one that is wanted, which gets the labels of the command line. */
function forTarget(dockerfile: Dockerfile, { target, labels }: BuildOptions): Dockerfile {
  const last = target === undefined ? dockerfile.stages.length - 1 : indexOfTarget(dockerfile, target);
  const stages = dockerfile.stages.slice(0, last + 1);
  const wanted = stages.pop();
  if (!wanted) return dockerfile;
  return { ...dockerfile, stages: [...stages, withLabels(wanted, labels)] };
}

function indexOfTarget({ stages }: Dockerfile, target: string): number {
  const byName = stages.findIndex(({ name }) => name === target.toLowerCase());
  const index = byName < 0 && /^\d+$/.test(target) ? Number(target) : byName;
  if (index >= 0 && index < stages.length) return index;
  throw new ShoalError('INVALID_ARGUMENT', `target stage ${JSON.stringify(target)} could not be found`);
}

function withLabels(stage: Stage, labels: BuildOptions['labels']): Stage {
  const added = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const instructions = added.map(
    ([name, value]): Instruction => ({
      kind: 'label',
      text: `LABEL ${name}=${value}`,
      pairs: [{ name, value }],
      literal: true,
    }),
  );
  return { ...stage, instructions: [...stage.instructions, ...instructions] };
}

/** What ARGs of the platform say, for Dockerfiles that ask. */
function platformArgs(): Map<string, string> {
  const { os, architecture, variant = '' } = HOST_PLATFORM;
  const whole = variant === '' ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
  const values = { PLATFORM: whole, OS: os, ARCH: architecture, VARIANT: variant };
  return new Map(
    ['TARGET', 'BUILD'].flatMap((side) =>
      Object.entries(values).map(([name, value]) => [side + name, value] as const),
    ),
  );
}

async function runBuild(it: Build): Promise<StoredImage> {
  const { dockerfile, output, args } = it;
  for (const warning of dockerfile.warnings) await output.errorText(`${warning}\n`);
  const steps = new StepCounter(dockerfile, output);
  await declareMetaArgs(it, steps);
  let last: StageBuild | undefined;
  for (const stage of dockerfile.stages) last = await runStage(it, stage, steps);
  const unused = args.unused();
  if (unused.length > 0) {
    await output.text(`[Warning] One or more build-args [${unused.join(' ')}] were not consumed\n`);
  }
  const image = last?.image;
  if (!image) throw new ShoalError('INVALID_ARGUMENT', 'No image was generated. Is your Dockerfile empty?');
  return image;
}

async function declareMetaArgs({ dockerfile, args }: Build, steps: StepCounter): Promise<void> {
  for (const instruction of dockerfile.metaArgs) {
    await steps.next(instruction.text);
    const known = inWords(() => expanded(instruction, args.meta(), dockerfile.escape));
    if (known.kind === 'arg') for (const { name, value } of known.args) args.declareMeta(name, value);
  }
}

async function runStage(it: Build, stage: Stage, steps: StepCounter): Promise<StageBuild> {
  inWords(() => it.stages.checkNameFree(stage.name));
  await steps.next(stage.text);
  const current = new StageBuild(it, await baseImage(it, stage));
  await runTriggers(current);
  await it.output.text(` ---> ${shortId(current.image?.id ?? '')}\n`);
  for (const instruction of stage.instructions) {
    await checkCancelled(it);
    await steps.next(instruction.text);
    await instructionStep(current, instruction);
    await it.output.text(` ---> ${shortId(current.image?.id ?? '')}\n`);
  }
  if (current.image) await it.output.built(current.image.id);
  it.args.endStage();
  it.stages.add(stage.name, current.image);
  return current;
}

async function checkCancelled({ signal, output }: Build): Promise<void> {
  if (!signal.aborted) return;
  await output.text('Build cancelled\n');
  throw new ShoalError('CANCELLED', 'Build cancelled');
}

/** Says which step of how many comes. */
class StepCounter {
  readonly #output: BuildOutput;
  readonly #total: number;
  #current = 0;

  constructor({ metaArgs, stages }: Dockerfile, output: BuildOutput) {
    this.#output = output;
    this.#total = stages.reduce((sum, { instructions }) => sum + 1 + instructions.length, metaArgs.length);
  }

  async next(text: string): Promise<void> {
    this.#current += 1;
    await this.#output.text(`Step ${this.#current}/${this.#total} : ${text}\n`);
  }
}
