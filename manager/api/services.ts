import { ShoalError } from '#proto/base/errors.ts';
import { ownTurn } from '#proto/base/own-turn.ts';
import { type Filters, fits, fitsLabels, parseFilters } from '#proto/http/filters.ts';
import { type ApiRequest, boolQuery, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import type { Service } from '#proto/types/objects.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { findService } from '../control/lookup.ts';
import type { AuthFrom } from '../control/registry-auth.ts';
import type { StoreView } from '../store/view.ts';
import { decodeBody } from './convert/fields.ts';
import { withoutLaterFields } from './convert/gates.ts';
import { serviceSpec } from './convert/service-spec.ts';
import { serviceView } from './convert/service-view.ts';
import { type Handlers, param, versionQuery } from './handlers.ts';
import type { ManagerParts } from './manager.ts';
import { registryAuth } from './registry-auth.ts';
import { taskCounts } from './task-counts.ts';

export function serviceRoutes({ reads, writes }: Handlers): Route[] {
  return [
    { method: 'GET', path: '/services', handle: reads(list) },
    { method: 'POST', path: '/services/create', handle: writes(create) },
    { method: 'GET', path: '/services/{id}', handle: reads(inspect) },
    { method: 'POST', path: '/services/{id}/update', handle: writes(update) },
    { method: 'DELETE', path: '/services/{id}', handle: writes(remove) },
  ];
}

/** Tasks counted before others get their turn: some milliseconds of work. */
const SLICE_TASKS = 20_000;

const KEYS = ['id', 'label', 'mode', 'name', 'runtime'];

async function list(view: StoreView, { query }: ApiRequest): Promise<Reply> {
  const filters = parseFilters(query, KEYS);
  const withCounts = boolQuery(query, 'status');
  const chosen = [...view.services.all()].filter((service) => isChosen(service, filters));
  const views: ReturnType<typeof serviceView>[] = [];
  let counted = 0;
  for (const service of chosen) {
    views.push(serviceView(service, withCounts ? { counts: taskCounts(view, service) } : {}));
    counted += withCounts ? view.tasks.sizeOf(service.id) : 0;
    if (counted < SLICE_TASKS) continue;
    counted = 0;
    await ownTurn();
  }
  return json(views);
}

function isChosen({ id, spec, pendingDelete }: Service, filters: Filters): boolean {
  return (
    !pendingDelete &&
    fits(filters, 'id', (value) => id.startsWith(value)) &&
    fits(filters, 'name', (value) => spec.name.startsWith(value)) &&
    fits(filters, 'mode', (value) => spec.mode.kind === value) &&
    fits(filters, 'runtime', (value) => value === 'container' || value === '') &&
    fitsLabels(filters, spec.labels)
  );
}

function inspect(view: StoreView, request: ApiRequest): Reply {
  const insertDefaults = boolQuery(request.query, 'insertDefaults');
  return json(serviceView(findService(view, param(request, 'id')), { insertDefaults }));
}

async function create({ control }: ManagerParts, request: ApiRequest): Promise<Reply> {
  const { id, warnings } = await control.services.create(await specOf(request), askedBy(request));
  return json({ ID: id, Warnings: orNull(warnings) }, 201);
}

async function update({ control }: ManagerParts, request: ApiRequest): Promise<Reply> {
  const id = param(request, 'id');
  const version = versionQuery(request, 'service');
  const authFrom = authFromQuery(request.query.get('registryAuthFrom') ?? '');
  if (isRollback(request.query.get('rollback') ?? '')) {
    await control.services.rollBack(id, version);
    return json({ Warnings: null });
  }
  const by = { ...askedBy(request), authFrom };
  const warnings = await control.services.update(id, version, await specOf(request), by);
  return json({ Warnings: orNull(warnings) });
}

async function remove({ control }: ManagerParts, request: ApiRequest): Promise<Reply> {
  await control.services.remove(param(request, 'id'));
  return empty(200);
}

async function specOf(request: ApiRequest): Promise<ServiceSpec> {
  const body = withoutLaterFields(await request.json<unknown>(), request.version.minor);
  return decodeBody(serviceSpec, body);
}

function askedBy({
  headers,
  signal,
}: ApiRequest): Parameters<ManagerParts['control']['services']['create']>[1] {
  const auth = registryAuth(headers);
  return { signal, ...(auth && { auth }) };
}

function orNull(warnings: readonly string[]): readonly string[] | null {
  return warnings.length === 0 ? null : warnings;
}

function isRollback(option: string): boolean {
  if (option === 'previous') return true;
  if (option === '' || option === 'none') return false;
  throw new ShoalError('INVALID_ARGUMENT', `unrecognized rollback option ${option}`);
}

function authFromQuery(option: string): AuthFrom {
  if (option === '' || option === 'spec') return 'spec';
  if (option === 'previous-spec') return option;
  throw new ShoalError('INVALID_ARGUMENT', 'unsupported registryAuthFrom value');
}
