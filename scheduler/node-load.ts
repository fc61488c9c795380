import { revisionKey } from '#proto/types/assignments.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import type { Node } from '#proto/types/objects.ts';
import { type Amounts, amountsOf, type Demand } from './demand.ts';
import type { NodeUse } from './node-uses.ts';

const UNUSED: NodeUse = { tasks: 0, taken: new Map(), hostPorts: new Map() };

/** One node with all that its tasks take. Changes with every task that is placed. */
export class NodeLoad {
  readonly node: Node;
  readonly #free: Map<string, number>;
  readonly #tasksOf = new Map<ServiceId, number>();
  readonly #hostPorts = new Set<string>();
  readonly #failures = new Map<string, number>();
  #tasks: number;

  constructor(node: Node, use: NodeUse = UNUSED) {
    this.node = node;
    this.#free = new Map(amountsOf(node.description?.resources));
    for (const [name, amount] of use.taken) this.#take(name, amount);
    for (const port of use.hostPorts.keys()) this.#hostPorts.add(port);
    this.#tasks = use.tasks;
  }

  /** Active tasks; of the service that is being placed, one that another takes over from is not counted. */
  get tasks(): number {
    return this.#tasks;
  }

  tasksOf(serviceId: ServiceId): number {
    return this.#tasksOf.get(serviceId) ?? 0;
  }

  failuresOf(demand: Demand): number {
    return this.#failures.get(revisionKey(demand.serviceId, demand.specVersion)) ?? 0;
  }

  hasRoomFor(amounts: Amounts): boolean {
    for (const [name, amount] of amounts) if ((this.#free.get(name) ?? 0) < amount) return false;
    return true;
  }

  hasPortsFree(ports: readonly string[]): boolean {
    return ports.every((port) => !this.#hostPorts.has(port));
  }

  /** A task that has not ended: it holds what it reserved. */
  reserve(demand: Demand): void {
    for (const [name, amount] of demand.amounts) this.#take(name, amount);
    for (const port of demand.hostPorts) this.#hostPorts.add(port);
  }

  /** One task more, or one less, that is to run here for some time to come. */
  countTask(by: 1 | -1): void {
    this.#tasks += by;
  }

  /** Of these tasks one is of this service. */
  countOf(serviceId: ServiceId): void {
    this.#tasksOf.set(serviceId, this.tasksOf(serviceId) + 1);
  }

  /** A task of this revision failed here a short while ago. */
  noteFailure(serviceId: ServiceId, specVersion: number): void {
    const key = revisionKey(serviceId, specVersion);
    this.#failures.set(key, (this.#failures.get(key) ?? 0) + 1);
  }

  /** What is left, below zero where tasks take more than the node has. */
  isOvercommitted(): boolean {
    return [...this.#free.values()].some((amount) => amount < 0);
  }

  #take(name: string, amount: number): void {
    this.#free.set(name, (this.#free.get(name) ?? 0) - amount);
  }
}
