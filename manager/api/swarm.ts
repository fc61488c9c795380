import { ShoalError } from '#proto/base/errors.ts';
import { type ApiRequest, boolQuery, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import type { NodeRole } from '#proto/types/states.ts';
import { formatUnlockKey, parseUnlockKey } from '../ca/unlock-key.ts';
import type { StoreView } from '../store/view.ts';
import { decodeBody, object, text } from './convert/fields.ts';
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
    { method: 'GET', path: '/swarm/unlockkey', handle: reads(unlockKey) },
    { method: 'POST', path: '/swarm/unlock', handle: (request) => unlock(modules, request) },
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
  const tokens: NodeRole[] = [
    ...(boolQuery(query, 'rotateWorkerToken') ? (['worker'] as const) : []),
    ...(boolQuery(query, 'rotateManagerToken') ? (['manager'] as const) : []),
  ];
  const rotate = { tokens, unlockKey: boolQuery(query, 'rotateManagerUnlockKey') };
  await control.cluster.update(version, swarmSpecRequest(await request.json<unknown>()), rotate);
  return empty(200);
}

/** What opens a manager after its restart; empty while none is locked. */
function unlockKey({ cluster }: StoreView): Reply {
  return json({ UnlockKey: cluster?.unlockKey === undefined ? '' : formatUnlockKey(cluster.unlockKey) });
}

/** For a manager whose state is locked: CONFLICT where it is not, or what Docker says of a node that is no manager. */
async function unlock(modules: ClusterApiModules, request: ApiRequest): Promise<Reply> {
  const { manager, lifecycle } = modules;
  if (manager() !== 'locked') {
    requireManager(modules);
    throw new ShoalError('CONFLICT', 'swarm is not locked');
  }
  const { key = '' } = decodeBody(unlockRequest, await request.json<unknown>());
  await lifecycle.unlock(parseUnlockKey(key));
  return empty(200);
}

const unlockRequest = object<{ readonly key?: string }>({ key: ['UnlockKey', text] });
