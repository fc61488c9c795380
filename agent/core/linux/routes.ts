import { readFileSync } from 'node:fs';

/** Subnets (CIDR, IPv4) that this machine has routes to, also by devices that nothing is plugged into; no default route. */
export function routedSubnets(): string[] {
  try {
    return parseRoutes(readFileSync('/proc/self/net/route', 'latin1'));
  } catch {
    return [];
  }
}

/** Parses the format of /proc/net/route: columns, numbers in hex with their bytes in memory's order. */
export function parseRoutes(text: string): string[] {
  const rows = text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/));
  return rows
    .map(([, destination = '', , , , , , mask = '']) => `${dotted(destination)}/${prefixOf(mask)}`)
    .filter((subnet) => subnet !== '0.0.0.0/0');
}

function dotted(hex: string): string {
  return [...Buffer.from(hex, 'hex').reverse()].join('.');
}

function prefixOf(hex: string): number {
  return Number.parseInt(hex, 16).toString(2).replaceAll('0', '').length;
}
