import type { Clock } from '#proto/base/clock.ts';
import { messageOf } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Platform, RegistryAuth, TaskSpec } from '#proto/types/specs.ts';
import { parseImageName, pinnedName } from './image-name.ts';

/** What an image's name stands for at this moment. */
export interface ResolvedImage {
  readonly digest: string;
  readonly platforms: readonly { readonly architecture: string; readonly os: string }[];
}

/** Asks this node, its peers and the registry. */
export interface ImageResolver {
  resolve(reference: string, auth?: RegistryAuth, signal?: AbortSignal): Promise<ResolvedImage>;
}

export interface PinModules {
  readonly images: ImageResolver;
  readonly clock: Pick<Clock, 'timer'>;
  readonly log: Log;
}

/** A client waits meanwhile, and its own patience is about twice as long. */
const RESOLVE_MS_MAX = 15_000;

export interface Pinned {
  readonly task: TaskSpec;
  readonly warnings: readonly string[];
}

/**
 * Writes the digest that an image's name stands for into the spec, so that all nodes run the same, and its platforms
 * where the spec names none. What can't be resolved stays as it is, with Docker's warning.
 */
export async function pinImage(task: TaskSpec, modules: PinModules, signal?: AbortSignal): Promise<Pinned> {
  const { image, registryAuth } = task.container;
  const name = parseImageName(image);
  if (name === undefined || name.digest !== undefined) return { task, warnings: [] };
  try {
    const { digest, platforms } = await resolveInTime(image, registryAuth, modules, signal);
    return { task: pinned(task, pinnedName(name, digest), platforms), warnings: [] };
  } catch (error) {
    signal?.throwIfAborted();
    modules.log.warn('an image could not be pinned to its digest', { image, err: messageOf(error) });
    return { task, warnings: [warningFor(image)] };
  }
}

function pinned(task: TaskSpec, image: string, found: ResolvedImage['platforms']): TaskSpec {
  const container = { ...task.container, image };
  const platforms = found.filter(({ os }) => os !== '').map(platformOf);
  if (platforms.length === 0 || (task.placement?.platforms?.length ?? 0) > 0) return { ...task, container };
  return { ...task, container, placement: { ...task.placement, platforms } };
}

function platformOf({ architecture, os }: Platform): Platform {
  return { ...(architecture && { architecture }), ...(os && { os }) };
}

async function resolveInTime(
  image: string,
  auth: RegistryAuth | undefined,
  { images, clock }: PinModules,
  signal?: AbortSignal,
): Promise<ResolvedImage> {
  const late = new AbortController();
  const cancel = clock.timer(RESOLVE_MS_MAX, () =>
    late.abort(new Error(`no answer in ${RESOLVE_MS_MAX} ms`)),
  );
  const stop = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
  const stopped = Promise.withResolvers<never>();
  const onAbort = (): void => stopped.reject(stop.reason);
  stop.addEventListener('abort', onAbort, { once: true });
  try {
    stop.throwIfAborted();
    return await Promise.race([images.resolve(image, auth, stop), stopped.promise]);
  } finally {
    cancel();
    stop.removeEventListener('abort', onAbort);
  }
}

function warningFor(image: string): string {
  return (
    `image ${image} could not be accessed on a registry to record\nits digest. Each node will access ${image} ` +
    'independently,\npossibly leading to different nodes running different\nversions of the image.\n'
  );
}
