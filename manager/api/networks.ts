import { codeOf, FAILURES, type FailureCode, ShoalError } from '#proto/base/errors.ts';
import { fitsLabels, lacksLabels, parseFilters, parseMoment } from '#proto/http/filters.ts';
import { type ApiRequest, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import type { Network } from '#proto/types/objects.ts';
import { findNetwork } from '../control/lookup.ts';
import { PREDEFINED_LABEL } from '../leader/bootstrap.ts';
import { type ClusterNetworkView, networkRequest, networkView } from './convert/network.ts';
import { type Answer, whereverLed } from './forward.ts';
import { freshView, type Handlers, param } from './handlers.ts';
import { type ClusterApiModules, type ManagerParts, requireManager } from './manager.ts';
import { withReason } from './quorum.ts';

/** The networks of the cluster, for the network routes of a node, which has networks of its own, too. */
export interface ClusterNetworkProvider {
  /** Without those that only stand for what each node has itself. */
  list(): Promise<readonly ClusterNetworkView[]>;
  find(ref: string): Promise<ClusterNetworkView | undefined>;
  /** With the body of POST /networks/create as it came. */
  create(body: unknown): Promise<{ readonly Id: string; readonly Warning: string }>;
  remove(ref: string): Promise<void>;
  /** Removes what nothing uses, and gives the names. The query is that of POST /networks/prune. */
  prune(query: URLSearchParams): Promise<readonly string[]>;
}

type Modules = Pick<ClusterApiModules, 'manager' | 'clock'>;

/** NOT_MANAGER from every call while this node is no manager. Changes are made by the leader, as everywhere. */
export function clusterNetworks(modules: Modules): ClusterNetworkProvider {
  const view = (): ReturnType<typeof freshView> => {
    const parts = requireManager(modules);
    return saying(parts, freshView({ ...parts, clock: modules.clock }));
  };
  return {
    async list() {
      const { networks } = await view();
      return [...networks.all()].filter(isShown).map(networkView);
    },
    async find(ref) {
      try {
        return networkView(findNetwork(await view(), ref));
      } catch (error) {
        if (codeOf(error) === 'NOT_FOUND') return undefined;
        throw error;
      }
    },
    create: (body) =>
      changed(modules, { method: 'POST', target: '/networks/create', body }, (parts) => create(parts, body)),
    async remove(ref) {
      const call = { method: 'DELETE', target: `/networks/${encodeURIComponent(ref)}`, body: undefined };
      await changed(modules, call, (parts) => parts.control.networks.remove(ref));
    },
    async prune(query) {
      const call = { method: 'POST', target: `/networks/prune?${query}`, body: undefined };
      const { NetworksDeleted: names } = await changed(modules, call, (parts) =>
        prune(modules, parts, query),
      );
      return names ?? [];
    },
  };
}

function isShown({ spec, pendingDelete }: Network): boolean {
  return !pendingDelete && !(PREDEFINED_LABEL in (spec.labels ?? {}));
}

/** The same changes as routes: what a manager that leads runs for others, whose node routes are the node's own. */
export function networkCallRoutes({ writes }: Handlers, modules: Modules): Route[] {
  const handle = {
    create: async (parts: ManagerParts, request: ApiRequest): Promise<Reply> =>
      json(await create(parts, await request.json<unknown>()), 201),
    remove: async ({ control }: ManagerParts, request: ApiRequest): Promise<Reply> => {
      await control.networks.remove(param(request, 'id'));
      return empty();
    },
    prune: async (parts: ManagerParts, { query }: ApiRequest): Promise<Reply> =>
      json(await prune(modules, parts, query)),
  };
  return [
    { method: 'POST', path: '/networks/create', handle: writes(handle.create) },
    { method: 'POST', path: '/networks/prune', handle: writes(handle.prune) },
    { method: 'DELETE', path: '/networks/{id}', handle: writes(handle.remove) },
  ];
}

async function create(
  { control }: ManagerParts,
  body: unknown,
): Promise<{ readonly Id: string; readonly Warning: string }> {
  return { Id: await control.networks.create(networkRequest(body)), Warning: '' };
}

async function prune(
  { clock }: Modules,
  { control }: ManagerParts,
  query: URLSearchParams,
): Promise<{ readonly NetworksDeleted: readonly string[] | null }> {
  const filters = parseFilters(query, ['label', 'label!', 'until']);
  const [until] = filters.get('until') ?? [];
  const beforeMs = until === undefined ? Number.POSITIVE_INFINITY : parseMoment(until, clock.wallMs());
  const names = await control.networks.prune(
    ({ spec, createdAtMs }) =>
      createdAtMs < beforeMs && fitsLabels(filters, spec.labels) && lacksLabels(filters, spec.labels),
  );
  return { NetworksDeleted: names.length === 0 ? null : names };
}

interface Change {
  readonly method: string;
  readonly target: string;
  readonly body: unknown;
}

/** Makes a change on the manager that leads, be it this one or another. */
async function changed<T>(
  modules: Modules,
  { method, target, body }: Change,
  here: (parts: ManagerParts) => Promise<T>,
): Promise<T> {
  const parts = requireManager(modules);
  const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body));
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const made = whereverLed<T>(parts, modules.clock, {
    call: { method, target, headers, body: bytes },
    signal: new AbortController().signal,
    here: async () => {
      await freshView({ ...parts, clock: modules.clock });
      return here(parts);
    },
    away: resultOf,
  });
  return saying(parts, made);
}

/** A failure for want of a leader says why there is none, where that is known. */
function saying<T>(parts: ManagerParts, asked: Promise<T>): Promise<T> {
  return asked.catch(async (error: unknown) => {
    throw await withReason(error, parts);
  });
}

function resultOf<T>({ status, body }: Answer): T {
  const text = Buffer.from(body).toString();
  const value: unknown = text === '' ? undefined : JSON.parse(text);
  if (status < 400) return value as T;
  throw new ShoalError(
    codeFor(status),
    (value as { message?: string } | undefined)?.message ?? `status ${status}`,
  );
}

/** The failure that is answered with a status. */
function codeFor(status: number): FailureCode {
  if (status === FAILURES.INTERNAL.http) return 'INTERNAL';
  const codes = Object.keys(FAILURES) as FailureCode[];
  return codes.find((code) => FAILURES[code].http === status) ?? 'INTERNAL';
}
