import { ShoalError } from '#proto/base/errors.ts';
import { parseFilters } from '#proto/http/filters.ts';
import {
  type ApiRequest,
  boolQuery,
  empty,
  json,
  type Reply,
  type Route,
  stream,
} from '#proto/http/types.ts';
import { applyChanges } from '../core/build/changes.ts';
import type { Images } from '../core/image/images.ts';
import { importImage } from '../core/image/import.ts';
import { LIST_FILTERS, listImages, PRUNE_FILTERS } from '../core/image/list.ts';
import { loadedLines, loadImages } from '../core/image/load.ts';
import { parsePlatform } from '../core/image/platform.ts';
import { noProgress } from '../core/image/progress.ts';
import { pruneImages } from '../core/image/prune.ts';
import { parseReference, type Reference, withDefaultTag } from '../core/image/reference.ts';
import { removeImage } from '../core/image/remove.ts';
import { saveImages } from '../core/image/save.ts';
import { push } from '../core/registry/push.ts';
import type { Registries } from '../core/registry/registries.ts';
import { contentAt, webAddress } from '../core/registry/web.ts';
import { historyShape, inspectShape, summaryShape } from './image-shapes.ts';
import { streamed } from './message-stream.ts';
import { registryAuth } from './registry-auth.ts';

export interface ImageRouteModules {
  readonly images: Images;
  readonly registries: Registries;
}

/** Images of this machine: /images/… */
export function imageRoutes(modules: ImageRouteModules): Route[] {
  const { images } = modules;
  const { store } = images;
  return [
    { method: 'GET', path: '/images/json', handle: (request) => list(request, images) },
    { method: 'GET', path: '/images/search', handle: search },
    { method: 'GET', path: '/images/get', handle: (request) => save(request.query.getAll('names'), images) },
    {
      method: 'GET',
      path: '/images/{name*}/get',
      handle: ({ params }) => save([params['name'] ?? ''], images),
    },
    {
      method: 'GET',
      path: '/images/{name*}/json',
      handle: ({ params, version }) => json(inspectShape(store, store.find(params['name'] ?? ''), version)),
    },
    {
      method: 'GET',
      path: '/images/{name*}/history',
      handle: ({ params }) => json(historyShape(store, store.find(params['name'] ?? ''))),
    },
    { method: 'POST', path: '/images/create', handle: (request) => create(request, images) },
    { method: 'POST', path: '/images/load', handle: (request) => load(request, images) },
    { method: 'POST', path: '/images/prune', handle: (request) => prune(request, images) },
    { method: 'POST', path: '/images/{name*}/push', handle: (request) => pushImage(request, modules) },
    { method: 'POST', path: '/images/{name*}/tag', handle: (request) => tag(request, images) },
    { method: 'DELETE', path: '/images/{name*}', handle: (request) => remove(request, images) },
  ];
}

function list({ query, version }: ApiRequest, { store }: Images): Reply {
  const filters = parseFilters(query, LIST_FILTERS);
  const opts = { version, sharedSize: boolQuery(query, 'shared-size') };
  const listed = listImages(store, filters, boolQuery(query, 'all'));
  return json(listed.map(({ image, names }) => summaryShape(store, image, names, opts)));
}

function search(): Reply {
  throw new ShoalError(
    'NOT_IMPLEMENTED',
    'searching registries is not supported: search on the registry’s own page',
  );
}

function save(names: readonly string[], { store }: Images): Reply {
  const wanted = names.flatMap((name) => name.split(',')).filter((name) => name !== '');
  return stream('application/x-tar', saveImages(store, wanted));
}

async function create(request: ApiRequest, images: Images): Promise<Reply> {
  const { query } = request;
  const fromImage = query.get('fromImage');
  if (fromImage !== null && fromImage !== '') return await pull(request, fromImage, images);
  const source = query.get('fromSrc');
  if (source === null) throw new ShoalError('INVALID_ARGUMENT', 'fromImage or fromSrc is needed');
  return await importFrom(source, request, images);
}

