/*
 * Everything that two daemons on one machine must call differently, derived from the instance's name. The default
 * instance ('') has the plain names.
 */

export interface InstanceNames {
  /** The nftables table, in the node's namespace and in every router's. */
  readonly table: string;
  readonly meshDevice: string;
  /** Device of the network `bridge`. */
  readonly defaultBridge: string;
  /** Interface group of everything that leads to containers, and of the mesh. */
  readonly insideGroup: number;
  readonly meshGroup: number;
  /** Interface group of links that are just being taken away. */
  readonly leavingGroup: number;
  /** Firewall mark of flows that came through node 0; the node's index is added. Also the number of its route table. */
  readonly markBase: number;
  /** First of three priorities of our policy rules. */
  readonly rulePriority: number;
}

/** Low bits of a mark: the index of a node. */
export const MARK_INDEX_BITS = 12;
const MARK = 0x5a000000;
const TAG_CHARS_MAX = 9;

export function instanceNames(instance: string): InstanceNames {
  const serial = instance === '' ? 0 : 1 + (hash(instance) % 4_095);
  const tag = tagOf(instance);
  return {
    table: tag === '' ? 'shoal' : `shoal-${tag}`,
    meshDevice: tag === '' ? 'shoal-mesh' : `mesh-${tag}`,
    defaultBridge: tag === '' ? 'shoal0' : `shoal-${tag}`,
    insideGroup: 77 + 256 * serial,
    meshGroup: 78 + 256 * serial,
    leavingGroup: 79 + 256 * serial,
    markBase: MARK + serial * 2 ** MARK_INDEX_BITS,
    rulePriority: 9_000 + 3 * serial,
  };
}

/** Short enough for a device's name (15 characters) behind `shoal-`. */
function tagOf(instance: string): string {
  if (instance.length <= TAG_CHARS_MAX && /^[a-z0-9-]*$/.test(instance)) return instance;
  return hash(instance).toString(16).padStart(8, '0');
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}

/** The node's end of a container's `gw0`. */
export function gatewayLink(containerId: string): string {
  return `g${containerId.slice(0, 12)}`;
}

/** The outer end (in a router, or on a bridge) of a container's `eth<number>`. */
export function outerLink(containerId: string, number: number): string {
  return `v${containerId.slice(0, 10)}-${number}`;
}

/** The name of the router's namespace of an overlay network. */
export function routerNamespace(networkId: string): string {
  return `net-${networkId}`;
}
