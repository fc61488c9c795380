import { meetsConstraints, meetsPlatforms } from './constraints.ts';
import type { Demand } from './demand.ts';
import type { NodeLoad } from './node-load.ts';

/** One reason why a node may not be fit for a task. */
interface Filter {
  fits(load: NodeLoad, demand: Demand): boolean;
  /** Says that `nodes` nodes were not fit, in Swarm's words. */
  explain(nodes: number): string;
}

const ready: Filter = {
  fits: ({ node }) => node.status.state === 'ready' && node.spec.availability === 'active',
  explain: (nodes) => `${counted(nodes)} not available for new tasks`,
};

const resources: Filter = {
  fits: (load, demand) => load.hasRoomFor(demand.amounts),
  explain: (nodes) => `insufficient resources on ${counted(nodes)}`,
};

const constraints: Filter = {
  fits: ({ node }, demand) => meetsConstraints(node, demand.constraints),
  explain: (nodes) => `scheduling constraints not satisfied on ${counted(nodes)}`,
};

const platforms: Filter = {
  fits: ({ node }, demand) => meetsPlatforms(node, demand.platforms),
  explain: (nodes) => `unsupported platform on ${counted(nodes)}`,
};

const hostPorts: Filter = {
  fits: (load, demand) => load.hasPortsFree(demand.hostPorts),
  explain: (nodes) => `host-mode port already in use on ${counted(nodes)}`,
};

const maxReplicas: Filter = {
  fits: (load, demand) => demand.maxReplicas === 0 || load.tasksOf(demand.serviceId) < demand.maxReplicas,
  explain: () => 'max replicas per node limit exceed',
};

/** In the order asked: the first that says no is the reason given. */
const FILTERS: readonly Filter[] = [ready, resources, constraints, platforms, hostPorts, maxReplicas];

function counted(nodes: number): string {
  return nodes === 1 ? '1 node' : `${nodes} nodes`;
}

/** Whether a task with this demand may go to a node as it is now. */
export function fits(load: NodeLoad, demand: Demand): boolean {
  return FILTERS.every((filter) => filter.fits(load, demand));
}

/**
 * Why none of these nodes took a task: `no suitable node (insufficient resources on 2 nodes; …)`, the commonest reason
 * first.
 */
export function explain(loads: readonly NodeLoad[], demand: Demand): string {
  const counts = new Map(FILTERS.map((filter) => [filter, 0]));
  for (const load of loads) {
    const reason = FILTERS.find((filter) => !filter.fits(load, demand));
    if (reason !== undefined) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const reasons = [...counts]
    .filter(([, nodes]) => nodes > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([filter, nodes]) => filter.explain(nodes));
  return reasons.length === 0 ? 'no suitable node' : `no suitable node (${reasons.join('; ')})`;
}
