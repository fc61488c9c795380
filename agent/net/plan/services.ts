import type { EndpointInfo, NetworkState, ServiceInfo } from '#proto/types/assignments.ts';
import { meshBucketAddress } from '#proto/types/mesh.ts';
import type { NetworkAttachment } from '#proto/types/objects.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import type { MeshContext, PlanContext, RouterContext } from './context.ts';
import { type Fragment, type NamespaceId, NODE_NAMESPACE, type Part, part } from './fragment.ts';
import { bare, maybeNumber } from './ipv4.ts';
import { type Item, route } from './items.ts';
import { routerNamespace } from './names.ts';
import { nextHop, ROUTER_DEVICE } from './node.ts';
import type { Chain, Element } from './table.ts';

/** A service and its tasks, sorted; the service is absent when only tasks of it are left. */
export interface ServiceGroup {
  readonly service?: ServiceInfo;
  readonly endpoints: readonly EndpointInfo[];
}

/** Everything of a state by service id. */
export function groupByService(state: NetworkState): Map<string, ServiceGroup> {
  const groups = new Map<string, { service?: ServiceInfo; endpoints: EndpointInfo[] }>();
  for (const service of state.services.values()) groups.set(service.id, { service, endpoints: [] });
  for (const endpoint of state.endpoints.values()) {
    const group = groups.get(endpoint.serviceId);
    if (group === undefined) groups.set(endpoint.serviceId, { endpoints: [endpoint] });
    else group.endpoints.push(endpoint);
  }
  for (const group of groups.values()) group.endpoints.sort((a, b) => (a.taskId < b.taskId ? -1 : 1));
  return groups;
}

/** What one service is on this node: balancing on each of its networks, routes to its tasks, its published ports. */
export function serviceFragment(
  context: PlanContext,
  group: ServiceGroup,
  ports: readonly PortConfig[],
): Fragment {
  const parts: [NamespaceId, Part][] = Object.values(context.routers).map((router) => [
    routerNamespace(router.id),
    routerPart(context, router, group),
  ]);
  const { mesh } = context;
  if (mesh !== undefined && group.service !== undefined && ports.length > 0)
    parts.push([NODE_NAMESPACE, publishedPart(mesh, group, ports)]);
  return new Map(parts.filter(([, { items, elements }]) => items.length + elements.length > 0));
}

function routerPart(context: PlanContext, router: RouterContext, group: ServiceGroup): Part {
  const vip = virtualAddress(router.id, group.service);
  const routes = group.endpoints.flatMap((endpoint) => remoteRoutes(context, router, endpoint));
  if (vip === undefined || group.service === undefined) return part({ items: routes });
  const chain = `s_${group.service.id}`;
  const targets = activeAddresses(router.id, group.endpoints);
  return part({
    // The router owns the address: it answers ping, and refuses at once when there is no task.
    items: [route({ type: 'local', to: vip, device: 'lo' }), ...routes],
    chains: [{ name: chain, rules: targets.length === 0 ? [] : [`dnat to ${spread(targets)}`] }],
    elements: [{ set: 'vips', key: vip, value: `goto ${chain}` }],
  });
}

/** The service's virtual address on a network; none with `endpoint_mode: dnsrr`. */
export function virtualAddress(networkId: string, service: ServiceInfo | undefined): string | undefined {
  if (service === undefined || service.endpoint.mode === 'dnsrr') return undefined;
  const vip = service.endpoint.vips.find((candidate) => candidate.networkId === networkId);
  return vip === undefined ? undefined : addressIn(vip.addr);
}

/** Addresses on a network of the tasks that are balanced to. */
export function activeAddresses(networkId: string, endpoints: readonly EndpointInfo[]): string[] {
  return endpoints
    .filter((endpoint) => endpoint.active)
    .flatMap((endpoint) => addressesOn(networkId, endpoint.networks));
}

/** A task's addresses on a network. */
export function addressesOn(networkId: string, attachments: readonly NetworkAttachment[]): string[] {
  const here = attachments.filter((on) => on.networkId === networkId);
  return here.flatMap((on) => on.addresses.flatMap((cidr) => addressIn(cidr) ?? []));
}

/** What is no address never gets into a command: the program that reads it would end, and take others with it. */
function addressIn(cidr: string): string | undefined {
  const address = bare(cidr);
  return maybeNumber(address) === undefined ? undefined : address;
}

function remoteRoutes(context: PlanContext, router: RouterContext, endpoint: EndpointInfo): Item[] {
  const index = context.peers[endpoint.nodeId];
  if (index === undefined) return [];
  return addressesOn(router.id, endpoint.networks).map((to) =>
    route({ to, via: nextHop(index), device: ROUTER_DEVICE, onlink: true }),
  );
}

function publishedPart(mesh: MeshContext, group: ServiceGroup, ports: readonly PortConfig[]): Part {
  const bases = group.endpoints
    .filter((endpoint) => endpoint.active)
    .flatMap((endpoint) => addressIn(endpoint.meshAddr ?? '') ?? []);
  const chains: Chain[] = [];
  const elements: Element[] = [];
  for (const port of ports) {
    const name = `p_${group.service?.id}_${port.protocol}_${port.publishedPort}`;
    chains.push({ name, rules: bases.length === 0 ? [] : [toMesh(mesh, port, bases)] });
    elements.push({ set: 'ports', key: portKey(port.protocol, port.publishedPort), value: `goto ${name}` });
  }
  return part({ chains, elements });
}

/** Key in the map of ports. */
export function portKey(protocol: string, port: number | undefined): string {
  return `${protocol} . ${port}`;
}

function toMesh(mesh: MeshContext, port: PortConfig, bases: readonly string[]): string {
  const targets = bases.map((base) => meshTarget(mesh, port.protocol, base));
  return `meta l4proto ${port.protocol} dnat to ${spread(targets, port.targetPort)}`;
}

/**
 * The mesh address that this node sends to: TCP by the bucket of the node, so that one client's flows through several
 * nodes never meet; UDP servers answer from their first address, so only that one works.
 */
export function meshTarget(mesh: MeshContext, protocol: string, base: string): string {
  return protocol === 'udp' ? base : meshBucketAddress(base, mesh.index);
}

/** One after the other, evenly. */
function spread(targets: readonly string[], port?: number): string {
  if (targets.length === 1) return port === undefined ? (targets[0] as string) : `${targets[0]}:${port}`;
  const entries = targets.map((target, i) => `${i} : ${target}${port === undefined ? '' : ` . ${port}`}`);
  return `numgen inc mod ${targets.length} map { ${entries.join(', ')} }`;
}
