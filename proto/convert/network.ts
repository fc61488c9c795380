import type * as wire from '../gen/shoal.ts';
import type { NetworkId } from '../types/ids.ts';
import type { Network, Stored } from '../types/objects.ts';
import type { IpamConfig, IpamOptions, NetworkSpec } from '../types/specs.ts';
import { storedObject } from './common.ts';
import { type Converter, flag, id, items, optional, shape, text, textMap, uint32 } from './shape.ts';

export const ipamConfigs: Converter<readonly IpamConfig[], wire.IpamConfigList> = items(
  shape<IpamConfig, wire.IpamConfig>('IPAM config', {
    subnet: optional(text),
    range: optional(text),
    gateway: optional(text),
    auxiliary: optional(textMap),
  }),
);

const ipam = shape<IpamOptions, wire.IpamOptions>('IPAM options', {
  driver: optional(text),
  options: optional(textMap),
  configs: optional(ipamConfigs),
});

export const networkSpec = shape<NetworkSpec, wire.NetworkSpec>('network spec', {
  name: text,
  labels: optional(textMap),
  driver: optional(text),
  options: optional(textMap),
  ipv6: optional(flag),
  internal: optional(flag),
  attachable: optional(flag),
  ingress: optional(flag),
  ipam: optional(ipam),
});

/** A network as a writer gives it. */
export const unstoredNetwork = shape<Omit<Network, keyof Stored>, Omit<wire.Network, 'stored'>>('network', {
  id: id<NetworkId>(),
  spec: networkSpec,
  vni: optional(uint32),
  ipam: optional(ipamConfigs),
  pendingDelete: optional(flag),
});

export const network = storedObject<Network, wire.Network>('network', unstoredNetwork);
