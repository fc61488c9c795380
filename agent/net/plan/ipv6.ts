import { Address6 } from 'ip-address';
import { ShoalError } from '#proto/base/errors.ts';

const BITS = 128;
/** Every IPv6 address of a node. */
export const EVERYWHERE6 = '::';

/** An IPv6 subnet: its first address as a number, and its prefix length. */
export interface Subnet6 {
  readonly first: bigint;
  readonly bits: number;
}

/** An IPv6 address as a number; undefined when it is none. */
export function maybeNumber6(address: string): bigint | undefined {
  return /[/%]/.test(address) || !Address6.isValid(address) ? undefined : new Address6(address).bigInt();
}

/** What a port is published at: an IPv6 address, or one of IPv4, or nothing. */
export function isIpv6(hostIp: string): boolean {
  return hostIp.includes(':');
}

/** The shortest way to write it, as the kernel does. */
export function address6Of(value: bigint): string {
  return Address6.fromBigInt(value).correctForm();
}

/** `fd00:1::/64`, or with any other address of the subnet in front. ShoalError INVALID_ARGUMENT. */
export function subnet6Of(cidr: string): Subnet6 {
  const [address = '', length = ''] = cidr.split('/');
  const number = maybeNumber6(address);
  const bits = Number(length);
  if (number === undefined || !/^\d{1,3}$/.test(length) || bits > BITS - 2)
    throw new ShoalError('INVALID_ARGUMENT', `invalid CIDR address: ${cidr}`);
  const rest = BigInt(BITS - bits);
  return { first: (number >> rest) << rest, bits };
}

export function cidr6Of({ first, bits }: Subnet6): string {
  return `${address6Of(first)}/${bits}`;
}

export function holds6({ first, bits }: Subnet6, address: bigint): boolean {
  return address >= first && address < first + (1n << BigInt(BITS - bits));
}

export function overlaps6(a: Subnet6, b: Subnet6): boolean {
  return holds6(a, b.first) || holds6(b, a.first);
}
