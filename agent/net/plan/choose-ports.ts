import { ShoalError } from '#proto/base/errors.ts';
import type { NetworkState } from '#proto/types/assignments.ts';
import type { LocalNetwork, PortBinding, SandboxRequest } from '../node-network.ts';
import { maybeNumber } from './ipv4.ts';
import { address6Of, EVERYWHERE6, isIpv6, maybeNumber6 } from './ipv6.ts';
import { everywhere, publishedAddress6 } from './sandbox.ts';
import type { AttachmentRecord, SandboxRecord } from './sandbox-record.ts';

/** What a choice of ports depends on. */
export interface PortFacts {
  readonly cluster?: NetworkState;
  readonly sandboxes: ReadonlyMap<string, SandboxRecord>;
  readonly locals: ReadonlyMap<string, LocalNetwork>;
  /** Whether a process of the node itself has a port that is to be published; see `meetsSocket`. */
  readonly isForeign: (port: PortBinding) => boolean;
  /** Addresses that the node has, of each family. */
  readonly addresses: readonly string[];
  readonly addresses6: readonly string[];
  /** Host ports to choose from where none is asked for, first and last. */
  readonly dynamicPorts: readonly [number, number];
  /** The dynamic port chosen last: what was given back is used again as late as possible. */
  readonly lastPort: number;
}

/**
 * Chooses where the ports of a container with these networks are published: for both families where it has both and no
 * address is named, at the same host port. ShoalErrors in Docker's words.
 */
export function choosePorts(
  request: SandboxRequest,
  attachments: readonly AttachmentRecord[],
  facts: PortFacts,
): PortBinding[] {
  const networks = request.attachments.flatMap((on) => facts.locals.get(on.networkId) ?? []);
  const otherwise = networks.find((network) => !network.internal)?.hostIp ?? '';
  const withIpv6 = publishedAddress6(facts.locals, attachments) !== undefined;
  const choice = new PortChoice(facts, withIpv6);
  for (const wanted of request.ports) {
    const problem = choice.add(wanted, wanted.hostIp || otherwise);
    if (problem !== undefined) throw cannotPublish(request, problem);
  }
  return choice.chosen;
}

interface Problem {
  readonly code: 'CONFLICT' | 'INVALID_ARGUMENT';
  readonly text: string;
}

class PortChoice {
  readonly chosen: PortBinding[] = [];
  readonly #facts: PortFacts;
  readonly #withIpv6: boolean;

  constructor(facts: PortFacts, withIpv6: boolean) {
    this.#facts = facts;
    this.#withIpv6 = withIpv6;
  }

