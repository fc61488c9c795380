import type { NetworkRecord } from '../core/network-record.ts';
import type { Engine } from '../core/open-engine.ts';
import { digest } from './container-views.ts';

/** A network as GET /networks shows it. */
export interface NetworkView {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Scope: 'local' | 'swarm' | 'global';
  readonly Driver: string;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6: boolean;
  readonly IPAM: unknown;
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly Ingress: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly ConfigOnly: boolean;
  readonly Containers: Readonly<Record<string, unknown>> | null;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Labels: Readonly<Record<string, string>> | null;
}

/** What Docker says of its default bridge. */
const DEFAULT_BRIDGE = {
  'com.docker.network.bridge.default_bridge': 'true',
  'com.docker.network.bridge.enable_icc': 'true',
  'com.docker.network.bridge.enable_ip_masquerade': 'true',
  'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
  'com.docker.network.driver.mtu': '1500',
};

/** A network of this machine; `members`: with the containers that are on it, as when it is looked at alone. */
export function localNetworkView(engine: Engine, record: NetworkRecord, members: boolean): NetworkView {
  return {
    Name: record.name,
    Id: record.id,
    Created: record.createdAt,
    Scope: 'local',
    Driver: record.driver,
    EnableIPv4: true,
    EnableIPv6: record.ipv6 !== undefined,
    IPAM: { Driver: 'default', Options: record.ipamOptions ?? null, Config: ipamConfig(record) },
    Internal: record.internal,
    Attachable: record.attachable,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: members ? membersView(engine, record.id) : {},
    Options: record.name === 'bridge' ? { ...DEFAULT_BRIDGE, ...record.options } : record.options,
    Labels: record.labels,
  };
}

function ipamConfig({ subnet, gateway, ipRange, auxiliary, ipv6 }: NetworkRecord): unknown {
  if (subnet === undefined) return null;
  return [
    {
      Subnet: subnet,
      ...(ipRange === undefined ? {} : { IPRange: ipRange }),
      Gateway: gateway,
      ...(auxiliary === undefined ? {} : { AuxiliaryAddresses: auxiliary }),
    },
    ...(ipv6 ? [{ Subnet: ipv6.subnet, Gateway: ipv6.gateway }] : []),
  ];
}

/** The containers on a network, by id. */
export function membersView({ membership }: Engine, networkId: string): Record<string, unknown> {
  return Object.fromEntries(
    membership.members(networkId).map(({ container, attachment }) => [
      container.id,
      {
        Name: container.name,
        EndpointID: digest(container.id, networkId),
        MacAddress: attachment.mac,
        IPv4Address: attachment.address,
        IPv6Address: attachment.ipv6?.address ?? '',
      },
    ]),
  );
}
