import { MESH_BUCKETS, meshContainerAddress } from '#proto/types/mesh.ts';
import type { LocalNetwork, PortBinding } from '../node-network.ts';
import type { MeshContext, PlanContext, RouterContext } from './context.ts';
import { type Fragment, type NamespaceId, NODE_NAMESPACE, type Part } from './fragment.ts';
import { bare, cidrOf, macOf, subnetOf } from './ipv4.ts';
import { EVERYWHERE6, isIpv6 } from './ipv6.ts';
import {
  address,
  address6,
  apart,
  deviceSwitch,
  exit6,
  type Item,
  LOOPBACK,
  link,
  neighbour,
  route,
} from './items.ts';
import { bridgeDevice, bridgeMtu } from './local.ts';
import { macvlanItems } from './macvlan.ts';
import { gatewayLink, outerLink, routerNamespace } from './names.ts';
import type { AttachmentRecord, SandboxRecord } from './sandbox-record.ts';
import { meshTarget, portKey } from './services.ts';
import type { Element } from './table.ts';

/** MAC of whatever a container's own veth leads to. */
const GATEWAY_MAC = 'ee:ee:ee:ee:ee:ee';
/** Where containers find their resolver. */
export const RESOLVER = '127.0.0.11';
const WITHOUT_IPV6 = { 'net/ipv6/conf/default/disable_ipv6': 1 };
const WITH_IPV6 = {
  'net/ipv6/conf/default/disable_ipv6': 0,
  'net/ipv6/conf/default/accept_dad': 0,
  'net/ipv6/conf/default/accept_ra': 0,
};

type Locals = ReadonlyMap<string, LocalNetwork>;

/** First of the container's mesh addresses; undefined without slot or mesh. */
export function meshAddressOf(mesh: MeshContext | undefined, sandbox: SandboxRecord): string | undefined {
  if (mesh === undefined || sandbox.slot === undefined) return undefined;
  return meshContainerAddress(mesh.pool, mesh.index, sandbox.slot);
}

/** A container's namespace, its interfaces, what leads to them from the node and the routers, and its own ports. */
export function sandboxFragment(context: PlanContext, locals: Locals, sandbox: SandboxRecord): Fragment {
  const parts = new Map<NamespaceId, Part>();
  const add = (id: NamespaceId, more: Partial<Part>): void => {
    parts.set(id, merge(parts.get(id), more));
  };
  const id = sandbox.containerId;
  const withIpv6 = sandbox.attachments.some((on) => on.ipv6 !== undefined);
  add(id, { items: [LOOPBACK], settings: withIpv6 ? WITH_IPV6 : WITHOUT_IPV6 });
  const exit = meshAddressOf(context.mesh, sandbox);
  if (context.mesh !== undefined && exit !== undefined) {
    add(NODE_NAMESPACE, gatewayOutside(context, context.mesh, sandbox, exit));
    add(id, { items: gatewayInside(context.mesh, exit) });
  }
  const way = exit === undefined ? wayOut(locals, sandbox) : undefined;
  for (const attachment of sandbox.attachments) {
    const router = context.routers[attachment.networkId];
    const local = locals.get(attachment.networkId);
    if (attachment.overlay !== undefined && router !== undefined)
      addOverlay(add, context, id, router, attachment);
    else if (local?.driver === 'macvlan')
      add(id, {
        items: macvlanItems(local, attachment, { netns: `${context.netnsDir}/${id}`, containerId: id }),
      });
    else if (attachment.overlay === undefined && local?.subnet !== undefined)
      addBridge(add, context, id, local, attachment, exit === undefined && way?.resolver === attachment);
  }
  if (way?.exit !== undefined)
    add(id, {
      items: [route({ to: 'default', via: way.exit.gateway, device: `eth${way.exit.number}` })],
    });
  add(id, { items: wayOut6(locals, sandbox) });
  add(NODE_NAMESPACE, portsPart(context.mesh, locals, sandbox, exit));
  return parts;
}

function merge(old: Part | undefined, more: Partial<Part>): Part {
  const settings = more.settings ?? old?.settings;
  return {
    items: [...(old?.items ?? []), ...(more.items ?? [])],
    chains: [...(old?.chains ?? []), ...(more.chains ?? [])],
    elements: [...(old?.elements ?? []), ...(more.elements ?? [])],
    ...(settings === undefined ? {} : { settings }),
  };
}