/** `tag` may be a digest. With neither, all tags are meant. */
function pulledReference(fromImage: string, tag: string): Reference {
  const reference = parseReference(fromImage);
  if (tag === '') return reference;
  const { domain, path } = reference;
  return parseReference(`${domain}/${path}${tag.includes(':') ? '@' : ':'}${tag}`);
}

async function pull(
  { query, headers, signal }: ApiRequest,
  fromImage: string,
  images: Images,
): Promise<Reply> {
  const reference = pulledReference(fromImage, query.get('tag') ?? '');
  const auth = registryAuth(headers);
  const platform = platformOf(query);
  return await streamed(signal, async (out, stop) => {
    const opts = { auth, platform, progress: out.progress, signal: stop };
    const isAll = reference.tag === undefined && reference.digest === undefined;
    if (isAll) await images.pullAll(reference, opts);
    else await images.pull(reference, opts);
  });
}

function platformOf(query: URLSearchParams): ReturnType<typeof parsePlatform> | undefined {
  const text = query.get('platform') ?? '';
  return text === '' ? undefined : parsePlatform(text);
}

async function importFrom(
  source: string,
  { query, body, signal }: ApiRequest,
  { store }: Images,
): Promise<Reply> {
  const url = source === '-' ? undefined : importAddress(source);
  const repository = query.get('repo') ?? '';
  const tag = query.get('tag') ?? '';
  const name = repository === '' ? undefined : withDefaultTag(pulledReference(repository, tag));
  const run = applyChanges({}, query.getAll('changes'));
  return await streamed(signal, async (out, stop) => {
    const comment = query.get('message') || `Imported from ${source}`;
    if (url) await out.write({ status: `Downloading from ${url.href}` });
    const archive = url ? contentAt(url, out.progress, stop) : body;
    const image = await importImage(store, archive, { run, comment, signal: stop, ...(name && { name }) });
    await out.write({ status: image.id });
  });
}

/** As Docker has it, the scheme may be left out. */
function importAddress(source: string): URL {
  const url = webAddress(source) ?? webAddress(`http://${source}`);
  if (url) return url;
  throw new ShoalError('INVALID_ARGUMENT', `invalid source to import from: ${source}`);
}

async function load({ query, body, signal }: ApiRequest, { store }: Images): Promise<Reply> {
  const platform = platformOf(query);
  return await streamed(signal, async (out, stop) => {
    const progress = boolQuery(query, 'quiet') ? noProgress : out.progress;
    const loaded = await loadImages(store, body, { platform, progress, signal: stop });
    for (const line of loadedLines(loaded)) await out.write({ stream: `${line}\n` });
  });
}

async function prune({ query }: ApiRequest, { store }: Images): Promise<Reply> {
  const { removals, bytes } = await pruneImages(store, parseFilters(query, PRUNE_FILTERS));
  return json({ ImagesDeleted: removals.length > 0 ? removals : null, SpaceReclaimed: bytes });
}

async function pushImage(
  { params, query, headers, signal }: ApiRequest,
  modules: ImageRouteModules,
): Promise<Reply> {
  const reference = pulledReference(params['name'] ?? '', query.get('tag') ?? '');
  const auth = registryAuth(headers);
  const parts = { store: modules.images.store, registries: modules.registries };
  return await streamed(signal, (out, stop) =>
    push(reference, { auth, progress: out.progress, signal: stop }, parts),
  );
}

async function tag({ params, query }: ApiRequest, { store }: Images): Promise<Reply> {
  const reference = pulledReference(query.get('repo') ?? '', query.get('tag') ?? '');
  if (reference.digest !== undefined) {
    throw new ShoalError('INVALID_ARGUMENT', 'refusing to create a tag with a digest reference');
  }
  await store.tag(params['name'] ?? '', reference);
  return empty(201);
}

async function remove({ params, query }: ApiRequest, { store }: Images): Promise<Reply> {
  const opts = { force: boolQuery(query, 'force'), prune: !boolQuery(query, 'noprune') };
  return json(await removeImage(store, params['name'] ?? '', opts));
}
