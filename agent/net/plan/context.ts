import type { NetworkInfo, NetworkState } from '#proto/types/assignments.ts';
import { meshNodeAddress, vtepMac } from '#proto/types/mesh.ts';
import { bare, maybeNumber } from './ipv4.ts';
import type { InstanceNames } from './names.ts';
import { MARK_INDEX_BITS } from './names.ts';
import type { SandboxRecord } from './sandbox-record.ts';

/** A VXLAN header, and the IP, UDP and Ethernet headers around it. */
const VXLAN_BYTES = 50;
/** Swarm's own. */
const DATA_PATH_PORT = 4_789;
const MTU_OPTION = 'com.docker.network.driver.mtu';

/** What the node is, whatever it runs. */
export interface NodeFacts {
  readonly names: InstanceNames;
  /** Directory of the files that namespaces are bound to. */
  readonly netnsDir: string;
  /** Path by which other programs find the node's own namespace. */
  readonly ownNetns: string;
  /** Port at 127.0.0.11 that the resolver got; containers see 53 in any case. */
  readonly resolverPort: number;
  /** Where this node's VXLAN packets come from; absent while it is in no cluster. */
  readonly dataPathAddr?: string;
  /** All addresses of the node, without those of its bridges. */
  readonly addresses: readonly string[];
  /** MTU of the device that has `dataPathAddr`. */
  readonly lanMtu: number;
}

/** The node's place in the mesh. */
export interface MeshContext {
  readonly index: number;
  readonly pool: string;
  readonly port: number;
  /** The node's own mesh address. */
  readonly address: string;
  /** MAC of its VXLAN devices. */
  readonly mac: string;
  readonly local: string;
  readonly mtu: number;
}

/** An overlay network that a container of this node is on. */
export interface RouterContext {
  readonly id: string;
  readonly vni: number;
  readonly subnet: string;
  readonly gateway: string;
  readonly mtu: number;
}

/** What many fragments depend on; small, and the same object as long as nothing in it changes. */
export interface PlanContext {
  readonly names: InstanceNames;
  readonly netnsDir: string;
  readonly ownNetns: string;
  readonly resolverPort: number;
  /** A bridge of this machine has IPv6. */
  readonly ipv6: boolean;
  readonly mesh?: MeshContext;
  /** By network id. */
  readonly routers: Readonly<Record<string, RouterContext>>;
  /** Mesh index of every peer, by node id. */
  readonly peers: Readonly<Record<string, number>>;
}

/** The context of these inputs, or `before` itself when nothing in it changed. */
export function contextOf(
  facts: NodeFacts,
  cluster: NetworkState | undefined,
  sandboxes: Iterable<SandboxRecord>,
  before?: PlanContext,
  ipv6 = false,
): PlanContext {
  const mesh = meshOf(facts, cluster);
  const now: PlanContext = {
    names: facts.names,
    netnsDir: facts.netnsDir,
    ownNetns: facts.ownNetns,
    resolverPort: facts.resolverPort,
    ipv6,
    ...(mesh === undefined ? {} : { mesh }),
    routers: mesh === undefined ? {} : routersOf(facts, cluster, sandboxes),
    peers: mesh === undefined ? {} : peerIndexes(cluster),
  };
  return JSON.stringify(now) === JSON.stringify(before) ? (before as PlanContext) : now;
}

function meshOf(facts: NodeFacts, cluster: NetworkState | undefined): MeshContext | undefined {
  if (cluster === undefined || facts.dataPathAddr === undefined) return undefined;
  const { meshIndex, meshPool, dataPathPort } = cluster.self;
  if (meshIndex <= 0 || meshIndex >= 2 ** MARK_INDEX_BITS) return undefined;
  if (maybeNumber(facts.dataPathAddr) === undefined) return undefined;
  return {
    index: meshIndex,
    pool: meshPool,
    port: dataPathPort || DATA_PATH_PORT,
    address: meshNodeAddress(meshPool, meshIndex),
    mac: vtepMac(facts.dataPathAddr),
    local: facts.dataPathAddr,
    mtu: facts.lanMtu - VXLAN_BYTES,
  };
}

/** Routers of the networks that sandboxes are on; a network that the managers forgot already lives on with its last. */
function routersOf(
  facts: NodeFacts,
  cluster: NetworkState | undefined,
  sandboxes: Iterable<SandboxRecord>,
): Record<string, RouterContext> {
  const routers = new Map<string, RouterContext>();
  for (const sandbox of sandboxes) {
    for (const { networkId, overlay } of sandbox.attachments) {
      if (overlay === undefined || routers.has(networkId)) continue;
      const info = cluster?.networks.get(overlay.id) ?? overlay;
      if (maybeNumber(info.gateway) === undefined || maybeNumber(bare(info.subnet)) === undefined) continue;
      routers.set(networkId, routerContext(facts, info));
    }
  }
  return Object.fromEntries([...routers].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function routerContext(facts: NodeFacts, info: NetworkInfo): RouterContext {
  return {
    id: info.id,
    vni: info.vni,
    subnet: info.subnet,
    gateway: info.gateway,
    mtu: Number(info.options?.[MTU_OPTION]) || facts.lanMtu - VXLAN_BYTES,
  };
}

function peerIndexes(cluster: NetworkState | undefined): Record<string, number> {
  const indexes = [...(cluster?.peers.values() ?? [])]
    .filter(
      (peer) =>
        peer.nodeId !== cluster?.self.nodeId &&
        peer.meshIndex > 0 &&
        maybeNumber(peer.dataPathAddr) !== undefined,
    )
    .map((peer) => [peer.nodeId, peer.meshIndex] as const);
  return Object.fromEntries(indexes.sort(([a], [b]) => (a < b ? -1 : 1)));
}
