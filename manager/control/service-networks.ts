import { ShoalError } from '#proto/base/errors.ts';
import type { Network } from '#proto/types/objects.ts';
import type { NetworkAttachmentConfig, ServiceSpec } from '#proto/types/specs.ts';
import type { StoreView } from '../store/view.ts';
import { findNetwork } from './lookup.ts';

/** The network of the routing mesh, unless it was removed. */
export function findIngress({ networks }: StoreView): Network | undefined {
  for (const network of networks.all()) if (network.spec.ingress && !network.pendingDelete) return network;
  return undefined;
}

/**
 * The spec with the ids of its networks instead of their names. NOT_FOUND for one that there is not, INVALID_ARGUMENT for
 * the ingress network, which services are on by publishing ports.
 */
export function withNetworkIds(view: StoreView, spec: ServiceSpec): ServiceSpec {
  const { networks } = spec.task;
  if (networks === undefined) return spec;
  const resolved = networks.map((attachment) => withNetworkId(view, attachment));
  return { ...spec, task: { ...spec.task, networks: resolved } };
}

function withNetworkId(view: StoreView, attachment: NetworkAttachmentConfig): NetworkAttachmentConfig {
  const { id, spec } = findNetwork(view, attachment.target);
  if (spec.ingress)
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `Service cannot be explicitly attached to the ingress network ${JSON.stringify(spec.name)}`,
    );
  return { ...attachment, target: id };
}
