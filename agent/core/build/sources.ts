import { codeOf, ShoalError } from '#proto/base/errors.ts';
import type { RegistryAuth } from '../engine.ts';
import type { StoredImage } from '../image/image-table.ts';
import { configPlatform, formatPlatform, parsePlatform, samePlatform } from '../image/platform.ts';
import { DEFAULT_DOMAIN, parseReference, type Reference } from '../image/reference.ts';
import { type Build, inWords } from './build.ts';
import type { Stage } from './language/instructions.ts';
import { expandWord } from './language/shell-words.ts';

/** The base that is nothing. */
const SCRATCH = 'scratch';
/** What `docker login` files the default registry under. */
const DEFAULT_AUTH_KEY = 'https://index.docker.io/v1/';

/** What a stage begins with; undefined for nothing. */
export async function baseImage(it: Build, stage: Stage): Promise<StoredImage | undefined> {
  const name = inMeta(it, stage.base);
  if (name === '') throw new ShoalError('INVALID_ARGUMENT', `base name (${stage.base}) should not be blank`);
  const earlier = it.stages.byName(name);
  if (earlier) return earlier.image;
  if (name === SCRATCH) return undefined;
  const image = await namedImage(it, name);
  const platform = inMeta(it, stage.platform ?? it.options.platform ?? '');
  if (platform !== '') await checkPlatform(it, image, platform);
  return image;
}

function inMeta(it: Build, text: string): string {
  return inWords(() => expandWord(text, it.args.meta(), { escape: it.dockerfile.escape }));
}

/** Only images of this machine's own platform can be built on: others are named in a warning, and taken as they are. */
async function checkPlatform({ output }: Build, image: StoredImage, wanted: string): Promise<void> {
  const platform = parsePlatform(wanted);
  const found = configPlatform(image.config);
  if (samePlatform(platform, found)) return;
  await output.errorText(
    `[Warning] The requested platform (${formatPlatform(platform)}) is not the image's (${formatPlatform(found)}): it is ignored\n`,
  );
}

/** What COPY --from means: an earlier stage by name or number, or an image. */
export async function copySource(it: Build, from: string): Promise<StoredImage | undefined> {
  try {
    const stage = it.stages.find(from);
    if (stage) return stage.image;
    return await namedImage(it, from);
  } catch (error) {
    it.signal.throwIfAborted();
    const code = codeOf(error) === 'INTERNAL' ? 'INVALID_ARGUMENT' : codeOf(error);
    throw new ShoalError(code, `invalid from flag value ${from}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** An image from here, or from wherever it is to be had. */
async function namedImage(it: Build, name: string): Promise<StoredImage> {
  const { images } = it.modules;
  const here = it.options.pull ? undefined : localImage(it, name);
  if (here) return kept(it, here);
  const reference = parseReference(name);
  const auth = authFor(it, reference);
  const { progress } = it.output;
  if (it.options.pull) await images.pull(reference, { auth, progress, signal: it.signal });
  else await images.ensure(name, auth, it.signal, progress);
  return kept(it, images.store.find(name));
}

function kept(it: Build, image: StoredImage): StoredImage {
  it.keep(image);
  return image;
}

function localImage({ modules }: Build, name: string): StoredImage | undefined {
  try {
    return modules.images.store.find(name);
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined;
    throw error;
  }
}

function authFor({ options }: Build, { domain }: Reference): RegistryAuth | undefined {
  const { auths } = options;
  const known = Object.entries(auths).find(([key]) => hostOf(key) === domain);
  return domain === DEFAULT_DOMAIN ? (auths[DEFAULT_AUTH_KEY] ?? known?.[1]) : known?.[1];
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}
