import type { Random } from '#proto/base/random.ts';
import { type NetworkId, newId } from '#proto/types/ids.ts';
import type { NetworkSpec } from '#proto/types/specs.ts';
import type { Change } from '../store/changes.ts';

/** Marks networks that the cluster has of itself and that cannot be removed (Swarm's label). */
export const PREDEFINED_LABEL = 'com.docker.swarm.predefined';

/** What nodes have of themselves and services may name; ingress can be replaced, the others are predefined. */
const NETWORKS: readonly NetworkSpec[] = [
  {
    name: 'ingress',
    driver: 'overlay',
    ingress: true,
    ipam: { driver: 'default', configs: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1' }] },
  },
  predefined('bridge', 'bridge'),
  predefined('host', 'host'),
  predefined('none', 'null'),
];

function predefined(name: string, driver: string): NetworkSpec {
  return { name, driver, labels: { [PREDEFINED_LABEL]: 'true' } };
}

/**
 * The networks of a fresh cluster, for the transaction that makes it. Only then: an ingress network that was removed later
 * stays removed.
 */
export function freshNetworks(random: Random): Change[] {
  return NETWORKS.map((spec) => ({
    kind: 'putNetwork',
    network: { id: newId<'network'>(random) satisfies NetworkId, spec },
  }));
}
