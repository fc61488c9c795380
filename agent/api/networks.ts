import { ShoalError } from '#proto/base/errors.ts';
import {
  type Filters,
  fits,
  fitsLabels,
  flagFilter,
  lacksLabels,
  parseFilters,
  parseMoment,
} from '#proto/http/filters.ts';
import { type ApiRequest, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import type { EndpointConfig } from '../core/container-types.ts';
import type { NetworkRecord, NetworkRequest } from '../core/network-record.ts';
import type { Engine } from '../core/open-engine.ts';
import { shaped } from './body-shape.ts';
import { type ClusterNetworks, ofCluster, ofClusterIfHeard } from './cluster-networks.ts';
import { NETWORK } from './container-shape.ts';
import { localNetworkView, membersView, type NetworkView } from './network-views.ts';

export interface NetworkModules {
  readonly engine: Engine;
  /** The networks of the cluster, where this node knows them. */
  readonly cluster?: () => ClusterNetworks | undefined;
}

const NOT_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** Networks of this machine, and with them those of the cluster. */
export function networkRoutes(modules: NetworkModules): Route[] {
  return [
    { method: 'GET', path: '/networks', handle: (request) => list(modules, request) },
    { method: 'GET', path: '/networks/{id}', handle: (request) => inspect(modules, request) },
    { method: 'POST', path: '/networks/create', handle: (request) => create(modules, request) },
    { method: 'POST', path: '/networks/prune', handle: (request) => prune(modules, request) },
    { method: 'POST', path: '/networks/{id}/connect', handle: (request) => connect(modules, request) },
    { method: 'POST', path: '/networks/{id}/disconnect', handle: (request) => disconnect(modules, request) },
    { method: 'DELETE', path: '/networks/{id}', handle: (request) => remove(modules, request) },
  ];
}

const KEYS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];

async function list({ engine, cluster }: NetworkModules, { query }: ApiRequest): Promise<Reply> {
  const filters = parseFilters(query, KEYS);
  const local = engine.parts.networks.list().map((record) => localNetworkView(engine, record, false));
  const shared = (await ofClusterIfHeard(() => cluster?.()?.list(), [])) ?? [];
  const all = [...local, ...shared];
  return json(all.filter((network) => isChosen(engine, network, filters)));
}

function isChosen(engine: Engine, network: NetworkView, filters: Filters): boolean {
  const builtIn = engine.parts.networks.isBuiltIn(network.Name) && network.Scope === 'local';
  const dangling = flagFilter(filters, 'dangling');
  const used = (): boolean => engine.membership.members(network.Id).length > 0;
  return (
    fits(filters, 'driver', (value) => network.Driver === value) &&
    fits(filters, 'id', (value) => network.Id.includes(value)) &&
    fits(filters, 'name', (value) => network.Name.includes(value)) &&
    fits(filters, 'scope', (value) => network.Scope === value) &&
    fits(filters, 'type', (value) => isOfType(value, builtIn)) &&
    (dangling === undefined || dangling === (!builtIn && !used())) &&
    fitsLabels(filters, network.Labels)
  );
}

function isOfType(type: string, builtIn: boolean): boolean {
  if (type === 'builtin') return builtIn;
  if (type === 'custom') return !builtIn;
  throw new ShoalError('INVALID_ARGUMENT', `invalid filter: 'type'='${type}'`);
}

async function inspect({ engine, cluster }: NetworkModules, { params, query }: ApiRequest): Promise<Reply> {
  const id = params['id'] as string;
  const scope = query.get('scope') ?? '';
  const local = scope === '' || scope === 'local' ? found(engine, id) : undefined;
  if (local) return json(localNetworkView(engine, local, true));
  const shared = scope === 'local' ? undefined : await findShared(cluster, id);
  if (shared)
    return json({ ...shared, Containers: { ...shared.Containers, ...membersView(engine, shared.Id) } });
  throw new ShoalError('NOT_FOUND', `network ${id} not found`);
}