type Add = (id: NamespaceId, more: Partial<Part>) => void;

/** Without a `gw0`: the first network that is not internal leads out, the first bridge of all to the resolver. */
function wayOut(
  locals: Locals,
  sandbox: SandboxRecord,
): { exit?: AttachmentRecord; resolver?: AttachmentRecord } {
  const own = sandbox.attachments.filter((on) => locals.get(on.networkId)?.subnet !== undefined);
  const exit = own.find((on) => locals.get(on.networkId)?.internal === false);
  // The node can't be reached by what is on a device of its own.
  const bridges = own.filter((on) => locals.get(on.networkId)?.driver === 'bridge');
  const resolver = exit && bridges.includes(exit) ? exit : bridges[0];
  return { ...(exit === undefined ? {} : { exit }), ...(resolver === undefined ? {} : { resolver }) };
}

/** The first network with IPv6 that is not internal leads out. */
function wayOut6(locals: Locals, { attachments }: SandboxRecord): Item[] {
  const exit = exitOf6(locals, attachments);
  return exit?.ipv6 ? [exit6(`eth${exit.number}`, exit.ipv6.gateway)] : [];
}

function exitOf6(locals: Locals, attachments: readonly AttachmentRecord[]): AttachmentRecord | undefined {
  return attachments.find((on) => on.ipv6 && locals.get(on.networkId)?.internal === false);
}

/** Where its ports are published for IPv6; undefined for a container that has none, or none that this node leads to. */
export function publishedAddress6(
  locals: Locals,
  attachments: readonly AttachmentRecord[],
): string | undefined {
  const exit = exitOf6(locals, attachments);
  if (exit?.ipv6 === undefined || locals.get(exit.networkId)?.driver !== 'bridge') return undefined;
  return bare(exit.ipv6.address);
}

function gatewayOutside(
  context: PlanContext,
  mesh: MeshContext,
  sandbox: SandboxRecord,
  exit: string,
): Partial<Part> {
  const device = gatewayLink(sandbox.containerId);
  const group = context.names.insideGroup;
  const items = [
    link({
      name: device,
      fixed: 'veth',
      create:
        `link add gw0 address ${macOf(exit)} mtu ${mesh.mtu} type veth ` +
        `peer name ${device} netns ${context.ownNetns} address ${GATEWAY_MAC} mtu ${mesh.mtu} group ${group}`,
      createIn: sandbox.containerId,
      inner: 'gw0',
      goesWithPeer: true,
      mtu: mesh.mtu,
      group,
    }),
    deviceSwitch(device, 'rp_filter', 1),
    deviceSwitch(device, 'route_localnet', 1),
    deviceSwitch(device, 'send_redirects', 0),
    neighbour(device, exit, macOf(exit)),
    route({ to: blockOf(exit), via: exit, device, onlink: true }),
  ];
  return { items, elements: onlyInside(sandbox) ? [{ set: 'inside', key: exit }] : [] };
}

/** On networks without a way out, and on no other. */
function onlyInside(sandbox: SandboxRecord): boolean {
  const overlays = sandbox.attachments.flatMap((on) => on.overlay ?? []);
  return overlays.length > 0 && overlays.every((network) => network.internal);
}

function blockOf(exit: string): string {
  return `${exit}/${32 - Math.log2(MESH_BUCKETS)}`;
}

function gatewayInside(mesh: MeshContext, exit: string): Item[] {
  return [
    { key: 'up gw0', value: '', by: 'ip', set: 'link set dev gw0 up' },
    address('gw0', `${exit}/32`),
    route({ type: 'local', to: blockOf(exit), device: 'gw0' }),
    route({ to: mesh.address, device: 'gw0' }),
    neighbour('gw0', mesh.address, GATEWAY_MAC),
    route({ to: 'default', via: mesh.address, device: 'gw0', source: exit }),
    ...resolverItems('gw0', exit, GATEWAY_MAC),
  ];
}

/** 127.0.0.11 leads to the node; the rest of the container's loopback stays its own. */
function resolverItems(device: string, source: string, gatewayMac: string): Item[] {
  return [
    route({ to: RESOLVER, device, source, table: 'local' }),
    neighbour(device, RESOLVER, gatewayMac),
    deviceSwitch(device, 'route_localnet', 1),
  ];
}

