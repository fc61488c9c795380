/*
 * The mesh: how published ports reach a task on another node. Managers give every node a small index; from it both
 * sides derive the same addresses, so only the index travels.
 */

/** A node owns 2^12 mesh addresses: 16 for itself, 16 for each of up to 255 containers. */
const NODE_BITS = 12;
/** Ingress buckets: a task has one mesh address for each, so that flows through different nodes never meet. */
export const MESH_BUCKETS = 16;
/** Containers with mesh addresses on one node; slot 0 is the node itself. */
export const MESH_SLOTS_MAX = 255;

/** Highest node index that fits the pool, e.g. 1,023 in 100.64.0.0/10 (index 0 is not used). */
export function meshIndexMax(pool: string): number {
  const bits = Number(pool.split('/')[1]);
  return 2 ** (32 - bits - NODE_BITS) - 1;
}

/** First address of the node's own /20, as CIDR. */
export function meshSubnet(pool: string, index: number): string {
  return `${fromNumber(meshBase(pool, index))}/${32 - NODE_BITS}`;
}

/** The node's own mesh address. */
export function meshNodeAddress(pool: string, index: number): string {
  return fromNumber(meshBase(pool, index) + 1);
}

/** First of the 16 addresses of the container in `slot` (1 to MESH_SLOTS_MAX) of a node. */
export function meshContainerAddress(pool: string, index: number, slot: number): string {
  return fromNumber(meshBase(pool, index) + slot * MESH_BUCKETS);
}

/** The address of a container for TCP that came in through the node with `ingressIndex`; UDP uses the first one. */
export function meshBucketAddress(containerAddress: string, ingressIndex: number): string {
  return fromNumber(toNumber(containerAddress) + (ingressIndex % MESH_BUCKETS));
}

/** The MAC of a node's VXLAN devices: 02:5a and its data path address. */
export function vtepMac(dataPathAddr: string): string {
  return [
    '02',
    '5a',
    ...dataPathAddr.split('.').map((part) => Number(part).toString(16).padStart(2, '0')),
  ].join(':');
}

function meshBase(pool: string, index: number): number {
  return toNumber(pool.split('/')[0] as string) + index * 2 ** NODE_BITS;
}

/** An IPv4 address as a number. */
function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function fromNumber(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
