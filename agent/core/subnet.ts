/*
 * IPv4 networks in CIDR notation, as far as the engine needs them to keep the networks of one machine apart.
 */

export interface Subnet {
  /** First address, as a number. */
  readonly base: number;
  readonly prefix: number;
}

/** Undefined when the text is no IPv4 CIDR. Bits behind the prefix are ignored. */
export function parseSubnet(cidr: string): Subnet | undefined {
  const [address = '', prefixText = ''] = cidr.split('/');
  const value = parseAddress(address);
  if (value === undefined || !/^\d{1,2}$/.test(prefixText) || Number(prefixText) > 32) return undefined;
  const prefix = Number(prefixText);
  return { base: value - (value % size(prefix)), prefix };
}

export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

export function formatSubnet({ base, prefix }: Subnet): string {
  return `${formatAddress(base)}/${prefix}`;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + size(b.prefix) && b.base < a.base + size(a.prefix);
}

export function holds(subnet: Subnet, address: number): boolean {
  return address >= subnet.base && address < subnet.base + size(subnet.prefix);
}

/** A network cut into subnets of that prefix, in order. */
export function* subnetsIn(network: Subnet, prefix: number): Generator<Subnet> {
  const end = network.base + size(network.prefix);
  for (let { base } = network; base < end; base += size(prefix)) yield { base, prefix };
}

function size(prefix: number): number {
  return 2 ** (32 - prefix);
}

/** Docker's default pools, in its order: 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 … */
export function* defaultPools(): Generator<Subnet> {
  for (let second = 17; second < 32; second += 1) yield { base: (172 * 256 + second) * 65_536, prefix: 16 };
  for (let third = 0; third < 256; third += 16)
    yield { base: (192 * 256 + 168) * 65_536 + third * 256, prefix: 20 };
}
