import { ShoalError } from '#proto/base/errors.ts';
import type { RegistryAuth } from '../engine.ts';
import { shortId } from '../image/digest.ts';
import { Limiter } from '../image/flights.ts';
import type { ImageStore } from '../image/image-store.ts';
import type { ImageName } from '../image/image-table.ts';
import type { Descriptor } from '../image/oci.ts';
import type { ProgressSink } from '../image/progress.ts';
import {
  familiarRepository,
  fullName,
  parseReference,
  type Reference,
  repositoryOf,
} from '../image/reference.ts';
import type { RegistryClient } from './client.ts';
import type { Registries } from './registries.ts';

/** As Docker has it: `max-concurrent-uploads`. */
const UPLOADS_MAX = 5;

export interface PushOpts {
  readonly auth?: RegistryAuth | undefined;
  readonly progress: ProgressSink;
  readonly signal?: AbortSignal | undefined;
}

export interface PushModules {
  readonly store: ImageStore;
  readonly registries: Registries;
}

/** `docker push`: one tag, or all of the repository when the reference has none. */
export async function push(reference: Reference, opts: PushOpts, modules: PushModules): Promise<void> {
  const names = namesToPush(modules.store, reference);
  opts.progress({ status: `The push refers to repository [${repositoryOf(reference)}]` });
  const client = await modules.registries.pushTo(reference, opts.auth, opts.signal);
  for (const name of names) await pushOne(name, client, opts, modules);
}

function namesToPush(store: ImageStore, reference: Reference): ImageName[] {
  if (reference.digest !== undefined)
    throw new ShoalError('INVALID_ARGUMENT', 'cannot push a digest reference');
  const repository = repositoryOf(reference);
  const tagged = store.table.names().filter(({ name }) => name.startsWith(`${repository}:`));
  const familiar = familiarRepository(reference);
  if (tagged.length === 0) {
    throw new ShoalError('NOT_FOUND', `An image does not exist locally with the tag: ${familiar}`);
  }
  if (reference.tag === undefined) return tagged;
  const name = store.table.name(fullName(reference));
  if (name) return [name];
  throw new ShoalError('NOT_FOUND', `tag does not exist: ${familiar}:${reference.tag}`);
}

async function pushOne(
  name: ImageName,
  client: RegistryClient,
  opts: PushOpts,
  { store }: PushModules,
): Promise<void> {
  const reference = parseReference(name.name);
  const tag = reference.tag as string;
  using lease = store.lease(name.manifest, name.content.config.digest);
  lease.add(...name.content.layers.map(({ digest }) => digest));
  await pushLayers(name, reference, client, opts, store);
  await pushConfig(name.content.config, client, opts, store);
  const bytes = await store.blobs.read(name.manifest);
  const image = store.find(name.image);
  const mediaType = mediaTypeOf(name, image.manifest);
  await client.putManifest(tag, bytes, mediaType, opts.signal);
  const { domain, path } = reference;
  const target = { ...image.manifest, digest: name.manifest, size: bytes.length };
  await store.setName(
    { domain, path, digest: name.manifest },
    { image: { ...image, content: name.content }, target },
  );
  opts.progress({ status: `${tag}: digest: ${name.manifest} size: ${bytes.length}` });
  opts.progress({ status: '', aux: { Tag: tag, Digest: name.manifest, Size: bytes.length } });
  store.event('push', `${familiarRepository(reference)}:${tag}`, { name: familiarRepository(reference) });
}

function mediaTypeOf(name: ImageName, fallback: Descriptor): string {
  if (name.target.digest === name.manifest) return name.target.mediaType;
  return name.content.mediaType ?? fallback.mediaType;
}

async function pushLayers(
  name: ImageName,
  reference: Reference,
  client: RegistryClient,
  opts: PushOpts,
  store: ImageStore,
): Promise<void> {
  const stop = new AbortController();
  const signal = opts.signal ? AbortSignal.any([opts.signal, stop.signal]) : stop.signal;
  const uploads = new Limiter(UPLOADS_MAX);
  const layers = distinct(name.content.layers).toReversed();
  for (const { digest } of layers) opts.progress({ id: shortId(digest), status: 'Preparing' });
  const pushes = layers.map((layer) =>
    uploads.run(() => pushLayer(layer, reference, client, { ...opts, signal }, store), signal),
  );
  for (const each of pushes) each.catch((error: unknown) => stop.abort(error));
  const ended = await Promise.allSettled(pushes);
  opts.signal?.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  const failed = ended.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** An image may have the same layer more than once. */
function distinct(layers: readonly Descriptor[]): Descriptor[] {
  return [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
}

async function pushLayer(
  layer: Descriptor,
  reference: Reference,
  client: RegistryClient,
  opts: PushOpts,
  store: ImageStore,
): Promise<void> {
  const id = shortId(layer.digest);
  if ((await client.blobSize(layer.digest, opts.signal)) !== undefined) {
    return opts.progress({ id, status: 'Layer already exists' });
  }
  const from = await mountFrom(layer, reference, client, opts, store);
  if (from !== undefined) return opts.progress({ id, status: `Mounted from ${from}` });
  await client.upload(layer, told(store.blobs.stream(layer.digest), layer, id, opts.progress), opts.signal);
  opts.progress({ id, status: 'Pushed' });
}

/** How many other repositories are asked for a layer before it is sent. */
const MOUNTS_TRIED_MAX = 4;

/** Another repository of the same registry that is known to have had the layer, if it still has. */
async function mountFrom(
  layer: Descriptor,
  reference: Reference,
  client: RegistryClient,
  opts: PushOpts,
  store: ImageStore,
): Promise<string | undefined> {
  const known = store.table
    .names()
    .filter(
      ({ name, content }) =>
        name.includes('@') && content.layers.some(({ digest }) => digest === layer.digest),
    )
    .map(({ name }) => parseReference(name))
    .filter(({ domain, path }) => domain === reference.domain && path !== reference.path)
    .map(({ path }) => path);
  for (const path of [...new Set(known)].slice(0, MOUNTS_TRIED_MAX)) {
    // A refusal is no failure: the layer is sent instead.
    if (await client.mount(layer.digest, path, opts.signal).catch(() => false)) return path;
    opts.signal?.throwIfAborted();
  }
  return undefined;
}

async function pushConfig(
  config: Descriptor,
  client: RegistryClient,
  { signal }: PushOpts,
  store: ImageStore,
): Promise<void> {
  if ((await client.blobSize(config.digest, signal)) !== undefined) return;
  await client.upload(config, await store.blobs.read(config.digest), signal);
}

async function* told(
  chunks: AsyncIterable<Uint8Array>,
  { size }: Descriptor,
  id: string,
  progress: ProgressSink,
): AsyncGenerator<Uint8Array> {
  let current = 0;
  for await (const chunk of chunks) {
    yield chunk;
    current += chunk.length;
    progress({ id, status: 'Pushing', current, total: size });
  }
}
