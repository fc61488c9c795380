import { ShoalError } from '#proto/base/errors.ts';
import type { NetworkId } from '#proto/types/ids.ts';
import type { Network } from '#proto/types/objects.ts';
import type { IpamConfig, NetworkSpec } from '#proto/types/specs.ts';
import type { Controller } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';
import {
  type AddressRange,
  carve,
  contains,
  formatAddress,
  formatSubnet,
  overlap,
  parseAddress,
  parseSubnet,
} from './subnet.ts';

/** VXLAN ids: 4096 is the mesh's own. */
const VNI_MIN = 4097;
const VNI_MAX = 2 ** 24 - 1;
/** Smaller subnets have no room for a gateway, a virtual address and a task. */
const PREFIX_BITS_MAX = 29;

/** Overlay networks get a VXLAN id, a subnet and a gateway; node-local ones need nothing of the cluster. */
export const networks: Controller = {
  name: 'networks',
  wakesOn: ['cluster', 'network'],
  plan(view) {
    const taken = takenSubnets(view);
    const vnis = new Set([...view.networks.all()].map(({ vni }) => vni));
    const changes: Change[] = [];
    for (const network of waiting(view)) {
      const subnet = chooseSubnet(view, network.spec, taken);
      const vni = freeVni(vnis);
      if (subnet === undefined || vni === undefined) continue;
      taken.push({ range: subnet, of: describe(network) });
      vnis.add(vni);
      changes.push({
        kind: 'allocateNetwork',
        networkId: network.id,
        vni,
        ipam: ipamOf(network.spec, subnet),
      });
    }
    return { changes };
  },
};

/** Those without addresses: who asked for a subnet comes first, then by age. */
function waiting(view: StoreView): Network[] {
  const askedFor = ({ spec }: Network): number => (askedSubnet(spec) === undefined ? 1 : 0);
  return [...view.networks.all()]
    .filter((network) => isOverlay(network) && !network.pendingDelete && network.ipam === undefined)
    .sort((a, b) => askedFor(a) - askedFor(b) || a.createdAtMs - b.createdAtMs);
}

/** Whether a network spans nodes. Others are what each node has of that name. */
export function isOverlay({ spec }: Pick<Network, 'spec'>): boolean {
  return (spec.driver ?? 'overlay') === 'overlay';
}

/** The subnet that a network's addresses come from, once allocated. */
export function subnetOf(network: Network): AddressRange | undefined {
  const config = network.ipam?.find(isIpv4);
  return config?.subnet === undefined ? undefined : parseSubnet(config.subnet);
}

/** The IPv4 part of a network's address configuration. */
export function isIpv4(config: IpamConfig): boolean {
  return config.subnet === undefined || parseSubnet(config.subnet) !== undefined;
}

interface Taken {
  readonly range: AddressRange;
  /** Whose it is, for messages. */
  readonly of: string;
}

function describe({ id, spec }: Network): string {
  return `network '${spec.name}' (${id})`;
}

/** What no new subnet may overlap: those of other networks, and the addresses that nodes have for published ports. */
function takenSubnets(view: StoreView, except?: NetworkId): Taken[] {
  const taken: Taken[] = [];
  const mesh = view.cluster && parseSubnet(view.cluster.meshPool);
  if (mesh !== undefined) taken.push({ range: mesh, of: "the nodes' mesh addresses" });
  for (const network of view.networks.all()) {
    const range = network.id === except ? undefined : subnetOf(network);
    if (range !== undefined) taken.push({ range, of: describe(network) });
  }
  return taken;
}

function chooseSubnet(view: StoreView, spec: NetworkSpec, taken: readonly Taken[]): AddressRange | undefined {
  const asked = askedSubnet(spec);
  if (asked !== undefined) return isTaken(asked, taken) ? undefined : asked;
  const bits = view.cluster?.subnetBits ?? 24;
  const ranges = taken.map(({ range }) => range);
  for (const text of view.cluster?.addressPools ?? []) {
    const pool = parseSubnet(text);
    const free = pool && carve(pool, bits, ranges);
    if (free !== undefined) return free;
  }
  return undefined;
}

