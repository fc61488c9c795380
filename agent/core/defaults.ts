import { ShoalError } from '#proto/base/errors.ts';
import type { HostConfig } from './container-types.ts';
import { LOG_DRIVERS } from './logs/options.ts';
import type { EngineOpts } from './parts.ts';
import { formatAddress, parseAddress, parseSubnet, type Subnet, subnetsIn } from './subnet.ts';

/** What the engine does where a container or a network does not say. */
export interface EngineDefaults {
  readonly logDriver?: string;
  readonly logOpts?: Readonly<Record<string, string>>;
  /** Nameservers of containers. */
  readonly dns?: readonly string[];
  /** Control group under which the engine's own is. */
  readonly cgroupParent?: string;
  /** What subnets of networks are cut from: `size` is the length of their prefix. */
  readonly addressPools?: readonly { readonly base: string; readonly size: number }[];
  /** The network `bridge`: its device, and its own address there with the prefix of its subnet. */
  readonly bridge?: { readonly name?: string; readonly cidr?: string };
  /** Of the network `bridge`. */
  readonly mtu?: number;
}

/** INVALID_ARGUMENT for what could never work, before anything is opened. */
export function checkDefaults(defaults: EngineDefaults): void {
  const { logDriver = 'json-file', dns = [], bridge, addressPools = [] } = defaults;
  if (!LOG_DRIVERS.includes(logDriver))
    throw invalid(`logger: no log driver named '${logDriver}' is registered`);
  for (const server of dns)
    if (parseAddress(server) === undefined) throw invalid(`${server} is not an IPv4 address`);
  if (bridge?.name === 'none')
    throw new ShoalError('NOT_IMPLEMENTED', 'a daemon without the network bridge is not supported');
  if (bridge?.cidr !== undefined) bridgeAddress(bridge.cidr);
  for (const { base, size } of addressPools) {
    const pool = parseSubnet(base);
    if (pool === undefined || size < pool.prefix || size > 30)
      throw invalid(`invalid default address pool ${base} in subnets of /${size}`);
  }
}

/** `192.168.5.1/24` as the subnet of the network `bridge` and its gateway. */
export function bridgeAddress(cidr: string): { subnet: Subnet; gateway: string } {
  const subnet = parseSubnet(cidr);
  const address = parseAddress(cidr.split('/')[0] ?? '');
  if (subnet === undefined || address === undefined || address === subnet.base)
    throw invalid(`invalid address of the bridge ${cidr}: ADDRESS/PREFIX is expected`);
  return { subnet, gateway: formatAddress(address) };
}

/** The subnets that networks are given, in order; undefined: Docker's. */
export function givenPools({ addressPools }: EngineDefaults): Iterable<Subnet> | undefined {
  if (addressPools === undefined || addressPools.length === 0) return undefined;
  return addressPools.values().flatMap(({ base, size }) => subnetsIn(parseSubnet(base) as Subnet, size));
}

/** The control group of an engine, below the root of each hierarchy. */
export function engineGroup({ instance, defaults }: Pick<EngineOpts, 'instance' | 'defaults'>): string {
  const parent = (defaults?.cgroupParent ?? '').replace(/^\/+|\/+$/g, '');
  return `${parent === '' ? '' : `/${parent}`}/shoal/${instance}`;
}

/** The nameservers of a container: its own, else those of the engine. */
export function dnsOf({ Dns }: Pick<HostConfig, 'Dns'>, defaults: EngineDefaults = {}): readonly string[] {
  return Dns && Dns.length > 0 ? Dns : (defaults.dns ?? []);
}

/** How a container keeps its log. Options of the engine go with its driver alone, under the container's own. */
export function logConfigOf(
  asked: HostConfig['LogConfig'],
  { logDriver = 'json-file', logOpts = {} }: EngineDefaults = {},
): { Type: string; Config: Record<string, string> } {
  const type = asked?.Type || logDriver;
  return { Type: type, Config: { ...(type === logDriver ? logOpts : {}), ...asked?.Config } };
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}

/** What a container remembers of it: nothing while the daemon was told of no group. */
export function rememberedGroup(opts: Pick<EngineOpts, 'instance' | 'defaults'>): string {
  return opts.defaults?.cgroupParent ? engineGroup(opts) : '';
}
