import { codeOf, ShoalError } from '#proto/base/errors.ts';
import { type Filters, fits, fitsLabels, parseFilters } from '#proto/http/filters.ts';
import { type ApiRequest, boolQuery, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Node } from '#proto/types/objects.ts';
import { findNode } from '../control/lookup.ts';
import type { StoreView } from '../store/view.ts';
import { type ManagerView, nodeRequest, nodeView } from './convert/node.ts';
import { tlsInfo } from './convert/tls-info.ts';
import { type Handlers, param, versionQuery } from './handlers.ts';
import type { ManagerParts } from './manager.ts';

export function nodeRoutes({ reads, writes }: Handlers): Route[] {
  return [
    { method: 'GET', path: '/nodes', handle: reads(list) },
    { method: 'GET', path: '/nodes/{id}', handle: reads(inspect) },
    { method: 'POST', path: '/nodes/{id}/update', handle: writes(update) },
    { method: 'DELETE', path: '/nodes/{id}', handle: writes(remove) },
  ];
}

const KEYS = ['id', 'label', 'membership', 'name', 'node.label', 'role'];

async function list(view: StoreView, { query }: ApiRequest, parts: ManagerParts): Promise<Reply> {
  const filters = parseFilters(query, KEYS);
  checkWords(filters, 'role', ['worker', 'manager']);
  checkWords(filters, 'membership', ['accepted', 'pending']);
  const managers = await managerViews(parts);
  const chosen = [...view.nodes.all()].filter((node) => isChosen(node, filters));
  return json(chosen.map((node) => nodeView(node, tlsOf(view), managers.get(node.id))));
}

function checkWords(filters: Filters, key: string, words: readonly string[]): void {
  for (const value of filters.get(key) ?? [])
    if (value !== '' && !words.includes(value))
      throw new ShoalError('INVALID_ARGUMENT', `Invalid ${key} filter: '${value}'`);
}

function isChosen({ id, role, spec, description }: Node, filters: Filters): boolean {
  return (
    fits(filters, 'id', (value) => id.startsWith(value)) &&
    fits(filters, 'name', (value) => description?.hostname.startsWith(value) ?? false) &&
    fits(filters, 'role', (value) => role === value) &&
    // Who is in the store has been let in.
    fits(filters, 'membership', (value) => value === 'accepted') &&
    fitsLabels(filters, description?.engine.labels) &&
    fitsLabels(filters, spec.labels, 'node.label')
  );
}

async function inspect(view: StoreView, request: ApiRequest, parts: ManagerParts): Promise<Reply> {
  const node = findNodeOrSelf(view, param(request, 'id'), parts.nodeId);
  const managers = await managerViews(parts);
  return json(nodeView(node, tlsOf(view), managers.get(node.id)));
}

function findNodeOrSelf(view: StoreView, ref: string, self: NodeId): Node {
  try {
    return findNode(view, ref);
  } catch (error) {
    if (ref === 'self' && codeOf(error) === 'NOT_FOUND') return findNode(view, self);
    throw error;
  }
}

async function update({ control }: ManagerParts, request: ApiRequest): Promise<Reply> {
  const version = versionQuery(request, 'node');
  await control.nodes.update(param(request, 'id'), version, nodeRequest(await request.json<unknown>()));
  return empty(200);
}

async function remove({ control }: ManagerParts, request: ApiRequest): Promise<Reply> {
  await control.nodes.remove(param(request, 'id'), boolQuery(request.query, 'force'));
  return empty(200);
}

function tlsOf({ cluster }: StoreView): ReturnType<typeof tlsInfo> {
  return tlsInfo(cluster?.rootCa.certificate ?? '');
}

/** The managers as this one sees them now. */
export async function managerViews({
  consensus,
  nodeId,
}: Pick<ManagerParts, 'consensus' | 'nodeId'>): Promise<ReadonlyMap<NodeId, ManagerView>> {
  const { leader } = consensus.leadership();
  const { members } = await consensus.status();
  return new Map(
    members.map(({ member, reachable }) => [
      member.nodeId,
      {
        leader: member.nodeId === leader?.nodeId,
        reachability: reachable || member.nodeId === nodeId ? 'reachable' : 'unreachable',
        addr: member.controlAddr,
      },
    ]),
  );
}