function addOverlay(
  add: Add,
  context: PlanContext,
  id: string,
  router: RouterContext,
  on: AttachmentRecord,
): void {
  const device = `eth${on.number}`;
  const outer = outerLink(id, on.number);
  const ip = bare(on.address);
  const namespace = routerNamespace(router.id);
  add(namespace, {
    items: [
      link({
        name: outer,
        fixed: 'veth',
        create:
          `link add ${device} address ${on.mac} mtu ${router.mtu} type veth ` +
          `peer name ${outer} netns ${context.netnsDir}/${namespace} address ${GATEWAY_MAC} mtu ${router.mtu}`,
        createIn: id,
        inner: device,
        goesWithPeer: true,
        mtu: router.mtu,
      }),
      route({ to: ip, device: outer }),
      neighbour(outer, ip, on.mac),
    ],
    elements: [{ set: 'self', key: `${ip} . ${ip}` }],
  });
  add(id, {
    items: [
      { key: `up ${device}`, value: '', by: 'ip', set: `link set dev ${device} up` },
      address(device, on.address, true),
      route({ to: router.gateway, device }),
      neighbour(device, router.gateway, GATEWAY_MAC),
      route({ to: cidrOf(subnetOf(router.subnet)), via: router.gateway, device, source: ip }),
    ],
  });
}

function addBridge(
  add: Add,
  context: PlanContext,
  id: string,
  network: LocalNetwork,
  on: AttachmentRecord,
  resolver: boolean,
): void {
  const device = `eth${on.number}`;
  const outer = outerLink(id, on.number);
  const ip = bare(on.address);
  const mtu = bridgeMtu(network);
  const bridge = bridgeDevice(context.names, network);
  add(NODE_NAMESPACE, {
    items: [
      link({
        name: outer,
        fixed: 'veth',
        create:
          `link add ${device} address ${on.mac} mtu ${mtu} type veth ` +
          `peer name ${outer} netns ${context.ownNetns} mtu ${mtu}`,
        createIn: id,
        inner: device,
        mtu,
        master: bridge,
      }),
      neighbour(bridge, ip, on.mac),
      ...(network.apart ? [apart(outer)] : []),
    ],
  });
  add(id, {
    items: [
      { key: `up ${device}`, value: '', by: 'ip', set: `link set dev ${device} up` },
      address(device, on.address),
      ...(on.ipv6 ? [address6(device, on.ipv6.address)] : []),
      ...(resolver ? resolverItems(device, ip, macOf(on.gateway)) : []),
    ],
  });
}

/** The container's own ports: those of `docker run -p`, and those published in host mode. */
function portsPart(
  mesh: MeshContext | undefined,
  locals: Locals,
  sandbox: SandboxRecord,
  exit: string | undefined,
): Partial<Part> {
  const { exit: leads } = wayOut(locals, sandbox);
  const bridged = leads && locals.get(leads.networkId)?.driver === 'bridge' ? leads : undefined;
  const address6 = publishedAddress6(locals, sandbox.attachments);
  const targetOf = (port: PortBinding): string | undefined => {
    if (isIpv6(port.hostIp)) return address6 && `[${address6}]`;
    if (mesh !== undefined && exit !== undefined) return meshTarget(mesh, port.protocol, exit);
    return bridged === undefined ? undefined : bare(bridged.address);
  };
  const rows = sandbox.ports.flatMap((port, i) => {
    const target = targetOf(port);
    if (target === undefined) return [];
    const name = `c_${sandbox.containerId.slice(0, 12)}_${i}`;
    const rule = `meta l4proto ${port.protocol} dnat to ${target}:${port.containerPort}`;
    const chain = { name, rules: [rule], ...familyOf(port) };
    return [{ chain, element: { ...elementOf(port, name), ...familyOf(port) } }];
  });
  return { chains: rows.map((row) => row.chain), elements: rows.map((row) => row.element) };
}

function elementOf(port: PortBinding, chain: string): Element {
  const key = portKey(port.protocol, port.hostPort);
  const value = `goto ${chain}`;
  if (everywhere(port.hostIp)) return { set: 'ports', key, value };
  return { set: 'ports_ip', key: `${port.hostIp} . ${key}`, value };
}

function familyOf({ hostIp }: PortBinding): Pick<Element, 'family'> {
  return isIpv6(hostIp) ? { family: 'ip6' } : {};
}

/** Whether a port is published at every address of the node, of its family. */
export function everywhere(hostIp: string): boolean {
  return hostIp === '' || hostIp === '0.0.0.0' || hostIp === EVERYWHERE6;
}
