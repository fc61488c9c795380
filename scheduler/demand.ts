import type { ServiceId } from '#proto/types/ids.ts';
import type { Revision } from '#proto/types/objects.ts';
import type { GenericResource, Platform, PortConfig, Resources } from '#proto/types/specs.ts';
import { type Constraint, parseConstraints } from './constraints.ts';

/** What every task of one revision asks of its node. */
export interface Demand {
  readonly serviceId: ServiceId;
  readonly specVersion: number;
  readonly amounts: Amounts;
  readonly constraints: readonly Constraint[];
  readonly platforms: readonly Platform[];
  /** `tcp/80`: ports of the node that no two of its tasks can have. */
  readonly hostPorts: readonly string[];
  /** Tasks of the service on one node; 0 = any number. */
  readonly maxReplicas: number;
  /** Labels to spread over, e.g. `node.labels.zone`, the first one first. */
  readonly preferences: readonly string[];
}

/** Amounts of what nodes have, by name: nanoCpus, memoryBytes, and generic resources by their kind. */
export type Amounts = ReadonlyMap<string, number>;

const NANO_CPUS = 'nano-cpus';
const MEMORY_BYTES = 'memory-bytes';
const GENERIC = 'generic/';

/** Reads a revision once, for all of its tasks. */
export function demandOf(revision: Revision): Demand {
  const placement = revision.task.placement;
  return {
    serviceId: revision.serviceId,
    specVersion: revision.specVersion,
    amounts: amountsOf(revision.task.resources?.reservations),
    constraints: parseConstraints(placement?.constraints ?? []),
    platforms: placement?.platforms ?? [],
    hostPorts: hostPortsOf(revision.ports),
    maxReplicas: placement?.maxReplicas ?? 0,
    preferences: placement?.preferences ?? [],
  };
}

/** Resources as amounts; a named generic resource is one of its kind. */
export function amountsOf(resources: Resources | undefined): Amounts {
  const amounts = new Map<string, number>();
  const add = (name: string, amount: number | undefined): void => {
    if (amount) amounts.set(name, (amounts.get(name) ?? 0) + amount);
  };
  add(NANO_CPUS, resources?.nanoCpus);
  add(MEMORY_BYTES, resources?.memoryBytes);
  for (const generic of resources?.generic ?? []) add(GENERIC + generic.kind, countOf(generic));
  return amounts;
}

function countOf(generic: GenericResource): number {
  return 'named' in generic ? 1 : generic.count;
}

function hostPortsOf(ports: readonly PortConfig[] | undefined): string[] {
  return (ports ?? [])
    .filter((port) => port.publishMode === 'host' && port.publishedPort)
    .map((port) => `${port.protocol}/${port.publishedPort}`);
}
