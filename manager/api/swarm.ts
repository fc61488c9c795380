import { ShoalError } from '#proto/base/errors.ts';
import { type ApiRequest, boolQuery, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import type { NodeRole } from '#proto/types/states.ts';
import type { StoreView } from '../store/view.ts';
import { initRequest, joinRequest } from './convert/swarm-requests.ts';
import { swarmSpecRequest, swarmView } from './convert/swarm-spec.ts';
import { type Handlers, versionQuery } from './handlers.ts';
import { type ClusterApiModules, type ManagerParts, requireManager } from './manager.ts';

export function swarmRoutes({ reads, writes }: Handlers, modules: ClusterApiModules): Route[] {
  return [
    { method: 'GET', path: '/swarm', handle: reads(inspect) },
    { method: 'POST', path: '/swarm/init', handle: (request) => init(modules, request) },
    { method: 'POST', path: '/swarm/join', handle: (request) => join(modules, request) },
    { method: 'POST', path: '/swarm/leave', handle: (request) => leave(modules, request) },
    { method: 'POST', path: '/swarm/update', handle: writes(update) },
    { method: 'GET', path: '/swarm/unlockkey', handle: reads(() => json({ UnlockKey: '' })) },
    { method: 'POST', path: '/swarm/unlock', handle: () => unlock(modules) },
  ];
}

function inspect({ cluster }: StoreView): Reply {
  if (cluster === undefined) throw new ShoalError('UNAVAILABLE', 'the swarm is only being made');
  return json(swarmView(cluster));
}

async function init({ lifecycle }: ClusterApiModules, request: ApiRequest): Promise<Reply> {
  return json(await lifecycle.init(initRequest(await request.json<unknown>())));
}

async function join({ lifecycle }: ClusterApiModules, request: ApiRequest): Promise<Reply> {
  await lifecycle.join(joinRequest(await request.json<unknown>()));
  return empty(200);
}

async function leave({ lifecycle }: ClusterApiModules, { query }: ApiRequest): Promise<Reply> {
  await lifecycle.leave(boolQuery(query, 'force'));
  return empty(200);
}

async function update({ control }: ManagerParts, request: ApiRequest): Promise<Reply> {
  const { query } = request;
  const version = versionQuery(request, 'swarm');
  if (boolQuery(query, 'rotateManagerUnlockKey'))
    throw new ShoalError('NOT_IMPLEMENTED', 'locking managers (autolock) is not supported yet');
  const roles: NodeRole[] = [
    ...(boolQuery(query, 'rotateWorkerToken') ? (['worker'] as const) : []),
    ...(boolQuery(query, 'rotateManagerToken') ? (['manager'] as const) : []),
  ];
  await control.cluster.update(version, swarmSpecRequest(await request.json<unknown>()), roles);
  return empty(200);
}

/** No store is ever locked yet. */
function unlock(modules: ClusterApiModules): Reply {
  requireManager(modules);
  throw new ShoalError('CONFLICT', 'swarm is not locked');
}
