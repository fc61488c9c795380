import { ShoalError } from '#proto/base/errors.ts';
import {
  type ApiRequest,
  boolQuery,
  empty,
  json,
  type Reply,
  type Route,
  stream,
} from '#proto/http/types.ts';
import type { PathStat } from '../core/archive-entries.ts';
import type { Engine } from '../core/open-engine.ts';

const TAR = 'application/x-tar';

/** Files of containers: `docker cp`, `diff` and `export`. */
export function containerFileRoutes({ engine }: { engine: Engine }): Route[] {
  const { files } = engine;
  const archive = '/containers/{id}/archive';
  return [
    { method: 'GET', path: '/containers/{id}/changes', handle: ({ params }) => changes(engine, params) },
    {
      method: 'GET',
      path: '/containers/{id}/export',
      handle: async ({ params }) =>
        stream('application/octet-stream', await files.export(params['id'] as string)),
    },
    { method: 'HEAD', path: archive, handle: (request) => stat(engine, request) },
    { method: 'GET', path: archive, handle: (request) => read(engine, request) },
    { method: 'PUT', path: archive, handle: (request) => write(engine, request) },
  ];
}

function changes({ files }: Engine, params: ApiRequest['params']): Reply {
  const found = files.changes(params['id'] as string);
  return json(found.length > 0 ? found : null);
}

function pathOf(query: URLSearchParams): string {
  const path = query.get('path') ?? '';
  if (path === '') throw new ShoalError('INVALID_ARGUMENT', 'missing parameter: path');
  return path.startsWith('/') ? path : `/${path}`;
}

function statHeader(stat: PathStat): Record<string, string> {
  return { 'X-Docker-Container-Path-Stat': Buffer.from(JSON.stringify(stat)).toString('base64') };
}

async function stat({ files }: Engine, { params, query }: ApiRequest): Promise<Reply> {
  const found = await files.stat(params['id'] as string, pathOf(query));
  return { kind: 'empty', status: 200, headers: statHeader(found) };
}

async function read({ files }: Engine, { params, query }: ApiRequest): Promise<Reply> {
  const { stat: found, archive } = await files.read(params['id'] as string, pathOf(query));
  return { kind: 'stream', status: 200, contentType: TAR, body: archive, headers: statHeader(found) };
}

async function write({ files }: Engine, { params, query, body }: ApiRequest): Promise<Reply> {
  const keepKinds = boolQuery(query, 'noOverwriteDirNonDir');
  await files.write(params['id'] as string, pathOf(query), body, { keepKinds });
  return empty(200);
}