/** A network of this machine; undefined when there is none by that name here. */
function found({ parts }: Engine, idOrName: string): NetworkRecord | undefined {
  try {
    return parts.networks.find(idOrName);
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function findShared(cluster: NetworkModules['cluster'], id: string): Promise<NetworkView | undefined> {
  return await ofCluster(() => cluster?.()?.find(id), undefined);
}

interface IpamConfig {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>> | null;
}

interface CreateBody {
  readonly Name?: string;
  readonly Driver?: string;
  readonly Scope?: string;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly EnableIPv4?: boolean | null;
  readonly EnableIPv6?: boolean | null;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: { readonly Network?: string } | null;
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Options?: Readonly<Record<string, string>> | null;
    readonly Config?: readonly IpamConfig[] | null;
  } | null;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

async function create({ engine, cluster }: NetworkModules, request: ApiRequest): Promise<Reply> {
  const body = shaped(await request.json<CreateBody>(), NETWORK);
  if (body.Driver === 'overlay' || body.Scope === 'swarm') {
    const networks = cluster?.();
    if (networks === undefined) throw new ShoalError('NOT_MANAGER', NOT_MANAGER);
    return json(await networks.create(body), 201);
  }
  const wanted = localRequest(body);
  const shared = await ofClusterIfHeard(() => cluster?.()?.find(wanted.name), undefined);
  if (shared?.Name === wanted.name)
    throw new ShoalError('CONFLICT', `network with name ${wanted.name} already exists`);
  const record = await engine.parts.networks.create(wanted);
  return json({ Id: record.id, Warning: '' }, 201);
}

function localRequest(body: CreateBody): NetworkRequest {
  if (body.EnableIPv4 === false) throw notYet('networks without IPv4');
  if (body.ConfigOnly || body.ConfigFrom?.Network) throw notYet('networks that are only a configuration');
  if (body.IPAM?.Driver && body.IPAM.Driver !== 'default')
    throw notYet(`the address driver ${body.IPAM.Driver}`);
  const all = body.IPAM?.Config ?? [];
  const configs = all.filter(({ Subnet = '' }) => !Subnet.includes(':'));
  const configs6 = all.filter(({ Subnet = '' }) => Subnet.includes(':'));
  const [config] = configs;
  if (configs.length > 1 || configs6.length > 1)
    throw notYet('more than one subnet of a family in a network of one machine');
  return {
    name: body.Name ?? '',
    driver: body.Driver || 'bridge',
    internal: body.Internal ?? false,
    attachable: body.Attachable ?? false,
    options: body.Options ?? {},
    labels: body.Labels ?? {},
    ipamOptions: body.IPAM?.Options ?? null,
    ...(body.EnableIPv6 || configs6.length > 0 ? { ipv6: ipv6Of(configs6[0]) } : {}),
    ...(config?.Subnet ? { subnet: config.Subnet } : {}),
    ...(config?.Gateway ? { gateway: config.Gateway } : {}),
    ...(config?.IPRange ? { ipRange: config.IPRange } : {}),
    ...(config?.AuxiliaryAddresses ? { auxiliary: config.AuxiliaryAddresses } : {}),
  };
}

function ipv6Of(config: IpamConfig | undefined): NonNullable<NetworkRequest['ipv6']> {
  return {
    ...(config?.Subnet ? { subnet: config.Subnet } : {}),
    ...(config?.Gateway ? { gateway: config.Gateway } : {}),
  };
}

function notYet(what: string): ShoalError {
  return new ShoalError('NOT_IMPLEMENTED', `${what}: not supported`);
}

async function remove({ engine, cluster }: NetworkModules, { params }: ApiRequest): Promise<Reply> {
  const id = params['id'] as string;
  if (found(engine, id)) {
    await engine.parts.networks.remove(id, (record) => engine.membership.members(record.id).length > 0);
    return empty();
  }
  const shared = await findShared(cluster, id);
  if (shared === undefined) throw new ShoalError('NOT_FOUND', `network ${id} not found`);
  await cluster?.()?.remove(shared.Id);
  return empty();
}

interface MembershipBody {
  readonly Container?: string;
  readonly EndpointConfig?: EndpointConfig | null;
  readonly Force?: boolean;
}

async function connect({ engine, cluster }: NetworkModules, request: ApiRequest): Promise<Reply> {
  const id = request.params['id'] as string;
  const { Container = '', EndpointConfig: config = null } = await request.json<MembershipBody>();
  const local = found(engine, id);
  if (local === undefined && (await findShared(cluster, id)))
    throw notYet('connecting a container of its own to a network of the cluster');
  await engine.membership.connect(local ?? engine.parts.networks.find(id), Container, config);
  return empty(200);
}

async function disconnect({ engine }: NetworkModules, request: ApiRequest): Promise<Reply> {
  const { Container = '', Force = false } = await request.json<MembershipBody>();
  await engine.membership.disconnect(
    engine.parts.networks.find(request.params['id'] as string),
    Container,
    Force,
  );
  return empty(200);
}

async function prune({ engine, cluster }: NetworkModules, { query }: ApiRequest): Promise<Reply> {
  const filters = parseFilters(query, ['label', 'label!', 'until']);
  const { networks, clock } = engine.parts;
  const [until] = filters.get('until') ?? [];
  const before = until === undefined ? Number.POSITIVE_INFINITY : parseMoment(until, clock.wallMs());
  const deleted: string[] = [];
  for (const { id, name, labels, createdAt } of networks.list()) {
    const used = engine.parts.containers.all().some(({ spec }) => name in spec.endpoints);
    if (networks.isBuiltIn(name) || used || Date.parse(createdAt) >= before) continue;
    if (!fitsLabels(filters, labels) || !lacksLabels(filters, labels)) continue;
    await networks.remove(id, () => false);
    deleted.push(name);
  }
  deleted.push(...((await ofClusterIfHeard(() => cluster?.()?.prune(query), [])) ?? []));
  return json({ NetworksDeleted: deleted.length > 0 ? deleted : null });
}
