import { ShoalError } from '#proto/base/errors.ts';

/** An IPv4 subnet: its first address as a number, and its prefix length. */
export interface Subnet {
  readonly first: number;
  readonly bits: number;
}

/** An IPv4 address as a number; undefined when it is none. */
export function maybeNumber(address: string): number | undefined {
  const parts = address.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** An IPv4 address as a number. ShoalError INVALID_ARGUMENT when it is none. */
export function numberOf(address: string): number {
  const value = maybeNumber(address);
  if (value === undefined) throw new ShoalError('INVALID_ARGUMENT', `invalid IPv4 address: ${address}`);
  return value;
}

export function addressOf(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** `10.0.1.0/24`, or with any other address of the subnet in front. ShoalError INVALID_ARGUMENT. */
export function subnetOf(cidr: string): Subnet {
  const [address = '', length = ''] = cidr.split('/');
  const bits = Number(length);
  if (!/^\d{1,2}$/.test(length) || bits > 32)
    throw new ShoalError('INVALID_ARGUMENT', `invalid CIDR address: ${cidr}`);
  const size = 2 ** (32 - bits);
  return { first: Math.floor(numberOf(address) / size) * size, bits };
}

export function sizeOf(subnet: Subnet): number {
  return 2 ** (32 - subnet.bits);
}

export function cidrOf(subnet: Subnet): string {
  return `${addressOf(subnet.first)}/${subnet.bits}`;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.first < b.first + sizeOf(b) && b.first < a.first + sizeOf(a);
}

/** The address of a CIDR, without its prefix length. */
export function bare(cidr: string): string {
  return cidr.split('/')[0] as string;
}

/** A locally administered MAC made from an IPv4 address, as Docker does: stable, and unique where the address is. */
export function macOf(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}
