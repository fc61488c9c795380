import { ShoalError } from '#proto/base/errors.ts';
import { fitsLabels, lacksLabels, parseFilters, parseMoment } from '#proto/http/filters.ts';
import {
  type ApiRequest,
  boolQuery,
  empty,
  json,
  type Reply,
  type Route,
  stream,
} from '#proto/http/types.ts';
import type { Container } from '../core/container.ts';
import { emitContainer } from '../core/container-events.ts';
import type { ContainerConfig, CreateRequest, EndpointConfig, HostConfig } from '../core/container-types.ts';
import type { WaitCondition } from '../core/engine.ts';
import { removeLink } from '../core/links.ts';
import type { Engine } from '../core/open-engine.ts';
import { processTable } from '../core/top.ts';
import type { HostConfigChanges } from '../core/updater.ts';
import { cgroupOf } from '../core/usage.ts';
import { shaped } from './body-shape.ts';
import { listContainers } from './container-list.ts';
import { CONTAINER, HOST_CONFIG } from './container-shape.ts';
import { type StartModules, startContainer } from './container-start.ts';
import { stats } from './container-stats.ts';
import { attach, logs } from './container-streams.ts';
import { inspectView } from './container-views.ts';

/** Containers of this machine. */
export function containerRoutes(modules: StartModules & { readonly engine: Engine }): Route[] {
  const { engine } = modules;
  const { containers } = engine;
  const by = (act: (id: string, request: ApiRequest) => Promise<void>, status = 204) => {
    return async (request: ApiRequest): Promise<Reply> => {
      await act(request.params['id'] as string, request);
      return empty(status);
    };
  };
  const post = (path: string, handle: Route['handle']): Route => ({ method: 'POST', path, handle });
  const get = (path: string, handle: Route['handle']): Route => ({ method: 'GET', path, handle });
  return [
    get('/containers/json', async ({ query }) => json(await listContainers(engine, query))),
    post('/containers/create', (request) => create(engine, request)),
    post('/containers/prune', (request) => prune(engine, request)),
    get('/containers/{id}/json', (request) => inspect(engine, request)),
    get('/containers/{id}/top', (request) => top(engine, request)),
    get('/containers/{id}/logs', (request) => logs(engine, request)),
    get('/containers/{id}/stats', (request) => stats(engine, request)),
    post('/containers/{id}/attach', (request) => attach(engine, request)),
    post(
      '/containers/{id}/start',
      by((id) => startContainer(modules, id)),
    ),
    post(
      '/containers/{id}/stop',
      by((id, request) => containers.stop(id, stopOpts(request))),
    ),
    post(
      '/containers/{id}/restart',
      by((id, request) => containers.restart(id, stopOpts(request))),
    ),
    post(
      '/containers/{id}/kill',
      by((id, { query }) => containers.kill(id, query.get('signal') ?? '')),
    ),
    post(
      '/containers/{id}/pause',
      by((id) => containers.pause(id)),
    ),
    post(
      '/containers/{id}/unpause',
      by((id) => containers.unpause(id)),
    ),
    post(
      '/containers/{id}/rename',
      by((id, { query }) => containers.rename(id, query.get('name') ?? '')),
    ),
    post('/containers/{id}/resize', (request) => resize(engine, request)),
    post('/containers/{id}/update', (request) => update(engine, request)),
    post('/containers/{id}/wait', (request) => wait(engine, request)),
    { method: 'DELETE', path: '/containers/{id*}', handle: (request) => remove(engine, request) },
  ];
}

type CreateBody = ContainerConfig & {
  readonly HostConfig?: HostConfig | null;
  readonly NetworkingConfig?: {
    readonly EndpointsConfig?: Record<string, EndpointConfig | null> | null;
  } | null;
};

async function create({ containers }: Engine, request: ApiRequest): Promise<Reply> {
  const {
    HostConfig: hostConfig,
    NetworkingConfig: networking,
    ...config
  } = shaped(await request.json<CreateBody>(), CONTAINER);
  const asked: CreateRequest = {
    config,
    hostConfig: hostConfig ?? {},
    endpoints: networking?.EndpointsConfig ?? {},
    platform: request.query.get('platform') ?? '',
  };
  const { id, warnings } = await containers.create(request.query.get('name') || undefined, asked);
  return json({ Id: id, Warnings: warnings }, 201);
}

async function inspect(engine: Engine, { params, query }: ApiRequest): Promise<Reply> {
  const container = engine.containers.find(params['id'] as string);
  const view = inspectView(engine, container);
  if (!boolQuery(query, 'size')) return json(view);
  const { rootfs } = engine.parts;
  const { id, imageId } = container.spec;
  return json({
    ...view,
    SizeRw: await rootfs.changedBytes(id),
    SizeRootFs: await rootfs.totalBytes(id, imageId),
  });
}

