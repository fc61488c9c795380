import type { NetworkState } from '#proto/types/assignments.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import type { LocalNetwork } from '../node-network.ts';
import { contextOf, type NodeFacts, type PlanContext } from './context.ts';
import type { Fragment } from './fragment.ts';
import { isIpv6 } from './ipv6.ts';
import { localFragment } from './local.ts';
import { addressesFragment, nodeFragment, peerFragment } from './node.ts';
import { routerFragment } from './router.ts';
import { everywhere, sandboxFragment } from './sandbox.ts';
import type { SandboxRecord } from './sandbox-record.ts';
import { groupByService, portKey, type ServiceGroup, serviceFragment } from './services.ts';

/** All that the data plane of a node follows from. */
export interface PlanInput {
  readonly facts: NodeFacts;
  readonly cluster?: NetworkState;
  readonly sandboxes: ReadonlyMap<string, SandboxRecord>;
  readonly locals: ReadonlyMap<string, LocalNetwork>;
}

/**
 * The desired data plane. A fragment whose inputs are the same objects as before is the same object as before: what
 * did not change costs one comparison.
 */
export interface Plan {
  readonly context: PlanContext;
  readonly fragments: ReadonlyMap<string, Fragment>;
  readonly inputs: ReadonlyMap<string, readonly unknown[]>;
  readonly groups: { readonly of?: NetworkState; readonly byService: ReadonlyMap<string, ServiceGroup> };
}

/** The desired data plane for these inputs; `before` is the last one, for what can be kept of it. */
export function makePlan(input: PlanInput, before?: Plan): Plan {
  const { facts, cluster, sandboxes, locals } = input;
  const ipv6 = locals.values().some((network) => network.driver === 'bridge' && network.ipv6 !== undefined);
  const context = contextOf(facts, cluster, sandboxes.values(), before?.context, ipv6);
  const groups =
    before !== undefined && before.groups.of === cluster
      ? before.groups
      : { ...(cluster === undefined ? {} : { of: cluster }), byService: groupsOf(cluster) };
  const keeper = new Keeper(before);
  const peers = clusterPeers(cluster);
  keeper.add('node', [context], () => nodeFragment(context));
  keeper.add('addresses', [facts.addresses.join(), facts.dataPathAddr, cluster?.peers], () =>
    addressesFragment(facts.addresses, facts.dataPathAddr, peers),
  );
  for (const network of locals.values())
    keeper.add(`local:${network.id}`, [context, network], () => localFragment(context, network));
  for (const router of Object.values(context.routers))
    keeper.add(`network:${router.id}`, [context], () => routerFragment(context, router));
  for (const peer of peers)
    keeper.add(`peer:${peer.nodeId}`, [context, peer], () => peerFragment(context, peer));
  for (const sandbox of sandboxes.values()) {
    const used = sandbox.attachments.map((on) => locals.get(on.networkId));
    keeper.add(`sandbox:${sandbox.containerId}`, [context, sandbox, ...used], () =>
      sandboxFragment(context, locals, sandbox),
    );
  }
  addServices(keeper, context, groups.byService, claimedPorts(sandboxes.values()));
  return { context, fragments: keeper.fragments, inputs: keeper.inputs, groups };
}

function groupsOf(cluster: NetworkState | undefined): ReadonlyMap<string, ServiceGroup> {
  return cluster === undefined ? new Map() : groupByService(cluster);
}

function clusterPeers(cluster: NetworkState | undefined) {
  const peers = [...(cluster?.peers.values() ?? [])];
  return peers.filter((peer) => peer.nodeId !== cluster?.self.nodeId);
}

/** Ports that containers of this node have at every address: what came first keeps its port. */
function claimedPorts(sandboxes: Iterable<SandboxRecord>): Set<string> {
  const claimed = new Set<string>();
  for (const { ports } of sandboxes) {
    for (const port of ports)
      if (everywhere(port.hostIp) && !isIpv6(port.hostIp)) claimed.add(portKey(port.protocol, port.hostPort));
  }
  return claimed;
}

function addServices(
  keeper: Keeper,
  context: PlanContext,
  groups: ReadonlyMap<string, ServiceGroup>,
  claimed: Set<string>,
): void {
  for (const [id, group] of groups) {
    const ports = meshPorts(group, claimed);
    for (const port of ports) claimed.add(portKey(port.protocol, port.publishedPort));
    const portsText = ports.map((port) => portKey(port.protocol, port.publishedPort)).join();
    keeper.add(`service:${id}`, [context, group.service, portsText, ...group.endpoints], () =>
      serviceFragment(context, group, ports),
    );
  }
}

/** Ports that the service publishes on every node, as far as nobody here has them. */
function meshPorts(group: ServiceGroup, claimed: ReadonlySet<string>): PortConfig[] {
  return (group.service?.endpoint.ports ?? []).filter(
    (port) =>
      port.publishMode === 'ingress' &&
      (port.publishedPort ?? 0) > 0 &&
      !claimed.has(portKey(port.protocol, port.publishedPort)),
  );
}

/** Collects fragments, taking over those whose inputs are unchanged. */
class Keeper {
  readonly fragments = new Map<string, Fragment>();
  readonly inputs = new Map<string, readonly unknown[]>();
  readonly #before: Plan | undefined;

  constructor(before: Plan | undefined) {
    this.#before = before;
  }

  add(cause: string, inputs: readonly unknown[], make: () => Fragment): void {
    const known = this.#before?.inputs.get(cause);
    const kept = known !== undefined && sameInputs(known, inputs);
    this.inputs.set(cause, kept ? known : inputs);
    this.fragments.set(cause, kept ? (this.#before?.fragments.get(cause) as Fragment) : make());
  }
}

function sameInputs(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
