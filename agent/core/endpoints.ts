import { codeOf } from '#proto/base/errors.ts';
import type { EndpointConfig } from './container-types.ts';
import type { LocalNetworks } from './networks.ts';
import type { ContainerSpec, EndpointRecord } from './record.ts';

type Networks = Pick<LocalNetworks, 'find'>;

/**
 * The endpoint of a container that is made, by its network's name. The network need not be there before the container is
 * started, as with Docker; until then it has no id.
 */
export function endpointOn(
  network: string,
  config: EndpointConfig | null,
  networks: Networks,
): [name: string, endpoint: EndpointRecord] {
  try {
    const { name, id } = networks.find(network);
    return [name, { networkId: id, config }];
  } catch (error) {
    if (codeOf(error) !== 'NOT_FOUND') throw error;
    return [network, { networkId: '', config }];
  }
}

/**
 * The endpoints of a container that is about to start, on the networks that have their names now: one may have come, or
 * been made anew, since the container was made. NOT_FOUND `network X not found`.
 */
export function settledEndpoints(
  endpoints: ContainerSpec['endpoints'],
  networks: Networks,
): ContainerSpec['endpoints'] {
  const settled = Object.entries(endpoints).map(([network, { config }]) => {
    const { name, id } = networks.find(network);
    return [name, { networkId: id, config }] as const;
  });
  return Object.fromEntries(settled);
}
