import { ShoalError } from '#proto/base/errors.ts';
import { parseFilters } from '#proto/http/filters.ts';
import { json, type Route } from '#proto/http/types.ts';
import { type Handlers, param } from './handlers.ts';

/**
 * Secrets and configs: there are none yet. Those who look find none; who makes one is told so, before anything that would
 * use it is made.
 */
export function secretRoutes(handlers: Handlers): Route[] {
  return [
    ...routesOf(handlers, 'secret', ['id', 'label', 'name', 'names']),
    ...routesOf(handlers, 'config', ['id', 'label', 'name']),
  ];
}

function routesOf({ reads }: Handlers, kind: 'secret' | 'config', keys: readonly string[]): Route[] {
  const list = reads((_view, { query }) => {
    parseFilters(query, keys);
    return json([]);
  });
  const create = reads(() => {
    throw new ShoalError('NOT_IMPLEMENTED', `${kind}s are not supported yet`);
  });
  const missing = reads((_view, request) => {
    throw new ShoalError('NOT_FOUND', `${kind} ${param(request, 'id')} not found`);
  });
  return [
    { method: 'GET', path: `/${kind}s`, handle: list },
    { method: 'POST', path: `/${kind}s/create`, handle: create },
    { method: 'GET', path: `/${kind}s/{id}`, handle: missing },
    { method: 'POST', path: `/${kind}s/{id}/update`, handle: missing },
    { method: 'DELETE', path: `/${kind}s/{id}`, handle: missing },
  ];
}
