import type { NetworkId } from '#proto/types/ids.ts';
import type { Network, Task } from '#proto/types/objects.ts';
import type { IpamConfig, LabelMap } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { isDead } from '#scheduler/slots.ts';
import type { StoreView } from '../store/view.ts';
import type { AddressUse, AddressUses } from './address-uses.ts';
import { isIpv4, subnetOf } from './networks.ts';
import { type AddressRange, formatAddress, parseAddress, parseSubnet } from './subnet.ts';

/** What is known of the addresses that tasks have, up to a version of the view. */
export interface KnownAddresses {
  readonly version: number;
  readonly addresses: Pick<AddressUses, 'of'>;
}

/**
 * Who has which address: one is free when no task that is not over, no virtual address and no gateway has it. Made anew for
 * each plan, and only when somebody asks; without `known` by a look at every task.
 */
export class AddressBook {
  readonly #view: StoreView;
  readonly #known: KnownAddresses | undefined;
  #pools: ReadonlyMap<NetworkId, AddressPool> | undefined;

  constructor(view: StoreView, known?: KnownAddresses) {
    this.#view = view;
    this.#known = known;
  }

  /** The addresses of an allocated overlay network. */
  pool(id: NetworkId): AddressPool | undefined {
    this.#pools ??= poolsOf(this.#view, this.#known);
    return this.#pools.get(id);
  }
}

/** A pool for each network; who has which address is looked up when the first one is to be taken. */
function poolsOf(view: StoreView, known: KnownAddresses | undefined): ReadonlyMap<NetworkId, AddressPool> {
  const pools = new Map<NetworkId, AddressPool>();
  let isFilled = false;
  const fill = (): void => {
    if (!isFilled) noteHolders(view, pools, known);
    isFilled = true;
  };
  for (const network of view.networks.all()) {
    const subnet = subnetOf(network);
    if (subnet !== undefined)
      pools.set(network.id, new AddressPool(network, subnet, fill, known?.addresses.of(network.id)));
  }
  return pools;
}

function noteHolders(
  view: StoreView,
  pools: ReadonlyMap<NetworkId, AddressPool>,
  known: KnownAddresses | undefined,
): void {
  for (const service of view.services.all()) {
    for (const { networkId, addr } of service.endpoint?.vips ?? []) pools.get(networkId)?.hold(addr);
  }
  for (const task of known === undefined ? view.tasks.all() : tasksSince(view, known)) {
    for (const { networkId, addresses } of task.networks) {
      for (const address of addresses) pools.get(networkId)?.note(task, address);
    }
  }
}

/** Tasks that got their addresses after what is known: they have come no further yet. */
function tasksSince(view: StoreView, { version }: KnownAddresses): Task[] {
  const early = [TaskState.Pending, TaskState.Assigned].flatMap((state) => view.tasks.unsettled(state));
  return early.filter((task) => task.version > version);
}

/** The addresses of one network: each given once, those free for longest first as far as can be told. */
export class AddressPool {
  readonly #usable: AddressRange;
  readonly #prefixBits: number;
  readonly #held = new Set<number>();
  /** Free, but some connection may still remember who had it. */
  readonly #usedLately = new Set<number>();
  #newest: Task | undefined;
  /** Where the search goes on: behind the address given last. */
  #next: number;

  readonly #fill: () => void;
  readonly #known: AddressUse | undefined;

  /**
   * `fill` notes everybody who has an address and is not known, in all pools; it is called before the first one is taken.
   */
  constructor(network: Network, subnet: AddressRange, fill: () => void, known?: AddressUse) {
    this.#fill = fill;
    this.#known = known;
    const config = network.ipam?.find(isIpv4);
    this.#prefixBits = subnet.prefixBits;
    this.#usable = usableRange(config, subnet);
    this.#next = known?.newest === undefined ? this.#usable.first : known.newest + 1;
    // The first and the last address of a subnet are nobody's.
    for (const address of [subnet.first, subnet.last]) this.#held.add(address);
    for (const address of reserved(config)) this.hold(address);
  }

  /** Somebody has this address, with or without a prefix length. */
  hold(address: string): void {
    const value = parseAddress(address);
    if (value !== undefined) this.#held.add(value);
  }

  /** A task has, or had, this address. */
  note(task: Task, address: string): void {
    const value = parseAddress(address);
    if (value === undefined) return;
    (isDead(task) ? this.#usedLately : this.#held).add(value);
    if (this.#newest !== undefined && compareMade(this.#newest, task) > 0) return;
    this.#newest = task;
    this.#next = value + 1;
  }

  /** Takes a free address, as CIDR; undefined when there is none. */
  take(): string | undefined {
    this.#fill();
    const free = this.#find((address) => !this.#wasUsedLately(address)) ?? this.#find(() => true);
    if (free === undefined) return undefined;
    this.#held.add(free);
    this.#next = free + 1;
    return `${formatAddress(free)}/${this.#prefixBits}`;
  }

  /** Gives back what `take` gave. */
  giveBack(address: string): void {
    const value = parseAddress(address);
    if (value !== undefined) this.#held.delete(value);
  }

  /** Whether an address given before still is one of this network's. */
  includes(address: string): boolean {
    const value = parseAddress(address);
    return value !== undefined && value >= this.#usable.first && value <= this.#usable.last;
  }

  #isHeld(address: number): boolean {
    return this.#held.has(address) || (this.#known?.isHeld(address) ?? false);
  }

  #wasUsedLately(address: number): boolean {
    return this.#usedLately.has(address) || (this.#known?.wasHeld(address) ?? false);
  }

  #find(suits: (address: number) => boolean): number | undefined {
    const { first, last } = this.#usable;
    const start = this.#next >= first && this.#next <= last ? this.#next : first;
    for (let address = start; address <= last; address++)
      if (!this.#isHeld(address) && suits(address)) return address;
    for (let address = first; address < start; address++)
      if (!this.#isHeld(address) && suits(address)) return address;
    return undefined;
  }
}

function usableRange(config: IpamConfig | undefined, subnet: AddressRange): AddressRange {
  return (config?.range === undefined ? undefined : parseSubnet(config.range)) ?? subnet;
}

function reserved(config: IpamConfig | undefined): string[] {
  const auxiliary: LabelMap = config?.auxiliary ?? {};
  return [...(config?.gateway === undefined ? [] : [config.gateway]), ...Object.values(auxiliary)];
}

function compareMade(a: Task, b: Task): number {
  return a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1);
}
