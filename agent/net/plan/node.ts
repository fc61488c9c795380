import type { NetworkPeer } from '#proto/types/assignments.ts';
import { meshNodeAddress, meshSubnet, vtepMac } from '#proto/types/mesh.ts';
import type { MeshContext, PlanContext } from './context.ts';
import { type Fragment, NODE_NAMESPACE, part } from './fragment.ts';
import { maybeNumber } from './ipv4.ts';
import { address, deviceSwitch, forwarding, type Item, link, neighbour, policy, route } from './items.ts';
import { routerNamespace } from './names.ts';

/** The highest bits of a mark, which say whose it is; the rest is a node's index. */
const MARK_MASK = 0xfffff000;
/** The VXLAN device in every router. */
export const ROUTER_DEVICE = 'vx0';

/** The node itself: its table, and its place in the mesh. */
export function nodeFragment(context: PlanContext): Fragment {
  const items = context.mesh === undefined ? [] : meshItems(context, context.mesh);
  return new Map([
    [
      NODE_NAMESPACE,
      part({
        base: nodeTable(context),
        ...(context.ipv6 ? { base6: nodeTable6(context) } : {}),
        items,
        settings: {
          'net/ipv4/ip_forward': 1,
          ...(context.ipv6 ? { 'net/ipv6/conf/all/forwarding': 1 } : {}),
        },
      }),
    ],
  ]);
}

function meshItems({ names }: PlanContext, mesh: MeshContext): Item[] {
  const device = names.meshDevice;
  const first = names.rulePriority;
  return [
    link({
      name: device,
      fixed: `vxlan 4096 ${mesh.local} ${mesh.port}`,
      create:
        `link add ${device} address ${mesh.mac} mtu ${mesh.mtu} group ${names.meshGroup} ` +
        `type vxlan id 4096 dstport ${mesh.port} local ${mesh.local} nolearning ttl 64`,
      mtu: mesh.mtu,
      group: names.meshGroup,
    }),
    address(device, `${mesh.address}/32`),
    deviceSwitch(device, 'rp_filter', 2),
    deviceSwitch(device, 'route_localnet', 1),
    deviceSwitch(device, 'send_redirects', 0),
    // Whoever has no mark of ours skips the rules of the peers.
    policy(first, `not fwmark ${hex(names.markBase)}/${hex(MARK_MASK)} goto ${first + 2}`),
    policy(first + 2, 'nop'),
  ];
}

/** What leads to one other node: for published ports, and on every overlay network that is here. */
export function peerFragment(context: PlanContext, peer: NetworkPeer): Fragment {
  const { mesh } = context;
  if (mesh === undefined || context.peers[peer.nodeId] === undefined) return new Map();
  const mac = vtepMac(peer.dataPathAddr);
  const parts = Object.values(context.routers).map((router) => {
    const items = [
      forwarding(ROUTER_DEVICE, mac, peer.dataPathAddr),
      neighbour(ROUTER_DEVICE, nextHop(peer.meshIndex), mac),
    ];
    return [routerNamespace(router.id), part({ items })] as const;
  });
  return new Map([[NODE_NAMESPACE, meshPeerPart(context, mesh, peer, mac)], ...parts]);
}

function meshPeerPart({ names }: PlanContext, mesh: MeshContext, peer: NetworkPeer, mac: string) {
  const device = names.meshDevice;
  const via = meshNodeAddress(mesh.pool, peer.meshIndex);
  const mark = names.markBase + peer.meshIndex;
  return part({
    items: [
      forwarding(device, mac, peer.dataPathAddr),
      neighbour(device, via, mac),
      route({ to: meshSubnet(mesh.pool, peer.meshIndex), via, device, onlink: true, source: mesh.address }),
      route({ to: 'default', via, device, onlink: true, table: String(mark) }),
      policy(names.rulePriority + 1, `fwmark ${hex(mark)} lookup ${mark}`),
    ],
    elements: [
      { set: 'macmark', key: mac, value: hex(mark) },
      { set: 'maczone', key: mac, value: String(peer.meshIndex) },
    ],
  });
}

/** Every address of every node: they alone speak VXLAN, and they need their source changed on the mesh. */
export function addressesFragment(
  own: readonly string[],
  local: string | undefined,
  peers: Iterable<NetworkPeer>,
): Fragment {
  const all = new Set([...own, ...(local === undefined ? [] : [local])]);
  for (const peer of peers) {
    for (const ip of [peer.dataPathAddr, ...peer.addresses]) if (maybeNumber(ip) !== undefined) all.add(ip);
  }
  const elements = [...all].sort().map((key) => ({ set: 'nodeips', key }));
  return new Map([[NODE_NAMESPACE, part({ elements })]]);
}

