import { Address4, Address6 } from 'ip-address';

/** Whether a text is written as a subnet in CIDR notation. */
export function isSubnet(text: string): boolean {
  return text.includes('/');
}

/** Whether an address lies in a subnet; undefined when the subnet is none. */
export function inSubnet(address: string, subnet: string): boolean | undefined {
  const outer = parse(subnet);
  if (outer === undefined) return undefined;
  const inner = parse(address);
  return inner !== undefined && inner.v4 === outer.v4 && inner.isInSubnet(outer);
}

/** Whether two texts are the same address, however written; undefined when the second is none. */
export function sameAddress(address: string, expected: string): boolean | undefined {
  const wanted = parse(expected);
  if (wanted === undefined) return undefined;
  const actual = parse(address);
  return actual !== undefined && actual.v4 === wanted.v4 && actual.bigInt() === wanted.bigInt();
}

function parse(text: string): Address4 | Address6 | undefined {
  if (Address4.isValid(text)) return new Address4(text);
  return Address6.isValid(text) ? new Address6(text) : undefined;
}
