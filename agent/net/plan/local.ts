import type { LocalNetwork } from '../node-network.ts';
import type { PlanContext } from './context.ts';
import { type Fragment, NODE_NAMESPACE, part } from './fragment.ts';
import { cidrOf, macOf, numberOf, subnetOf } from './ipv4.ts';
import { subnet6Of } from './ipv6.ts';
import { address, address6, deviceSwitch, type Item, link, loopback6 } from './items.ts';
import type { InstanceNames } from './names.ts';

const BRIDGE_MTU = 1_500;

/** Name of a network's bridge. */
export function bridgeDevice(names: InstanceNames, network: LocalNetwork): string {
  if (network.bridgeName !== undefined) return network.bridgeName;
  return network.name === 'bridge' ? names.defaultBridge : `br-${network.id.slice(0, 12)}`;
}

export function bridgeMtu(network: LocalNetwork): number {
  return network.mtu ?? BRIDGE_MTU;
}

/** A bridge of this machine; its containers meet on it, and nothing else reaches them. */
export function localFragment(context: PlanContext, network: LocalNetwork): Fragment {
  if (network.driver !== 'bridge' || network.subnet === undefined || network.gateway === undefined)
    return new Map();
  const device = bridgeDevice(context.names, network);
  const mtu = bridgeMtu(network);
  const subnet = subnetOf(network.subnet);
  const group = context.names.insideGroup;
  const items = [
    link({
      name: device,
      fixed: 'bridge',
      create: `link add ${device} address ${macOf(network.gateway)} mtu ${mtu} group ${group} type bridge`,
      mtu,
      group,
    }),
    address(device, `${network.gateway}/${subnet.bits}`),
    deviceSwitch(device, 'rp_filter', 1),
    deviceSwitch(device, 'route_localnet', 1),
    deviceSwitch(device, 'send_redirects', 0),
    ...(network.ipv6 ? ipv6Items(device, network.gateway, network.ipv6) : []),
  ];
  const elements = [
    // Where bridged frames pass the firewall too (bridge-nf-call-iptables), neighbours still meet.
    { set: 'bridges', key: `"${device}" . "${device}"` },
    ...(network.routed ? [{ set: 'routed', key: `"${device}"` }] : []),
    ...(network.internal ? [{ set: 'inside', key: cidrOf(subnet) }] : []),
  ];
  return new Map([[NODE_NAMESPACE, part({ items, elements })]]);
}

function ipv6Items(
  device: string,
  gateway4: string,
  { subnet, gateway }: NonNullable<LocalNetwork['ipv6']>,
): Item[] {
  return [
    deviceSwitch(device, 'disable_ipv6', 0, 'ipv6'),
    deviceSwitch(device, 'accept_ra', 0, 'ipv6'),
    address6(device, `${gateway}/${subnet6Of(subnet).bits}`),
    // Bridges have no address in common.
    loopback6(device, numberOf(gateway4)),
  ];
}