/** A made-up address for a node on every overlay network: it never meets a subnet that people use. */
export function nextHop(meshIndex: number): string {
  return `169.254.${meshIndex >> 8}.${meshIndex & 255}`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

/** Only the node's own addresses publish ports, and resolvers (127.0.0.11, 127.0.0.53) are nobody's published port. */
const PUBLISHED = `ip daddr 127.0.0.11 return
    fib daddr type local ip daddr . meta l4proto . th dport vmap @ports_ip
    ip daddr 127.0.0.0/8 ip daddr != 127.0.0.1 return
    fib daddr type local meta l4proto . th dport vmap @ports`;

/** The fixed part of the node's table. */
function nodeTable({ names, resolverPort, mesh }: PlanContext): string {
  const inside = names.insideGroup;
  const outer = names.meshGroup;
  // A published port that was used from here: the answer must come back here.
  const here = mesh === undefined ? 'masquerade' : `snat to ${mesh.address}`;
  return `
  set nodeips { type ipv4_addr; }
  set inside { type ipv4_addr; flags interval; }
  set bridges { type ifname . ifname; }
  set routed { type ifname; }
  map ports { type inet_proto . inet_service : verdict; }
  map ports_ip { type ipv4_addr . inet_proto . inet_service : verdict; }
  map macmark { typeof ether saddr : ct mark; }
  map maczone { typeof ether saddr : ct zone; }
  ct timeout tcp_short { protocol tcp; l3proto ip; policy = { time_wait: 10, close: 1, close_wait: 60, established: 86400 }; }
  chain raw_pre { type filter hook prerouting priority raw; policy accept;
    iifgroup ${inside} ip daddr 127.0.0.11 meta l4proto { tcp, udp } th dport 53 accept
    iifgroup { ${inside}, ${outer} } ip daddr 127.0.0.0/8 drop
    iifgroup ${outer} ct original zone set ether saddr map @maczone
  }
  chain mark_pre { type filter hook prerouting priority mangle; policy accept;
    iifgroup ${outer} ct state new ct mark set ether saddr map @macmark
    iifgroup ${inside} ct direction reply meta mark set ct mark
  }
  chain mark_post { type filter hook postrouting priority mangle; policy accept;
    oifgroup ${outer} meta mark set 0
    meta l4proto tcp ct state new ct status dnat ct timeout set "tcp_short"
    meta l4proto tcp ct state new iifgroup ${outer} ct timeout set "tcp_short"
  }
  chain nat_pre { type nat hook prerouting priority dstnat; policy accept;
    ${resolverPort === 53 ? '' : resolverElsewhere(inside, resolverPort)}
    ${PUBLISHED}
  }
  chain nat_out { type nat hook output priority -100; policy accept;
    ${PUBLISHED}
  }
  chain nat_post { type nat hook postrouting priority srcnat; policy accept;
    ct status dnat iifgroup ${inside} ${here}
    ct status dnat oifgroup ${outer} ip saddr @nodeips ${here}
    ct status dnat ip saddr 127.0.0.0/8 ${here}
    iifname @routed return
    iifgroup ${inside} oifgroup != { ${inside}, ${outer} } masquerade
  }
  chain forward { type filter hook forward priority filter; policy accept;
    iifgroup != { ${inside}, ${outer} } oifgroup != { ${inside}, ${outer} } accept
    iifname . oifname @bridges accept
    ct state vmap { established : accept, related : accept, invalid : drop }
    ct status dnat accept
    iifgroup ${outer} oifgroup ${inside} accept
    iifgroup ${inside} oifgroup != { ${inside}, ${outer} } ip saddr != @inside accept
    drop
  }
  chain input { type filter hook input priority filter; policy accept;
    ${mesh === undefined ? '' : `udp dport ${mesh.port} ip saddr != @nodeips drop`}
    iifgroup ${outer} ct state new drop
  }`;
}

const PUBLISHED6 = `fib daddr type local ip6 daddr . meta l4proto . th dport vmap @ports_ip
    fib daddr type local meta l4proto . th dport vmap @ports`;

/**
 * The same rules for bridges with IPv6: containers may go out, and nobody comes in or across by himself, but to what is
 * published.
 */
function nodeTable6({ names }: PlanContext): string {
  const inside = names.insideGroup;
  const outer = names.meshGroup;
  return `
  map ports { type inet_proto . inet_service : verdict; }
  map ports_ip { type ipv6_addr . inet_proto . inet_service : verdict; }
  chain nat_pre { type nat hook prerouting priority dstnat; policy accept;
    ${PUBLISHED6}
  }
  chain nat_out { type nat hook output priority -100; policy accept;
    ${PUBLISHED6}
  }
  chain nat_post { type nat hook postrouting priority srcnat; policy accept;
    ct status dnat iifgroup ${inside} masquerade
    ct status dnat ip6 saddr ::1 masquerade
    iifgroup ${inside} oifgroup != { ${inside}, ${outer} } masquerade
  }
  chain forward { type filter hook forward priority filter; policy accept;
    iifgroup != { ${inside}, ${outer} } oifgroup != { ${inside}, ${outer} } accept
    ct state vmap { established : accept, related : accept, invalid : drop }
    ct status dnat accept
    iifgroup ${inside} oifgroup != { ${inside}, ${outer} } accept
    drop
  }`;
}

/** Another resolver has port 53 of this namespace: ours answers at a port of its own, and containers see no difference. */
function resolverElsewhere(inside: number, port: number): string {
  return ['udp', 'tcp']
    .map(
      (protocol) => `iifgroup ${inside} ip daddr 127.0.0.11 ${protocol} dport 53 dnat to 127.0.0.11:${port}`,
    )
    .join('\n    ');
}
