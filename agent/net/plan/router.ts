import type { PlanContext, RouterContext } from './context.ts';
import { type Fragment, part } from './fragment.ts';
import { address, deviceSwitch, LOOPBACK, link } from './items.ts';
import { routerNamespace } from './names.ts';
import { ROUTER_DEVICE } from './node.ts';

/** The router of an overlay network on this node: a namespace with a VXLAN device and the table that balances. */
export function routerFragment(context: PlanContext, router: RouterContext): Fragment {
  const { mesh } = context;
  if (mesh === undefined) return new Map();
  const id = routerNamespace(router.id);
  const fixed = `vxlan ${router.vni} ${mesh.local} ${mesh.port}`;
  // Made from the node's namespace, so that its UDP socket is the node's.
  const create =
    `link add ${ROUTER_DEVICE} netns ${context.netnsDir}/${id} address ${mesh.mac} mtu ${router.mtu} ` +
    `type vxlan id ${router.vni} dstport ${mesh.port} local ${mesh.local} nolearning ttl 64`;
  const items = [
    LOOPBACK,
    address('lo', `${router.gateway}/32`),
    link({ name: ROUTER_DEVICE, fixed, create, mtu: router.mtu }),
    deviceSwitch(ROUTER_DEVICE, 'rp_filter', 0),
  ];
  const base = routerTable(router.gateway);
  return new Map([[id, part({ items, base, settings: ROUTER_SETTINGS })]]);
}

/** Forged sources inside a network are dropped; closed connections are forgotten soon. */
const ROUTER_SETTINGS = {
  'net/ipv4/ip_forward': 1,
  'net/ipv4/conf/all/rp_filter': 0,
  'net/ipv4/conf/default/rp_filter': 1,
  'net/ipv4/conf/all/send_redirects': 0,
  'net/ipv4/conf/default/send_redirects': 0,
  'net/ipv6/conf/default/disable_ipv6': 1,
  'net/netfilter/nf_conntrack_tcp_be_liberal': 1,
  'net/netfilter/nf_conntrack_tcp_timeout_time_wait': 10,
  'net/netfilter/nf_conntrack_tcp_timeout_close': 1,
};

function routerTable(gateway: string): string {
  return `
  map vips { type ipv4_addr : verdict; }
  set self { type ipv4_addr . ipv4_addr; }
  chain pre { type nat hook prerouting priority dstnat; policy accept;
    meta l4proto { tcp, udp, sctp } ip daddr vmap @vips
  }
  chain post { type nat hook postrouting priority srcnat; policy accept;
    ct status dnat ip saddr . ip daddr @self snat to ${gateway}
  }
  chain forward { type filter hook forward priority filter; policy accept;
    ct state invalid drop
  }`;
}