  /** Chooses one more; what is in its way, or undefined. */
  add(wanted: PortBinding, asked: string): Problem | undefined {
    const { hostPortMax = wanted.hostPort, ...port } = wanted;
    const hostIps = hostIpsOf(asked, this.#withIpv6);
    const at = (hostPort: number): PortBinding[] => hostIps.map((hostIp) => ({ ...port, hostIp, hostPort }));
    const bindings =
      port.hostPort === 0 ? this.#dynamic(at) : this.#firstFree(at, port.hostPort, hostPortMax);
    const problem = this.#problem(bindings);
    this.chosen.push(...bindings);
    return problem;
  }

  /** The first of a range that may be had; the first of all when none may, so that it is said why. */
  #firstFree(at: (hostPort: number) => PortBinding[], first: number, last: number): PortBinding[] {
    for (let hostPort = first; hostPort <= last; hostPort++)
      if (this.#problem(at(hostPort)) === undefined) return at(hostPort);
    return at(first);
  }

  #dynamic(at: (hostPort: number) => PortBinding[]): PortBinding[] {
    const { dynamicPorts, lastPort } = this.#facts;
    const [first, last] = dynamicPorts;
    const count = last - first + 1;
    const start = Math.max(lastPort, ...this.chosen.map((port) => port.hostPort)) + 1 - first;
    for (let i = 0; i < count; i++) {
      const bindings = at(first + ((Math.max(0, start) + i) % count));
      if (this.#problem(bindings) === undefined) return bindings;
    }
    throw new ShoalError('RESOURCE_EXHAUSTED', 'all ports are allocated');
  }

  #problem(bindings: readonly PortBinding[]): Problem | undefined {
    for (const port of bindings) {
      const problem = this.#unbindable(port);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #unbindable(port: PortBinding): Problem | undefined {
    const ip = port.hostIp === '' ? '0.0.0.0' : port.hostIp;
    const written = `${isIpv6(ip) ? `[${ip}]` : ip}:${port.hostPort}`;
    if (isIpv6(ip) && !this.#withIpv6) return { code: 'INVALID_ARGUMENT', text: onlyIpv4(written) };
    const bound = `failed to bind host port for ${written}:${port.containerPort}/${port.protocol}`;
    if (!this.#isOfThisNode(ip))
      return { code: 'INVALID_ARGUMENT', text: `${bound}: cannot assign requested address` };
    if (this.#isPublished(port))
      return { code: 'CONFLICT', text: `Bind for ${ip}:${port.hostPort} failed: port is already allocated` };
    if (this.#facts.isForeign(port)) return { code: 'CONFLICT', text: `${bound}: address already in use` };
    return undefined;
  }

  #isOfThisNode(ip: string): boolean {
    const { addresses, addresses6 } = this.#facts;
    if (everywhere(ip)) return true;
    if (isIpv6(ip)) return maybeNumber6(ip) !== undefined && (ip === '::1' || addresses6.includes(ip));
    return maybeNumber(ip) !== undefined && (ip.startsWith('127.') || addresses.includes(ip));
  }

  /** A container of this node has the port, or a service of the cluster publishes it on every node. */
  #isPublished(port: PortBinding): boolean {
    const others = [...this.#facts.sandboxes.values()].flatMap((sandbox) => sandbox.ports);
    if ([...others, ...this.chosen].some((other) => meets(port, other))) return true;
    for (const service of this.#facts.cluster?.services.values() ?? []) {
      for (const published of service.endpoint.ports) {
        const same = published.protocol === port.protocol && published.publishedPort === port.hostPort;
        if (same && published.publishMode === 'ingress') return true;
      }
    }
    return false;
  }
}

/** Addresses of the node that are asked for, as they are remembered. */
function hostIpsOf(asked: string, withIpv6: boolean): string[] {
  if (asked === '') return withIpv6 ? ['', EVERYWHERE6] : [''];
  if (asked === '0.0.0.0') return [''];
  const number = isIpv6(asked) ? maybeNumber6(asked) : undefined;
  return [number === undefined ? asked : address6Of(number)];
}

/** Nothing in the kernel turns IPv6 into IPv4. */
function onlyIpv4(written: string): string {
  return (
    `cannot map ${written} to an IPv4-only container: ` +
    'put it on a network with IPv6 (docker network create --ipv6), or publish at an IPv4 address'
  );
}

function cannotPublish(request: SandboxRequest, problem: Problem): ShoalError {
  const endpoint = `${request.names[0] ?? request.containerId} (${request.containerId})`;
  return new ShoalError(
    problem.code,
    `driver failed programming external connectivity on endpoint ${endpoint}: ${problem.text}`,
  );
}

function meets(a: PortBinding, b: PortBinding): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  if (isIpv6(a.hostIp) !== isIpv6(b.hostIp)) return false;
  return everywhere(a.hostIp) || everywhere(b.hostIp) || a.hostIp === b.hostIp;
}

/**
 * Whether a socket of the node itself has what a port is published at; resolvers at loopback addresses of their own
 * never meet one that is published everywhere. Of sockets of IPv6 it need not be known which address they have: one
 * that is there and in the way is in the way.
 */
export function meetsSocket(port: PortBinding, socket: { address: string; port: number }): boolean {
  if (socket.port !== port.hostPort) return false;
  if (isIpv6(port.hostIp)) return !socket.address.includes('.');
  if (socket.address === '0.0.0.0' || !socket.address.includes('.')) return true;
  if (everywhere(port.hostIp)) return !socket.address.startsWith('127.') || socket.address === '127.0.0.1';
  return socket.address === port.hostIp;
}
