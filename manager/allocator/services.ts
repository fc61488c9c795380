import type { NetworkId } from '#proto/types/ids.ts';
import type { Endpoint, Service, VirtualIp } from '#proto/types/objects.ts';
import { networkIdsOf, type PortConfig } from '#proto/types/specs.ts';
import type { Controller } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import { sameValue } from '../store/same.ts';
import type { StoreView } from '../store/view.ts';
import { AddressBook, type KnownAddresses } from './address-book.ts';
import { isOverlay, noFreeAddress, whyUnallocated } from './networks.ts';
import { choosePorts, readPorts } from './ports.ts';

/**
 * Services get their endpoint: a virtual address on each of their overlay networks, and on the ingress network when they
 * publish ports there; and the published ports nobody named. What a service has it keeps.
 */
export const services: Controller = {
  name: 'services',
  wakesOn: ['service', 'network'],
  plan(view, situation) {
    const endpoints = new Endpoints(view, situation.known);
    const changes: Change[] = [];
    for (const service of view.services.all()) {
      const look = service.endpoint === undefined || (situation.services?.has(service.id) ?? true);
      if (!look) continue;
      const endpoint = endpoints.choose(service);
      if (endpoint === undefined || typeof endpoint === 'string') continue;
      if (sameValue(endpoint, service.endpoint)) continue;
      changes.push({ kind: 'allocateService', serviceId: service.id, endpoint });
    }
    return { changes };
  },
};

/** Why a service has no endpoint yet; undefined when it has one. */
export function whyNoEndpoint(view: StoreView, service: Service, known?: KnownAddresses): string | undefined {
  if (service.endpoint !== undefined) return undefined;
  const endpoint = new Endpoints(view, known).choose(service);
  return typeof endpoint === 'string' ? endpoint : undefined;
}

/** Chooses endpoints, one after the other: what one service was given the next cannot have. */
class Endpoints {
  readonly #view: StoreView;
  readonly #addresses: AddressBook;
  #ports: ReturnType<typeof readPorts> | undefined;

  constructor(view: StoreView, known: KnownAddresses | undefined) {
    this.#view = view;
    this.#addresses = new AddressBook(view, known);
  }

  /** The endpoint that a service is to have, or why it cannot; undefined for a service that leaves without one. */
  choose(service: Service): Endpoint | string | undefined {
    // Its ports are free for others at once; its addresses only when nothing of it is left.
    if (service.pendingDelete) return service.endpoint && { ...service.endpoint, ports: [] };
    this.#ports ??= readPorts(this.#view);
    const ports = choosePorts(this.#ports, service);
    if (typeof ports === 'string') return ports;
    const mode = service.spec.endpoint?.mode ?? 'vip';
    const vips = mode === 'dnsrr' ? [] : this.#chooseVips(service, ports);
    if (typeof vips === 'string') return vips;
    this.#ports.record(service, ports);
    return { mode, ports, vips };
  }

  #chooseVips(service: Service, ports: readonly PortConfig[]): VirtualIp[] | string {
    const vips: VirtualIp[] = [];
    const given: VirtualIp[] = [];
    for (const networkId of this.#balancedNetworks(service, ports)) {
      const kept = this.#keptVip(service, networkId);
      const vip = kept ?? this.#takeVip(networkId);
      if (typeof vip === 'string') {
        for (const { networkId: from, addr } of given) this.#addresses.pool(from)?.giveBack(addr);
        return vip;
      }
      vips.push(vip);
      if (vip !== kept) given.push(vip);
    }
    return vips;
  }

  /** The ingress network first, then its own in the order asked. */
  #balancedNetworks({ spec }: Service, ports: readonly PortConfig[]): Set<NetworkId> {
    const published = ports.some((port) => port.publishMode === 'ingress');
    const ingress = published ? [...this.#view.networks.all()].filter((network) => network.spec.ingress) : [];
    const own = networkIdsOf(spec.task).flatMap((id) => this.#view.networks.get(id) ?? []);
    return new Set([...ingress.slice(0, 1), ...own].filter(isOverlay).map(({ id }) => id));
  }

  #keptVip({ endpoint }: Service, networkId: NetworkId): VirtualIp | undefined {
    const vip = endpoint?.vips.find((each) => each.networkId === networkId);
    return vip && this.#addresses.pool(networkId)?.includes(vip.addr) ? vip : undefined;
  }

  #takeVip(networkId: NetworkId): VirtualIp | string {
    const network = this.#view.networks.get(networkId);
    const why = network && whyUnallocated(this.#view, network);
    if (network === undefined || why !== undefined) return why ?? `network ${networkId} not found`;
    const addr = this.#addresses.pool(networkId)?.take();
    return addr === undefined ? noFreeAddress(network) : { networkId, addr };
  }
}
