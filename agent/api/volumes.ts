import { hasBody } from '#proto/http/body.ts';
import {
  type Filters,
  fits,
  fitsLabels,
  flagFilter,
  lacksLabels,
  parseFilters,
} from '#proto/http/filters.ts';
import { type ApiRequest, boolQuery, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import type { Engine } from '../core/open-engine.ts';
import type { VolumeRecord } from '../core/volumes.ts';
import { shaped } from './body-shape.ts';
import { VOLUME } from './container-shape.ts';

/** Volumes of this machine. */
export function volumeRoutes({ engine }: { engine: Engine }): Route[] {
  const { volumes } = engine.parts;
  return [
    { method: 'GET', path: '/volumes', handle: ({ query }) => list(engine, query) },
    { method: 'POST', path: '/volumes/create', handle: (request) => create(engine, request) },
    { method: 'POST', path: '/volumes/prune', handle: (request) => prune(engine, request) },
    {
      method: 'GET',
      path: '/volumes/{name}',
      handle: ({ params }) => json(volumeView(engine, volumes.find(params['name'] as string))),
    },
    {
      method: 'DELETE',
      path: '/volumes/{name}',
      handle: ({ params, query }) => {
        volumes.remove(params['name'] as string, boolQuery(query, 'force'));
        return empty();
      },
    },
  ];
}

export function volumeView({ parts: { volumes } }: Engine, record: VolumeRecord): Record<string, unknown> {
  return {
    CreatedAt: record.createdAt,
    Driver: 'local',
    Labels: record.labels,
    Mountpoint: volumes.path(record.name),
    Name: record.name,
    Options: record.options,
    Scope: 'local',
  };
}

function list(engine: Engine, query: URLSearchParams): Reply {
  const filters = parseFilters(query, ['dangling', 'driver', 'label', 'name']);
  const chosen = engine.parts.volumes.list().filter((record) => isChosen(engine, record, filters));
  return json({ Volumes: chosen.map((record) => volumeView(engine, record)), Warnings: null });
}

function isChosen({ parts: { volumes } }: Engine, record: VolumeRecord, filters: Filters): boolean {
  const dangling = flagFilter(filters, 'dangling');
  return (
    fits(filters, 'name', (value) => record.name.includes(value)) &&
    fits(filters, 'driver', (value) => value === 'local') &&
    (dangling === undefined || dangling === (volumes.users(record.name).length === 0)) &&
    fitsLabels(filters, record.labels)
  );
}

interface CreateBody {
  readonly Name?: string;
  readonly Driver?: string;
  readonly DriverOpts?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

async function create(engine: Engine, request: ApiRequest): Promise<Reply> {
  const body = hasBody(request.headers) ? shaped(await request.json<CreateBody>(), VOLUME) : {};
  const record = engine.parts.volumes.create({
    name: body.Name ?? '',
    driver: body.Driver ?? '',
    options: body.DriverOpts ?? null,
    labels: body.Labels ?? null,
  });
  return json(volumeView(engine, record), 201);
}

/** Anonymous ones only since API 1.42, unless all are asked for. */
async function prune(engine: Engine, { query, version }: ApiRequest): Promise<Reply> {
  const filters = parseFilters(query, ['all', 'label', 'label!']);
  const { volumes } = engine.parts;
  const all = version.minor < 42 || (flagFilter(filters, 'all') ?? false);
  const { names, bytes } = await volumes.prune(
    (record) =>
      (all || volumes.isAnonymous(record)) &&
      fitsLabels(filters, record.labels) &&
      lacksLabels(filters, record.labels),
  );
  return json({ VolumesDeleted: names, SpaceReclaimed: bytes });
}
