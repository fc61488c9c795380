import type { LocalNetwork } from '../node-network.ts';
import { address, address6, type Item, link } from './items.ts';
import { outerLink } from './names.ts';
import type { AttachmentRecord } from './sandbox-record.ts';

/** How containers of one parent device see each other, and who sees their frames. */
export const MACVLAN_MODES = ['bridge', 'private', 'vepa', 'passthru'];

/**
 * A container's own device on a device of the node: to the network outside it is one more machine, and the node itself is
 * the only one that it can't talk to.
 */
export function macvlanItems(
  network: LocalNetwork,
  on: AttachmentRecord,
  { netns, containerId }: { readonly netns: string; readonly containerId: string },
): Item[] {
  // Debian's 6.1, for one, refuses a name that the node's own namespace has too, though the device is made in another.
  const passing = outerLink(containerId, on.number);
  const device = `eth${on.number}`;
  const { parent = '', mode = 'bridge' } = network.macvlan ?? {};
  const mtu = network.mtu === undefined ? {} : { mtu: network.mtu };
  return [
    { key: `name ${device}`, value: '', by: 'ip', set: `link set dev ${passing} name ${device}`, device },
    link({
      name: device,
      fixed: `macvlan ${parent} ${mode}`,
      create: `link add link ${parent} name ${passing} address ${on.mac} netns ${netns} type macvlan mode ${mode}`,
      ...mtu,
    }),
    address(device, on.address),
    ...(on.ipv6 ? [address6(device, on.ipv6.address)] : []),
  ];
}
