import type { LocalNetwork } from '../node-network.ts';
import type { MeshContext } from './context.ts';
import { bare } from './ipv4.ts';
import { meshAddressOf } from './sandbox.ts';
import type { AttachmentRecord, SandboxRecord } from './sandbox-record.ts';
import { activeAddresses, addressesOn, type ServiceGroup, virtualAddress } from './services.ts';

export interface DirectoryInput {
  readonly groups: ReadonlyMap<string, ServiceGroup>;
  readonly sandboxes: ReadonlyMap<string, SandboxRecord>;
  readonly locals: ReadonlyMap<string, LocalNetwork>;
  readonly mesh?: MeshContext;
}

/** Names of one network. */
class NetworkNames {
  readonly addresses = new Map<string, Set<string>>();
  readonly names = new Map<string, string>();

  add(name: string, addresses: readonly string[]): void {
    if (name === '') return;
    const key = name.toLowerCase();
    const known = this.addresses.get(key) ?? new Set();
    for (const address of addresses) known.add(address);
    this.addresses.set(key, known);
  }

  /** The name that an address is given back as. */
  call(address: string, name: string | undefined): void {
    if (name !== undefined && !this.names.has(address)) this.names.set(address, name);
  }
}

/**
 * Who is called what, as each container sees it: names belong to networks, and a container sees those of its own.
 * A value: the names of a network are worked out when they are first asked for.
 */
export class Directory {
  readonly #input: DirectoryInput;
  readonly #askers = new Map<string, SandboxRecord>();
  readonly #networks = new Map<string, NetworkNames>();

  constructor(input: DirectoryInput) {
    this.#input = input;
    for (const sandbox of input.sandboxes.values()) {
      const exit = meshAddressOf(input.mesh, sandbox);
      const sources = exit === undefined ? sandbox.attachments.map((on) => bare(on.address)) : [exit];
      for (const source of sources) this.#askers.set(source, sandbox);
    }
  }

  /** The container that a question from this address is asked by. */
  asker(source: string): SandboxRecord | undefined {
    return this.#askers.get(source);
  }

  /** Addresses of a name, none when it has none now; undefined when nobody is called so. */
  addressesOf(asker: SandboxRecord, name: string): readonly string[] | undefined {
    const wanted = name.toLowerCase();
    for (const on of asker.attachments) {
      const { addresses } = this.#namesOf(on.networkId);
      const lookUp = (asked: string) => addresses.get(on.links?.[asked] ?? asked);
      const found = lookUp(wanted) ?? lookUp(withoutSuffix(wanted, this.#networkName(on)));
      if (found !== undefined) return [...found];
    }
    return undefined;
  }

  /** `name.network` of an address. */
  nameOf(asker: SandboxRecord, address: string): string | undefined {
    for (const on of asker.attachments) {
      const name = this.#namesOf(on.networkId).names.get(address);
      if (name !== undefined) return `${name}.${this.#networkName(on)}`;
    }
    return undefined;
  }

  /** Whether all networks of the container are internal: names from outside are no use to it. */
  isInside(asker: SandboxRecord): boolean {
    const { locals } = this.#input;
    return (
      asker.attachments.length > 0 &&
      asker.attachments.every((on) => on.overlay?.internal ?? locals.get(on.networkId)?.internal ?? false)
    );
  }

  #networkName(on: AttachmentRecord): string {
    return on.overlay?.name ?? this.#input.locals.get(on.networkId)?.name ?? on.networkId;
  }

  #namesOf(networkId: string): NetworkNames {
    const known = this.#networks.get(networkId) ?? this.#workOut(networkId);
    this.#networks.set(networkId, known);
    return known;
  }

  #workOut(networkId: string): NetworkNames {
    const names = new NetworkNames();
    const local = this.#input.locals.get(networkId);
    // Docker's default bridge has no names.
    if (local?.name === 'bridge') return names;
    const known = new Set<string>();
    for (const group of this.#input.groups.values()) addGroup(names, networkId, group, known);
    for (const sandbox of this.#input.sandboxes.values()) {
      for (const on of sandbox.attachments) {
        const address = bare(on.address);
        if (on.networkId !== networkId || known.has(address)) continue;
        const all = [address, ...(on.ipv6 ? [bare(on.ipv6.address)] : [])];
        for (const name of [...sandbox.names, ...on.aliases]) names.add(name, all);
        names.call(address, sandbox.names[0]);
      }
    }
    return names;
  }
}

/** `web.backend` is `web`, on the network `backend`. */
function withoutSuffix(name: string, network: string): string {
  const suffix = `.${network.toLowerCase()}`;
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/** A service, its tasks together, and each of them. */
function addGroup(names: NetworkNames, networkId: string, group: ServiceGroup, known: Set<string>): void {
  const { service, endpoints } = group;
  const here = endpoints.filter((endpoint) => addressesOn(networkId, endpoint.networks).length > 0);
  for (const endpoint of here) {
    const addresses = addressesOn(networkId, endpoint.networks);
    for (const name of endpoint.names) names.add(name, addresses);
    for (const address of addresses) {
      known.add(address);
      names.call(address, endpoint.names[0]);
    }
  }
  const vip = virtualAddress(networkId, service);
  if (service === undefined || (vip === undefined && here.length === 0)) return;
  const active = activeAddresses(networkId, here);
  const targets = vip === undefined ? active : [vip];
  names.add(`tasks.${service.name}`, active);
  names.add(service.name, targets);
  for (const alias of aliasesOf(networkId, group)) names.add(alias, targets);
  if (vip !== undefined) names.call(vip, service.name);
}

/** Other names of a service on a network, as its tasks carry them. */
function aliasesOf(networkId: string, group: ServiceGroup): Set<string> {
  const attachments = group.endpoints.flatMap((endpoint) => endpoint.networks);
  return new Set(attachments.filter((on) => on.networkId === networkId).flatMap((on) => on.aliases ?? []));
}
