import { ShoalError } from '#proto/base/errors.ts';
import type { NetworkState } from '#proto/types/assignments.ts';
import { MESH_SLOTS_MAX } from '#proto/types/mesh.ts';
import type { AttachmentRequest, LocalNetwork, SandboxRequest } from '../node-network.ts';
import { choosePorts, type PortFacts } from './choose-ports.ts';
import { addressOf, bare, macOf, maybeNumber, numberOf, type Subnet, sizeOf, subnetOf } from './ipv4.ts';
import { address6Of, holds6, maybeNumber6, subnet6Of } from './ipv6.ts';
import type { AttachmentRecord, SandboxRecord } from './sandbox-record.ts';

const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i;

/** What a choice depends on. */
export interface ChoiceFacts extends PortFacts {
  /** The slot chosen last: what was given back is used again as late as possible. */
  readonly lastSlot: number;
}

/** Chooses everything a sandbox needs. ShoalErrors in Docker's words. */
export function chooseSandbox(request: SandboxRequest, facts: ChoiceFacts): SandboxRecord {
  if (facts.sandboxes.has(request.containerId))
    throw new ShoalError('CONFLICT', `container ${request.containerId} has a network namespace already`);
  const attachments: AttachmentRecord[] = [];
  for (const wanted of request.attachments) attachments.push(chooseAttachment(wanted, attachments, facts));
  return withSlot(
    {
      containerId: request.containerId,
      names: request.names,
      attachments,
      ports: choosePorts(request, attachments, facts),
      mesh: request.mesh,
      ...(request.dns === undefined ? {} : { dns: request.dns }),
    },
    facts,
  );
}

/** The sandbox with one more network, or one less. */
export function rewired(
  sandbox: SandboxRecord,
  change: { readonly add: AttachmentRequest } | { readonly remove: string },
  facts: ChoiceFacts,
): SandboxRecord {
  const attachments =
    'add' in change
      ? [...sandbox.attachments, chooseAttachment(change.add, sandbox.attachments, facts)]
      : sandbox.attachments.filter((on) => on.networkId !== change.remove);
  return withSlot({ ...sandbox, attachments }, facts);
}

/** Containers on overlay networks, and those of the mesh, have mesh addresses; no others. */
function withSlot(sandbox: SandboxRecord, facts: ChoiceFacts): SandboxRecord {
  const { slot, ...rest } = sandbox;
  if (!sandbox.mesh && sandbox.attachments.every((on) => on.overlay === undefined)) return rest;
  return { ...rest, slot: slot ?? chooseSlot(facts) };
}

/** Chooses one more network for a container that has `others`. */
function chooseAttachment(
  wanted: AttachmentRequest,
  others: readonly AttachmentRecord[],
  facts: ChoiceFacts,
): AttachmentRecord {
  const number = firstFree(others.map((on) => on.number));
  if (wanted.mac !== undefined && !MAC.test(wanted.mac))
    throw new ShoalError('INVALID_ARGUMENT', `invalid MAC address ${wanted.mac}`);
  const common = { networkId: wanted.networkId, number, aliases: wanted.aliases, ...linksOf(wanted) };
  if (others.some((on) => on.networkId === wanted.networkId))
    throw new ShoalError('FORBIDDEN', `the container is on network ${wanted.networkId} already`);
  const local = facts.locals.get(wanted.networkId);
  if (local?.subnet !== undefined && local.gateway !== undefined) {
    const subnet = subnetOf(local.subnet);
    const taken = [...facts.sandboxes.values()].flatMap((sandbox) => sandbox.attachments);
    const used = taken.filter((on) => on.networkId === local.id).map((on) => bare(on.address));
    const address = chooseAddress(
      local,
      subnet,
      [...used, local.gateway, ...(local.reserved ?? [])],
      wanted.address,
    );
    const mac = wanted.mac ?? macOf(address);
    const used6 = taken.filter((on) => on.networkId === local.id).flatMap((on) => on.ipv6?.address ?? []);
    return {
      ...common,
      ...chooseIpv6(local, used6, wanted.address6),
      address: `${address}/${subnet.bits}`,
      gateway: local.gateway,
      mac,
    };
  }
  return { ...common, ...chooseOverlay(wanted, facts.cluster) };
}

function firstFree(taken: readonly number[]): number {
  let number = 0;
  while (taken.includes(number)) number++;
  return number;
}

