import { Address4 } from 'ip-address';

/** An IPv4 subnet, or any part of one: addresses as numbers, both ends included. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
  readonly prefixBits: number;
}

/** `10.0.1.0/24` as a range; undefined for anything that is no IPv4 subnet in CIDR notation. */
export function parseSubnet(text: string): AddressRange | undefined {
  if (!text.includes('/') || !Address4.isValid(text)) return undefined;
  const subnet = new Address4(text);
  return {
    first: Number(subnet.startAddress().bigInt()),
    last: Number(subnet.endAddress().bigInt()),
    prefixBits: subnet.subnetMask,
  };
}

const BYTE = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
/** What nearly all addresses look like: read at every look at the cluster, so without detours. */
const PLAIN_ADDRESS = new RegExp(`^${BYTE}\\.${BYTE}\\.${BYTE}\\.${BYTE}(?:/|$)`);

/** An address as a number, with or without a prefix length behind it; undefined for what is no IPv4 address. */
export function parseAddress(text: string): number | undefined {
  const plain = PLAIN_ADDRESS.exec(text);
  if (plain !== null) return plain.slice(1, 5).reduce((sum, part) => sum * 256 + Number(part), 0);
  const [address = ''] = text.split('/');
  return Address4.isValid(address) ? Number(new Address4(address).bigInt()) : undefined;
}

export function formatAddress(address: number): string {
  return Address4.fromBigInt(BigInt(address)).correctForm();
}

/** CIDR notation of a subnet. */
export function formatSubnet({ first, prefixBits }: AddressRange): string {
  return `${formatAddress(first)}/${prefixBits}`;
}

export function overlap(a: AddressRange, b: AddressRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}

export function contains(outer: AddressRange, inner: AddressRange): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}

/** The first subnet of a size in a pool that overlaps none of those taken. */
export function carve(
  pool: AddressRange,
  prefixBits: number,
  taken: readonly AddressRange[],
): AddressRange | undefined {
  const size = 2 ** (32 - prefixBits);
  for (let first = pool.first; first + size - 1 <= pool.last; ) {
    const candidate = { first, last: first + size - 1, prefixBits };
    const inTheWay = taken.filter((other) => overlap(candidate, other)).map((other) => other.last);
    if (inTheWay.length === 0) return candidate;
    first = Math.ceil((Math.max(...inTheWay) + 1) / size) * size;
  }
  return undefined;
}
