import type { EndpointInfo, NetworkState } from '#proto/types/assignments.ts';
import { MESH_BUCKETS } from '#proto/types/mesh.ts';
import type { PlanContext } from './context.ts';
import { type NamespaceId, NODE_NAMESPACE } from './fragment.ts';
import { addressOf, bare, numberOf } from './ipv4.ts';
import { routerNamespace } from './names.ts';
import { meshAddressOf } from './sandbox.ts';
import type { SandboxRecord } from './sandbox-record.ts';
import { addressesOn, meshTarget } from './services.ts';

/** Flows to be forgotten: of this protocol, in this namespace, to these addresses. */
export interface Leaving {
  readonly namespace: NamespaceId;
  readonly protocol: 'tcp' | 'udp';
  readonly addresses: ReadonlySet<string>;
}

/**
 * Flows to tasks that left the balancing. UDP has no end of its own, so it is forgotten as soon as a task is not
 * balanced to; TCP connections live until the task is gone for good, then what still clings to it is told so.
 */
export function leaversOf(
  before: NetworkState | undefined,
  after: NetworkState | undefined,
  context: PlanContext,
): Leaving[] {
  if (before === undefined || before === after) return [];
  const found: Found = new Map();
  const left = new Set<string>();
  for (const [id, old] of before.endpoints) {
    const now = after?.endpoints.get(id);
    if (now === old || (now !== undefined && !(old.active && !now.active))) continue;
    addLeaving(found, context, old, now === undefined ? ['udp', 'tcp'] : ['udp']);
    for (const address of allAddresses(old)) left.add(address);
  }
  if (found.size > 0) keepCurrent(found, left, after, context);
  return [...found.values()].filter((leaving) => leaving.addresses.size > 0);
}

type Found = Map<string, Leaving & { addresses: Set<string> }>;

function addLeaving(
  found: Found,
  context: PlanContext,
  endpoint: EndpointInfo,
  protocols: readonly ('tcp' | 'udp')[],
): void {
  for (const protocol of protocols) {
    for (const [namespace, address] of reachedAt(endpoint, protocol, context)) {
      const key = `${namespace} ${protocol}`;
      const leaving = found.get(key) ?? { namespace, protocol, addresses: new Set<string>() };
      leaving.addresses.add(address);
      found.set(key, leaving);
    }
  }
}

/** Where this node's packets to a task go. */
function reachedAt(
  endpoint: EndpointInfo,
  protocol: 'tcp' | 'udp',
  { mesh, routers }: PlanContext,
): [NamespaceId, string][] {
  const overlay = endpoint.networks
    .filter((on) => routers[on.networkId] !== undefined)
    .flatMap(({ networkId }) =>
      addressesOn(networkId, endpoint.networks).map((ip): [NamespaceId, string] => [
        routerNamespace(networkId),
        ip,
      ]),
    );
  if (mesh === undefined || endpoint.meshAddr === undefined) return overlay;
  return [...overlay, [NODE_NAMESPACE, meshTarget(mesh, protocol, endpoint.meshAddr)]];
}

/** As they are written, without a thought. */
function allAddresses(endpoint: EndpointInfo): string[] {
  const overlay = endpoint.networks.flatMap((on) => on.addresses);
  return endpoint.meshAddr === undefined ? overlay : [...overlay, endpoint.meshAddr];
}

/** An address that a task has now is not forgotten for the sake of one that had it. */
function keepCurrent(
  found: Found,
  left: ReadonlySet<string>,
  after: NetworkState | undefined,
  context: PlanContext,
): void {
  for (const endpoint of after?.endpoints.values() ?? []) {
    if (!endpoint.active || !allAddresses(endpoint).some((address) => left.has(address))) continue;
    for (const protocol of ['tcp', 'udp'] as const)
      for (const [namespace, address] of reachedAt(endpoint, protocol, context))
        found.get(`${namespace} ${protocol}`)?.addresses.delete(address);
  }
}

/** Flows to one container of this node, wherever they pass. */
export function flowsTo(sandbox: SandboxRecord, protocol: 'tcp' | 'udp', context: PlanContext): Leaving[] {
  const leaving: Leaving[] = [];
  const here = new Set<string>();
  const exit = meshAddressOf(context.mesh, sandbox);
  if (exit !== undefined) for (let i = 0; i < MESH_BUCKETS; i++) here.add(addressOf(numberOf(exit) + i));
  for (const on of sandbox.attachments) {
    if (on.overlay === undefined) {
      here.add(bare(on.address));
      if (on.ipv6 !== undefined) here.add(bare(on.ipv6.address));
    } else {
      const namespace = routerNamespace(on.networkId);
      leaving.push({ namespace, protocol, addresses: new Set([bare(on.address)]) });
    }
  }
  return here.size === 0 ? leaving : [...leaving, { namespace: NODE_NAMESPACE, protocol, addresses: here }];
}