/** Names say nothing of case. */
function linksOf({ links = {} }: AttachmentRequest): Pick<AttachmentRecord, 'links'> {
  const named = Object.entries(links).map(([alias, name]) => [alias.toLowerCase(), name.toLowerCase()]);
  return named.length === 0 ? {} : { links: Object.fromEntries(named) };
}

/** Nothing for a network without IPv6. */
function chooseIpv6(
  { name, ipv6 }: LocalNetwork,
  used: readonly string[],
  wanted: string | undefined,
): Pick<AttachmentRecord, 'ipv6'> {
  const asked = wanted === undefined ? undefined : maybeNumber6(wanted);
  const subnet = ipv6 && subnet6Of(ipv6.subnet);
  if (wanted !== undefined && (asked === undefined || !subnet || !holds6(subnet, asked)))
    throw new ShoalError('INVALID_ARGUMENT', `no configured subnet contains IP address ${wanted}`);
  if (!ipv6 || !subnet) return {};
  const taken = new Set([ipv6.gateway, ...used].map((address) => maybeNumber6(bare(address))));
  let number = asked ?? subnet.first + 1n;
  if (asked !== undefined && taken.has(asked)) throw new ShoalError('FORBIDDEN', 'Address already in use');
  while (taken.has(number)) number += 1n;
  if (!holds6(subnet, number))
    throw new ShoalError(
      'RESOURCE_EXHAUSTED',
      `no available IPv6 addresses on this network's address pools: ${name}`,
    );
  return { ipv6: { address: `${address6Of(number)}/${subnet.bits}`, gateway: ipv6.gateway } };
}

function chooseOverlay(wanted: AttachmentRequest, cluster: NetworkState | undefined) {
  const overlay = [...(cluster?.networks.values() ?? [])].find((network) => network.id === wanted.networkId);
  if (overlay === undefined || overlay.driver !== 'overlay')
    throw new ShoalError('NOT_FOUND', `network ${wanted.networkId} not found`);
  if (overlay.options?.['encrypted'] !== undefined)
    throw new ShoalError(
      'NOT_IMPLEMENTED',
      `network ${overlay.name}: encrypted overlay networks are not implemented; create it without --opt encrypted`,
    );
  if (wanted.address === undefined)
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `network ${overlay.name}: managers choose its addresses, and none was given`,
    );
  if ((cluster?.self.meshIndex ?? 0) <= 0)
    throw new ShoalError('UNAVAILABLE', `network ${overlay.name}: this node has no mesh addresses yet`);
  const address = addressOf(numberOf(bare(wanted.address)));
  const { bits } = subnetOf(overlay.subnet);
  return {
    overlay,
    address: `${address}/${bits}`,
    gateway: overlay.gateway,
    mac: wanted.mac ?? macOf(address),
  };
}

/** The address asked for, else the lowest free one. */
function chooseAddress(
  network: LocalNetwork,
  subnet: Subnet,
  used: readonly string[],
  wanted: string | undefined,
): string {
  const taken = new Set(used.map(numberOf));
  const last = subnet.first + sizeOf(subnet) - 2;
  if (wanted !== undefined) {
    const number = maybeNumber(wanted) ?? -1;
    if (number <= subnet.first || number > last)
      throw new ShoalError('INVALID_ARGUMENT', `no configured subnet contains IP address ${wanted}`);
    if (taken.has(number)) throw new ShoalError('FORBIDDEN', 'Address already in use');
    return wanted;
  }
  const range = network.ipRange === undefined ? subnet : subnetOf(network.ipRange);
  const end = Math.min(last, range.first + sizeOf(range) - 1);
  for (let number = Math.max(range.first, subnet.first + 1); number <= end; number++)
    if (!taken.has(number)) return addressOf(number);
  throw new ShoalError(
    'RESOURCE_EXHAUSTED',
    `no available IPv4 addresses on this network's address pools: ${network.name} (${network.id})`,
  );
}

function chooseSlot(facts: ChoiceFacts): number {
  const taken = new Set([...facts.sandboxes.values()].map((sandbox) => sandbox.slot));
  for (let i = 0; i < MESH_SLOTS_MAX; i++) {
    const slot = 1 + ((facts.lastSlot + i) % MESH_SLOTS_MAX);
    if (!taken.has(slot)) return slot;
  }
  throw new ShoalError(
    'RESOURCE_EXHAUSTED',
    `this node has ${MESH_SLOTS_MAX} containers on networks of the cluster, and addresses for no more`,
  );
}
