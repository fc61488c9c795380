import { ShoalError } from '#proto/base/errors.ts';
import type { LocalNetwork } from '../net/node-network.ts';
import { MACVLAN_MODES } from '../net/plan/macvlan.ts';
import { holds, parseAddress, parseSubnet } from './subnet.ts';

/** A network of this machine as the engine remembers it. */
export interface NetworkRecord {
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'macvlan' | 'host' | 'null';
  readonly createdAt: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly ipv6?: { readonly subnet: string; readonly gateway: string };
  readonly auxiliary?: Readonly<Record<string, string>>;
  readonly ipamOptions?: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** What POST /networks/create asks for, as far as one machine is concerned. */
export type NetworkRequest = Pick<
  NetworkRecord,
  'name' | 'internal' | 'attachable' | 'options' | 'labels'
> & {
  readonly driver: string;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  /** What is not said is chosen. */
  readonly ipv6?: { readonly subnet?: string; readonly gateway?: string };
  readonly auxiliary?: Readonly<Record<string, string>>;
  readonly ipamOptions?: Readonly<Record<string, string>> | null;
};

export const OPTION = {
  mtu: 'com.docker.network.driver.mtu',
  bridgeName: 'com.docker.network.bridge.name',
  icc: 'com.docker.network.bridge.enable_icc',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  hostIp: 'com.docker.network.bridge.host_binding_ipv4',
} as const;
/** Ranges and addresses that are kept are parts of the subnet. */
export function checkParts({ subnet: cidr, ipRange, auxiliary }: NetworkRequest): void {
  const subnet = parseSubnet(cidr ?? '');
  const range = ipRange === undefined ? undefined : parseSubnet(ipRange);
  if (
    ipRange !== undefined &&
    (!subnet || !range || !holds(subnet, range.base) || range.prefix < subnet.prefix)
  )
    throw new ShoalError('INVALID_ARGUMENT', `no matching subnet for range ${ipRange}`);
  for (const address of Object.values(auxiliary ?? {})) {
    const number = parseAddress(address);
    if (number === undefined || !subnet || !holds(subnet, number))
      throw new ShoalError('INVALID_ARGUMENT', `no matching subnet for aux-address ${address}`);
  }
}

/** INVALID_ARGUMENT for what no network of this driver can be. */
export function checkMacvlan({ options }: NetworkRequest): void {
  const { parent, macvlan_mode: mode = 'bridge' } = options;
  if (!parent || !/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(parent))
    throw new ShoalError(
      'INVALID_ARGUMENT',
      'a macvlan network needs a device of this machine: name it with -o parent=DEVICE',
    );
  if (!MACVLAN_MODES.includes(mode))
    throw new ShoalError('INVALID_ARGUMENT', `unknown macvlan mode: ${mode}`);
}

/** Options of bridges that are switches. */
const SWITCHES = [OPTION.icc, OPTION.masquerade] as const;
/** Options of bridges that say what can't be had here, and the one value that says nothing. */
const FIXED: Readonly<Record<string, string>> = {
  'com.docker.network.bridge.gateway_mode_ipv4': 'nat',
  'com.docker.network.bridge.gateway_mode_ipv6': 'nat',
  'com.docker.network.bridge.inhibit_ipv4': 'false',
  'com.docker.network.container_iface_prefix': 'eth',
};

/** INVALID_ARGUMENT for options that are no value, NOT_IMPLEMENTED for those that nothing would follow from. */
export function checkBridge({ options, ipv6 }: NetworkRequest): void {
  for (const name of SWITCHES)
    if (!/^(true|false|1|0)?$/.test(options[name] ?? ''))
      throw new ShoalError('INVALID_ARGUMENT', `invalid value for ${name}: ${options[name]}`);
  for (const [name, value] of Object.entries(FIXED))
    if ((options[name] ?? value) !== value)
      throw new ShoalError('NOT_IMPLEMENTED', `${name}=${options[name]}: not supported`);
  if (isOff(options[OPTION.masquerade]) && ipv6)
    throw new ShoalError('NOT_IMPLEMENTED', 'IPv6 without masquerading: not supported');
  const hostIp = options[OPTION.hostIp];
  if (hostIp && parseAddress(hostIp) === undefined)
    throw new ShoalError('INVALID_ARGUMENT', `invalid value for ${OPTION.hostIp}: ${hostIp}`);
}

function isOff(value: string | undefined): boolean {
  return value === 'false' || value === '0';
}

/** As the data plane is to make it. */
export function localNetwork(record: NetworkRecord): LocalNetwork {
  const mtu = Number(record.options[OPTION.mtu]);
  const bridgeName = record.options[OPTION.bridgeName];
  const hostIp = record.options[OPTION.hostIp];
  return {
    id: record.id,
    name: record.name,
    driver: record.driver,
    internal: record.internal,
    ...(record.subnet === undefined ? {} : { subnet: record.subnet }),
    ...(record.gateway === undefined ? {} : { gateway: record.gateway }),
    ...(record.ipRange === undefined ? {} : { ipRange: record.ipRange }),
    ...(record.auxiliary ? { reserved: Object.values(record.auxiliary) } : {}),
    ...(record.ipv6 === undefined ? {} : { ipv6: record.ipv6 }),
    ...(record.driver === 'macvlan' ? { macvlan: macvlanOf(record.options) } : {}),
    ...(isOff(record.options[OPTION.icc]) ? { apart: true } : {}),
    ...(isOff(record.options[OPTION.masquerade]) ? { routed: true } : {}),
    ...(hostIp ? { hostIp } : {}),
    ...(mtu > 0 ? { mtu } : {}),
    ...(bridgeName ? { bridgeName } : {}),
  };
}

function macvlanOf({ parent = '', macvlan_mode: mode = 'bridge' }: NetworkRecord['options']): {
  parent: string;
  mode: string;
} {
  return { parent, mode };
}
