import { readFile } from 'node:fs/promises';
import { attempt, run } from './run.ts';

/** The network that the nodes of a local cluster are on: a bridge of the host, one address of which is the host's own. */
export interface Lan {
  /** Bridge device on the host. */
  readonly bridge: string;
  /** First three parts of a /24, e.g. 10.90.0. */
  readonly prefix: string;
}

const HOST_PART = 254;
const MTU = 1500;

/** The host's own address on the network: where the nodes see requests from outside come from. */
export function hostAddress(lan: Lan): string {
  return `${lan.prefix}.${HOST_PART}`;
}

/** Address of the node with this number, from 1. */
export function nodeAddress(lan: Lan, number: number): string {
  return `${lan.prefix}.${number}`;
}

/** A bridge name of at most 15 characters for a cluster. */
export function bridgeName(cluster: string): string {
  return `shl-${cluster}`.slice(0, 15);
}

/** Makes the bridge with a /24 that this machine has no route into yet. */
export async function openLan(cluster: string): Promise<Lan> {
  const lan = { bridge: bridgeName(cluster), prefix: await freePrefix() };
  const commands = [
    `link add dev ${lan.bridge} mtu ${MTU} type bridge`,
    `addr add ${hostAddress(lan)}/24 dev ${lan.bridge}`,
    `link set dev ${lan.bridge} up`,
  ];
  await run(['ip', '-batch', '-'], commands.join('\n'));
  return lan;
}

export async function closeLan(lan: Pick<Lan, 'bridge'>): Promise<void> {
  await attempt(['ip', 'link', 'del', 'dev', lan.bridge]);
}

async function freePrefix(): Promise<string> {
  const taken = new Set(routesOf(await readFile('/proc/net/route', 'utf8')));
  for (let second = 90; second < 120; second++) {
    const prefix = `10.${second}.0`;
    if (!taken.has(prefix)) return prefix;
  }
  throw new Error(
    'no free network for a local cluster: 10.90.0.0/24 to 10.119.0.0/24 all have routes on this machine',
  );
}

/** First three parts of every destination of the routing table (hexadecimal, least significant byte first). */
function routesOf(table: string): string[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t')[1])
    .filter((destination) => destination !== undefined)
    .map((hex) => [6, 4, 2].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.'));
}

/** Network namespace of a node, as `ip netns` shows it. */
export function namespaceOf(cluster: string, node: string): string {
  return `shoal-${cluster}-${node}`;
}

/** Makes the node's network namespace with one interface on the bridge. */
export async function addNode(lan: Lan, cluster: string, node: string, number: number): Promise<void> {
  const namespace = namespaceOf(cluster, node);
  const port = portOf(lan, number);
  await run(['ip', 'netns', 'add', namespace]);
  const host = [
    `link add dev ${port} mtu ${MTU} type veth peer name eth0 netns ${namespace}`,
    `link set dev ${port} master ${lan.bridge} up`,
  ];
  await run(['ip', '-batch', '-'], host.join('\n'));
  const inside = [
    'link set dev lo up',
    `addr add ${nodeAddress(lan, number)}/24 dev eth0`,
    'link set dev eth0 up',
    `route add default via ${hostAddress(lan)}`,
  ];
  await run(['ip', '-n', namespace, '-batch', '-'], inside.join('\n'));
}

/** Device of the bridge that the node with this number hangs on. */
function portOf({ bridge }: Pick<Lan, 'bridge'>, number: number): string {
  return `${bridge.slice(0, 10)}.${number}`;
}

/** The link first: the kernel takes its time to clear a namespace away. */
export async function removeNode(lan: Lan, cluster: string, node: string, number: number): Promise<void> {
  await attempt(['ip', 'link', 'del', 'dev', portOf(lan, number)]);
  await attempt(['ip', 'netns', 'del', namespaceOf(cluster, node)]);
}
