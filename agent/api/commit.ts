import { ShoalError } from '#proto/base/errors.ts';
import { hasBody } from '#proto/http/body.ts';
import { type ApiRequest, boolQuery, json, type Reply, type Route } from '#proto/http/types.ts';
import { applyChanges } from '../core/build/changes.ts';
import type { Container } from '../core/container.ts';
import { emitContainer } from '../core/container-events.ts';
import type { ContainerConfig } from '../core/container-types.ts';
import type { ImageStore } from '../core/image/image-store.ts';
import { familiarName, parseReference, withDefaultTag } from '../core/image/reference.ts';
import { commit } from '../core/image/write.ts';
import type { Engine } from '../core/open-engine.ts';
import { cgroupOf } from '../core/usage.ts';

export interface CommitModules {
  readonly engine: Engine;
  readonly store: ImageStore;
}

/** POST /commit: an image of what a container has become. */
export function commitRoutes(modules: CommitModules): Route[] {
  return [{ method: 'POST', path: '/commit', handle: (request) => commitContainer(modules, request) }];
}

async function commitContainer({ engine, store }: CommitModules, request: ApiRequest): Promise<Reply> {
  const { query, signal } = request;
  const container = engine.containers.find(query.get('container') ?? '');
  const reference = referenceOf(query);
  const asked = hasBody(request.headers) ? await request.json<Partial<ContainerConfig> | null>() : null;
  const run = applyChanges({ ...container.spec.config, ...asked }, query.getAll('changes'));
  const { spec } = container;
  const opts = {
    base: store.find(spec.imageId),
    upper: engine.parts.rootfs.upper(spec.id),
    run,
    author: query.get('author') ?? '',
    comment: query.get('comment') ?? '',
    createdBy: [spec.path, ...spec.args].join(' '),
  };
  const { id } = await standingStill(engine, container, boolQuery(query, 'pause', true), () =>
    commit(store, opts, signal),
  );
  if (reference) await store.tag(id, reference);
  const imageRef = reference ? { imageRef: familiarName(reference) } : {};
  emitContainer(engine.parts.events, container, 'commit', {
    comment: opts.comment,
    imageID: id,
    ...imageRef,
  });
  return json({ Id: id }, 201);
}

function referenceOf(query: URLSearchParams): ReturnType<typeof parseReference> | undefined {
  const repository = query.get('repo') ?? '';
  const tag = query.get('tag') ?? '';
  if (repository === '') {
    if (tag !== '') throw new ShoalError('INVALID_ARGUMENT', 'refusing to create a tag without a repository');
    return undefined;
  }
  return withDefaultTag(parseReference(tag === '' ? repository : `${repository}:${tag}`));
}

/** What is read while it is written would be nothing that ever was. */
async function standingStill<T>(
  { parts }: Engine,
  container: Container,
  wanted: boolean,
  work: () => Promise<T>,
): Promise<T> {
  if (!wanted || container.run.status !== 'running') return work();
  const group = cgroupOf(parts, container);
  await group.freeze();
  try {
    return await work();
  } finally {
    group.thaw();
  }
}
