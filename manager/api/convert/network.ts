import { ShoalError } from '#proto/base/errors.ts';
import type { Network } from '#proto/types/objects.ts';
import type { IpamConfig, IpamOptions, NetworkSpec } from '#proto/types/specs.ts';
import { decodeBody, filled, flag, list, object, text, textMap } from './fields.ts';
import { timestamp } from './time.ts';

const VXLAN_IDS = 'com.docker.network.driver.overlay.vxlanid_list';
export const DRIVER_DEFAULT = 'overlay';

const ipamConfig = object<IpamConfig>({
  subnet: ['Subnet', text],
  range: ['IPRange', text],
  gateway: ['Gateway', text],
  auxiliary: ['AuxiliaryAddresses', textMap],
});
const ipamConfigs = list(ipamConfig);

const ipam = object<IpamOptions>({
  driver: ['Driver', text],
  options: ['Options', textMap],
  configs: ['Config', ipamConfigs],
});

const request = object<NetworkSpec>(
  {
    name: ['Name', filled(text, '')],
    labels: ['Labels', textMap],
    driver: ['Driver', text],
    options: ['Options', textMap],
    ipv6: ['EnableIPv6', flag],
    internal: ['Internal', flag],
    attachable: ['Attachable', flag],
    ingress: ['Ingress', flag],
    ipam: ['IPAM', ipam],
  },
  {
    refused: {
      ConfigOnly: 'networks that are only a configuration',
      ConfigFrom: 'networks made from a configuration',
    },
  },
);

/** The body of POST /networks/create. */
export function networkRequest(body: unknown): NetworkSpec {
  const spec = decodeBody(request, body);
  if ((body as { EnableIPv4?: unknown }).EnableIPv4 === false)
    throw new ShoalError('NOT_IMPLEMENTED', 'EnableIPv4: networks without IPv4 are not supported yet');
  return spec;
}

/** A network of the cluster as GET /networks shows it. */
export interface ClusterNetworkView {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Scope: 'swarm';
  readonly Driver: string;
  readonly EnableIPv4: boolean;
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

export function networkView(network: Network): ClusterNetworkView {
  const { spec } = network;
  return {
    Name: spec.name,
    Id: network.id,
    Created: timestamp(network.createdAtMs),
    Scope: 'swarm',
    Driver: spec.driver ?? DRIVER_DEFAULT,
    EnableIPv4: true,
    EnableIPv6: spec.ipv6 ?? false,
    IPAM: {
      Driver: spec.ipam?.driver ?? 'default',
      Options: spec.ipam?.options ?? null,
      Config: ipamConfigs.encode(configsOf(network)) ?? null,
    },
    Internal: spec.internal ?? false,
    Attachable: spec.attachable ?? false,
    Ingress: spec.ingress ?? false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: null,
    Options: optionsOf(network),
    Labels: spec.labels ?? {},
  };
}

/** As allocated, or else as asked. */
function configsOf({ spec, ipam: allocated }: Network): readonly IpamConfig[] | undefined {
  return allocated ?? spec.ipam?.configs;
}

/** The driver's options, and what it was given. */
export function optionsOf({ spec, vni }: Network): Record<string, string> {
  return { ...spec.options, ...(vni === undefined ? {} : { [VXLAN_IDS]: String(vni) }) };
}
