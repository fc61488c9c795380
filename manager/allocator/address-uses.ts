import type { NetworkId, TaskId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { isDead } from '#scheduler/slots.ts';
import { parseAddress } from './subnet.ts';

/** Addresses in one page of counters: they are given one after the other, and there may be many small networks. */
const PAGE_ADDRESSES = 256;
/** In one counter: those who have an address, and times this those who had it. */
const HAD = 2 ** 16;

/** What tasks have of the addresses of one network. */
export interface AddressUse {
  /** Whether a task that is not over has it. */
  isHeld(address: number): boolean;
  /** Whether a task that is over had it. */
  wasHeld(address: number): boolean;
  /** The address that was given last. */
  readonly newest: number | undefined;
}

/**
 * Who has which address, of all tasks: kept as tasks come, change and go, for to find it out costs a look at every task.
 * What a task has follows from its state: none while it is new, from then on the same ones for good.
 */
export class AddressUses {
  readonly #networks = new Map<NetworkId, Counters>();

  of(id: NetworkId): AddressUse | undefined {
    return this.#networks.get(id);
  }

  /** What a task was, if it was, and what it is now, if it still is. */
  change(before: Task | undefined, now: Task | undefined): void {
    const [was, is] = [before && weightOf(before), now && weightOf(now)];
    if (was === is) return;
    if (before !== undefined && was) this.#add(before, -was);
    if (now !== undefined && is) this.#add(now, is);
  }

  #add(task: Task, weight: number): void {
    for (const { networkId, addresses } of task.networks) {
      for (const text of addresses) {
        const address = parseAddress(text);
        if (address !== undefined) this.#countersOf(networkId).add(task, address, weight);
      }
    }
  }

  #countersOf(id: NetworkId): Counters {
    const counters = this.#networks.get(id) ?? new Counters();
    this.#networks.set(id, counters);
    return counters;
  }
}

/** How a task counts: 0 has no addresses, 1 has its addresses, HAD had them. */
function weightOf(task: Task): number {
  if (task.status.state === TaskState.New || task.networks.length === 0) return 0;
  return isDead(task) ? HAD : 1;
}

class Counters implements AddressUse {
  readonly #pages = new Map<number, Uint32Array>();
  #newestMs = -1;
  #newestId = '' as TaskId;
  newest: number | undefined;

  isHeld(address: number): boolean {
    return this.#count(address) % HAD > 0;
  }

  wasHeld(address: number): boolean {
    return this.#count(address) >= HAD;
  }

  add({ id, createdAtMs }: Task, address: number, weight: number): void {
    const number = Math.floor(address / PAGE_ADDRESSES);
    const page = this.#pages.get(number) ?? new Uint32Array(PAGE_ADDRESSES);
    this.#pages.set(number, page);
    page[address % PAGE_ADDRESSES] = this.#count(address) + weight;
    const isOlder = createdAtMs < this.#newestMs || (createdAtMs === this.#newestMs && id < this.#newestId);
    if (weight !== 1 || isOlder) return;
    this.#newestMs = createdAtMs;
    this.#newestId = id;
    this.newest = address;
  }

  #count(address: number): number {
    return this.#pages.get(Math.floor(address / PAGE_ADDRESSES))?.[address % PAGE_ADDRESSES] ?? 0;
  }
}