function isTaken(subnet: AddressRange, taken: readonly Taken[]): boolean {
  return taken.some(({ range }) => overlap(range, subnet));
}

function askedSubnet(spec: NetworkSpec): AddressRange | undefined {
  const subnet = spec.ipam?.configs?.find(isIpv4)?.subnet;
  return subnet === undefined ? undefined : parseSubnet(subnet);
}

function freeVni(taken: ReadonlySet<number | undefined>): number | undefined {
  for (let vni = VNI_MIN; vni <= VNI_MAX; vni++) if (!taken.has(vni)) return vni;
  return undefined;
}

/** As asked, with what was chosen filled in: the gateway is the subnet's first address. */
function ipamOf(spec: NetworkSpec, subnet: AddressRange): IpamConfig[] {
  const asked = spec.ipam?.configs ?? [];
  const ipv4 = asked.find(isIpv4);
  const gateway = ipv4?.gateway ?? formatAddress(subnet.first + 1);
  return [{ ...ipv4, subnet: formatSubnet(subnet), gateway }, ...asked.filter((config) => config !== ipv4)];
}

/** What to say when a network has no address left to give. */
export function noFreeAddress(network: Network): string {
  const subnet = subnetOf(network);
  return `${describe(network)} has no free address in ${subnet === undefined ? 'its subnet' : formatSubnet(subnet)}`;
}

/** Why a network that was asked for has no addresses yet; undefined when it has, or needs none. */
export function whyUnallocated(view: StoreView, network: Network): string | undefined {
  if (!isOverlay(network) || network.ipam !== undefined) return undefined;
  const asked = askedSubnet(network.spec);
  const other = asked && takenSubnets(view, network.id).find(({ range }) => overlap(range, asked));
  if (asked !== undefined && other !== undefined)
    return `${describe(network)} has no addresses: its subnet ${formatSubnet(asked)} overlaps that of ${other.of}`;
  return `${describe(network)} has no addresses: the cluster's address pools are exhausted`;
}

/**
 * Refuses an address configuration that cannot be given, before the network is stored.
 * ShoalError INVALID_ARGUMENT, with the offending value and what it meets; NOT_IMPLEMENTED for several IPv4 subnets.
 */
export function checkAddressing(view: StoreView, spec: NetworkSpec, id?: NetworkId): void {
  const configs = spec.ipam?.configs ?? [];
  if (configs.filter(isIpv4).length > 1)
    throw new ShoalError(
      'NOT_IMPLEMENTED',
      `network ${spec.name}: more than one IPv4 subnet is not supported`,
    );
  for (const config of configs) checkConfig(config);
  const asked = isOverlay({ spec }) ? askedSubnet(spec) : undefined;
  const other = asked && takenSubnets(view, id).find(({ range }) => overlap(range, asked));
  if (asked === undefined || other === undefined) return;
  throw invalid(
    `invalid pool request: Pool overlaps with other one on this address space: ${formatSubnet(asked)} and ` +
      `${formatSubnet(other.range)} of ${other.of}`,
  );
}

function checkConfig({ subnet: text, range, gateway }: IpamConfig): void {
  if (text?.includes(':')) return;
  const subnet = text === undefined ? undefined : parseSubnet(text);
  if (text !== undefined && subnet === undefined) throw invalid(`ipam configuration: invalid subnet ${text}`);
  if (subnet !== undefined && subnet.prefixBits > PREFIX_BITS_MAX)
    throw invalid(`ipam configuration: subnet ${text} is too small, at most /${PREFIX_BITS_MAX} is expected`);
  const inner = range === undefined ? undefined : parseSubnet(range);
  if (range !== undefined && (inner === undefined || subnet === undefined || !contains(subnet, inner)))
    throw invalid(`ipam configuration: invalid range ${range}`);
  const address = gateway === undefined ? undefined : parseAddress(gateway);
  if (gateway === undefined) return;
  if (address === undefined) throw invalid(`ipam configuration: invalid gateway ${gateway}`);
  if (subnet === undefined || address <= subnet.first || address >= subnet.last)
    throw invalid(`no matching subnet for gateway ${gateway}`);
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}