function stopOpts({ query }: ApiRequest): { signal?: string; graceMs?: number } {
  const signal = query.get('signal');
  const seconds = query.get('t');
  if (seconds !== null && !/^-?\d+$/.test(seconds))
    throw new ShoalError('INVALID_ARGUMENT', `invalid number of seconds: ${seconds}`);
  return {
    ...(signal ? { signal } : {}),
    ...(seconds === null ? {} : { graceMs: Number(seconds) * 1000 }),
  };
}

async function remove({ containers, parts }: Engine, { params, query }: ApiRequest): Promise<Reply> {
  if (boolQuery(query, 'link')) {
    removeLink(parts.containers, params['id'] as string);
    return empty();
  }
  await containers.remove(params['id'] as string, {
    force: boolQuery(query, 'force'),
    volumes: boolQuery(query, 'v'),
  });
  return empty();
}

const CONDITIONS: Readonly<Record<string, WaitCondition>> = {
  '': 'not-running',
  'not-running': 'not-running',
  'next-exit': 'next-exit',
  removed: 'removed',
};

/** Answers its head at once: clients start the container only when they know that they are waiting for it. */
function wait({ containers }: Engine, { params, query, signal }: ApiRequest): Reply {
  const asked = query.get('condition') ?? '';
  const condition = CONDITIONS[asked];
  if (condition === undefined) throw new ShoalError('INVALID_ARGUMENT', `invalid condition: "${asked}"`);
  const waiting = containers.find(params['id'] as string).wait(condition, signal);
  waiting.catch(() => undefined);
  return stream('application/json', waitBody(waiting, condition === 'not-running'));
}

/** `says`: also why it could not be started. Who waits for the next end has started it, and was told. */
async function* waitBody(waiting: ReturnType<Container['wait']>, says: boolean): AsyncGenerator<string> {
  const { exitCode, error } = await waiting;
  const why = says && error ? { Error: { Message: error } } : {};
  yield `${JSON.stringify({ StatusCode: exitCode, ...why })}\n`;
}

function resize({ containers }: Engine, { params, query }: ApiRequest): Reply {
  containers.resize(params['id'] as string, sizeOf(query, 'h'), sizeOf(query, 'w'));
  return empty(200);
}

/** Rows or columns of a terminal. */
export function sizeOf(query: URLSearchParams, name: 'h' | 'w'): number {
  const size = Number(query.get(name));
  if (Number.isInteger(size) && size >= 0 && size < 65_536) return size;
  throw new ShoalError(
    'INVALID_ARGUMENT',
    `invalid resize ${name === 'h' ? 'height' : 'width'} "${query.get(name)}"`,
  );
}

async function update({ updater }: Engine, request: ApiRequest): Promise<Reply> {
  const changes = shaped(await request.json<HostConfigChanges>(), HOST_CONFIG);
  const warnings = await updater.update(request.params['id'] as string, changes);
  return json({ Warnings: warnings.length > 0 ? warnings : null });
}

async function top(engine: Engine, { params, query }: ApiRequest): Promise<Reply> {
  const container = engine.containers.find(params['id'] as string);
  if (!container.hasProcess) throw new ShoalError('CONFLICT', `container ${container.id} is not running`);
  emitContainer(engine.parts.events, container, 'top');
  return json(await processTable(cgroupOf(engine.parts, container).processes(), query.get('ps_args') ?? ''));
}

const PRUNE_KEYS = ['label', 'label!', 'until'];

async function prune({ containers, parts }: Engine, { query }: ApiRequest): Promise<Reply> {
  const filters = parseFilters(query, PRUNE_KEYS);
  const [until] = filters.get('until') ?? [];
  const before = until === undefined ? Number.POSITIVE_INFINITY : parseMoment(until, parts.clock.wallMs());
  const deleted: string[] = [];
  let bytes = 0;
  for (const { id, spec, isRunning } of containers.all()) {
    if (isRunning || !fitsLabels(filters, spec.config.Labels) || !lacksLabels(filters, spec.config.Labels))
      continue;
    if (Date.parse(spec.createdAt) >= before) continue;
    bytes += await parts.rootfs.changedBytes(id);
    await containers.remove(id);
    deleted.push(id);
  }
  parts.events.emit('container', 'prune', '', { reclaimed: String(bytes) });
  return json({ ContainersDeleted: deleted.length > 0 ? deleted : null, SpaceReclaimed: bytes });
}
