import { readFileSync } from 'node:fs';
import { createServer, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ShoalError } from '#proto/base/errors.ts';

/** Where managers are reached (Swarm's port). Their Raft transport is one port up. */
export const CONTROL_PORT = 2377;
/** Where every node gives image content and logs to others: a port that swarms have open between nodes already. */
export const PEER_PORT = 7946;

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export function textOf({ host, port }: HostPort): string {
  return `${host}:${port}`;
}

/** `host:port`; throws INVALID_ARGUMENT in Docker's words. */
export function hostPortOf(text: string): HostPort {
  const [host, port] = splitPort(text);
  if (host === '' || port === undefined)
    throw invalid(`could not parse local address ${JSON.stringify(text)}`);
  return { host, port };
}

function splitPort(text: string): [host: string, port: number | undefined] {
  const match = /^(.*):(\d{1,5})$/.exec(text);
  return match ? [match[1] as string, Number(match[2])] : [text, undefined];
}

/** Where to listen: an address or an interface, with or without a port. */
export function listenAddress(asked: string): HostPort {
  const [name, port = CONTROL_PORT] = splitPort(asked === '' ? '0.0.0.0' : asked);
  return { host: name === '0.0.0.0' ? name : addressOf(name, '--listen-addr'), port };
}

/**
 * What other nodes are told: as asked for, else where this listens, else the machine's only address.
 * Throws INVALID_ARGUMENT in Docker's words when it can't be chosen.
 */
export function advertiseAddress(asked: string, listen: HostPort): HostPort {
  if (asked !== '') {
    const [name, port = listen.port] = splitPort(asked);
    return { host: addressOf(name, '--advertise-addr'), port };
  }
  const host = listen.host === '0.0.0.0' ? onlyAddress() : listen.host;
  return { host, port: listen.port };
}

/** An IPv4 address, or the one address of an interface. */
export function addressOf(name: string, flag: string): string {
  if (isIPv4(name)) return unspecified(name, flag);
  const [first, second] = addressesOn(name);
  if (first === undefined) {
    throw invalid(
      `invalid ${flag}: ${name} is no IPv4 address and no interface of this machine that has one`,
    );
  }
  if (second !== undefined) {
    throw invalid(
      `interface ${name} has more than one IPv4 address (${first} and ${second}): name one with ${flag}`,
    );
  }
  return first;
}

function unspecified(address: string, flag: string): string {
  if (address !== '0.0.0.0') return address;
  throw invalid(`invalid ${flag}: ${address} says nothing to other nodes: a non-zero IP address is expected`);
}

function addressesOn(name: string): string[] {
  return (networkInterfaces()[name] ?? [])
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address);
}

/** The address of the interface that the default route leaves by, else the only one there is. */
function onlyAddress(): string {
  const route = defaultRouteInterface();
  const preferred = route === undefined ? [] : addressesOn(route);
  if (preferred.length === 1) return preferred[0] as string;
  const all = Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map(({ address }) => ({ name, address })),
  );
  const [first, second] = all;
  if (first === undefined) {
    throw invalid('could not find the system’s IP address - specify one with --advertise-addr');
  }
  if (second === undefined) return first.address;
  throw invalid(
    `could not choose an IP address to advertise since this system has multiple addresses on different interfaces (${first.address} on ${first.name} and ${second.address} on ${second.name}) - specify one with --advertise-addr`,
  );
}

function defaultRouteInterface(): string | undefined {
  const lines = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1);
  return lines.map((line) => line.split('\t')).find(([, destination]) => destination === '00000000')?.[0];
}

/** Every IPv4 address of this machine, loopback left out: packets from them are a node's own. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map(({ address }) => address),
  );
}

/** The preferred port if nobody listens there, else a free one. */
export async function freePort(host: string, preferred: number): Promise<number> {
  return (await tryListen(host, preferred)) ?? ((await tryListen(host, 0)) as number);
}

function tryListen(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}
