import { ShoalError } from '#proto/base/errors.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import type { Service } from '#proto/types/objects.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import type { StoreView } from '../store/view.ts';

/** Published ports that nobody asked for by number come from here. */
const PORT_MIN = 30_000;
const PORT_MAX = 32_767;

/**
 * Refuses published ports that another service has: an ingress port belongs to one service on all nodes, a port of the
 * nodes themselves may be shared by services that are placed apart.
 * ShoalError INVALID_ARGUMENT in Swarm's words.
 */
export function checkPublishedPorts(
  view: StoreView,
  ports: readonly PortConfig[],
  serviceId?: ServiceId,
): void {
  const book = new PortBook();
  for (const service of view.services.all()) {
    if (service.pendingDelete) continue;
    book.record(service, service.spec.endpoint?.ports ?? []);
    book.record(service, service.endpoint?.ports ?? []);
  }
  const message = book.conflict(ports, serviceId);
  if (message !== undefined) throw new ShoalError('INVALID_ARGUMENT', message);
}

/** The published ports that are given, and whose they are. */
export function readPorts(view: StoreView): PortBook {
  const book = new PortBook();
  for (const service of view.services.all()) book.record(service, service.endpoint?.ports ?? []);
  return book;
}

interface Holder {
  readonly service: Service;
  readonly mode: PortConfig['publishMode'];
}

export class PortBook {
  readonly #holders = new Map<string, Holder[]>();

  record(service: Service, ports: readonly PortConfig[]): void {
    for (const port of ports) {
      if (!port.publishedPort) continue;
      const key = keyOf(port, port.publishedPort);
      const holder = { service, mode: port.publishMode };
      this.#holders.set(key, [...(this.#holders.get(key) ?? []), holder]);
    }
  }

  /** Why a service cannot have these ports, in Swarm's words; undefined when it can. */
  conflict(ports: readonly PortConfig[], serviceId?: ServiceId): string | undefined {
    for (const port of ports) {
      const holder = port.publishedPort && this.#holderAgainst(port, port.publishedPort, serviceId);
      if (!holder) continue;
      const { id, spec } = holder.service;
      const kind = holder.mode === 'ingress' ? 'an ingress port' : 'a host-published port';
      return `port '${port.publishedPort}' is already in use by service '${spec.name}' (${id}) as ${kind}`;
    }
    return undefined;
  }

  isFree(port: PortConfig, publishedPort: number, serviceId: ServiceId): boolean {
    return this.#holderAgainst(port, publishedPort, serviceId) === undefined;
  }

  /** Two host-mode ports are the scheduler's business: it keeps them on different nodes. */
  #holderAgainst(port: PortConfig, publishedPort: number, serviceId?: ServiceId): Holder | undefined {
    return this.#holders
      .get(keyOf(port, publishedPort))
      ?.find(
        ({ service, mode }) =>
          service.id !== serviceId && (mode === 'ingress' || port.publishMode === 'ingress'),
      );
  }
}

/**
 * The ports of a service with every ingress port chosen: as asked, else the one it had before, else the lowest free one.
 * A text says why that cannot be.
 */
export function choosePorts(book: PortBook, service: Service): readonly PortConfig[] | string {
  const asked = service.spec.endpoint?.ports ?? [];
  const conflict = book.conflict(asked, service.id);
  if (conflict !== undefined) return conflict;
  const had = [...(service.endpoint?.ports ?? [])];
  const own = new Set(asked.map((port) => keyOf(port, port.publishedPort ?? 0)));
  const isFree = (port: PortConfig, number: number): boolean =>
    !own.has(keyOf(port, number)) && book.isFree(port, number, service.id);
  const chosen: PortConfig[] = [];
  for (const port of asked) {
    if (port.publishMode === 'host' || port.publishedPort) {
      chosen.push(port);
      continue;
    }
    const publishedPort = takeEarlier(had, port, isFree) ?? freePort(port, isFree);
    if (publishedPort === undefined)
      return `no free ${port.protocol} port between ${PORT_MIN} and ${PORT_MAX} is left to publish`;
    own.add(keyOf(port, publishedPort));
    chosen.push({ ...port, publishedPort });
  }
  return chosen;
}

type IsFree = (port: PortConfig, number: number) => boolean;

/** What was chosen for the same port before: it stays over updates. */
function takeEarlier(had: PortConfig[], port: PortConfig, isFree: IsFree): number | undefined {
  const at = had.findIndex(
    (earlier) =>
      earlier.publishMode === port.publishMode &&
      earlier.protocol === port.protocol &&
      earlier.targetPort === port.targetPort &&
      earlier.name === port.name &&
      !!earlier.publishedPort &&
      isFree(port, earlier.publishedPort),
  );
  return at < 0 ? undefined : had.splice(at, 1)[0]?.publishedPort;
}

function freePort(port: PortConfig, isFree: IsFree): number | undefined {
  for (let number = PORT_MIN; number <= PORT_MAX; number++) if (isFree(port, number)) return number;
  return undefined;
}

function keyOf({ protocol }: PortConfig, publishedPort: number): string {
  return `${protocol}/${publishedPort}`;
}
