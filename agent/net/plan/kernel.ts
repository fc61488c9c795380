import { address, forwarding, type Item, LOOPBACK, link, neighbour, policy, route } from './items.ts';
import { type InstanceNames, MARK_INDEX_BITS } from './names.ts';

/* What `ip -j` and `bridge -j` say about a namespace, in the spelling of the plan. */

/** Answers of the programs, as text. */
export interface KernelText {
  /** ip -j -d link show */
  readonly links: string;
  /** ip -j addr show */
  readonly addresses: string;
  /** ip -j -4 route show table all */
  readonly routes: string;
  /** ip -j -4 neigh show nud permanent */
  readonly neighbours: string;
  /** bridge -j fdb show */
  readonly forwarding: string;
  /** ip -j -4 rule show; only of the node's namespace. */
  readonly rules?: string;
}

interface LinkRow {
  readonly ifname: string;
  readonly mtu: number;
  readonly group: string;
  readonly master?: string;
  readonly flags: readonly string[];
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly id?: number; readonly local?: string; readonly port?: number };
  };
}

/** Everything of a router's namespace. */
export function readRouter(text: KernelText): Item[] {
  const links = rows<LinkRow>(text.links);
  const devices = new Set(links.map((row) => row.ifname));
  return [...links.map(linkItem), ...onDevices(text, devices)];
}

/** What is ours in the node's namespace: links in our groups, on our bridges, and all that is on them. */
export function readNode(text: KernelText, names: InstanceNames): Item[] {
  const links = rows<LinkRow>(text.links);
  const groups = [String(names.insideGroup), String(names.meshGroup)];
  const ours = links.filter((row) => groups.includes(row.group));
  const bridges = new Set(ours.map((row) => row.ifname));
  const ports = links.filter((row) => row.master !== undefined && bridges.has(row.master));
  const devices = new Set([...ours, ...ports].map((row) => row.ifname));
  return [
    ...[...ours, ...ports].map(linkItem),
    ...onDevices(text, devices),
    ...rows<RuleRow>(text.rules ?? '').flatMap((row) => ruleItem(row, names)),
  ];
}

function linkItem(row: LinkRow): Item {
  if (row.ifname === 'lo') return row.flags.includes('UP') ? LOOPBACK : { ...LOOPBACK, value: 'down' };
  const info = row.linkinfo?.info_data;
  const kind = row.linkinfo?.info_kind ?? '';
  const item = link({
    name: row.ifname,
    fixed: kind === 'vxlan' ? `vxlan ${info?.id} ${info?.local} ${info?.port}` : kind,
    mtu: row.mtu,
    group: row.group === 'default' ? 0 : Number(row.group),
    ...(row.master === undefined ? {} : { master: row.master }),
  });
  return row.flags.includes('UP') ? item : { ...item, value: 'down' };
}

function onDevices(text: KernelText, devices: ReadonlySet<string>): Item[] {
  return [
    ...rows<AddressRow>(text.addresses).flatMap((row) => (devices.has(row.ifname) ? addressItems(row) : [])),
    ...rows<RouteRow>(text.routes)
      .filter((row) => isRoute(row, devices))
      .map(routeItem),
    ...rows<NeighbourRow>(text.neighbours)
      .filter((row) => devices.has(row.dev))
      .map((row) => neighbour(row.dev, row.dst, row.lladdr)),
    ...rows<ForwardingRow>(text.forwarding)
      .filter((row) => devices.has(row.ifname) && row.dst !== undefined)
      .map((row) => forwarding(row.ifname, row.mac, row.dst as string)),
  ];
}

interface AddressRow {
  readonly ifname: string;
  readonly addr_info: readonly {
    readonly local: string;
    readonly family?: string;
    readonly scope?: string;
    readonly prefixlen: number;
    readonly noprefixroute?: boolean;
  }[];
}

function addressItems(row: AddressRow): Item[] {
  return row.addr_info
    .filter((info) => info.local !== '127.0.0.1' && !isMadeByKernel(info))
    .map((info) => address(row.ifname, `${info.local}/${info.prefixlen}`, info.noprefixroute));
}

/** Every device that may have IPv6 has an address for its link, and loopback its own. */
function isMadeByKernel({ family, scope, local }: AddressRow['addr_info'][number]): boolean {
  return family === 'inet6' && (scope === 'link' || local === '::1');
}

interface RouteRow {
  readonly type?: string;
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly table?: string;
  readonly protocol?: string;
  readonly prefsrc?: string;
  readonly flags: readonly string[];
}

/** Those the kernel makes for itself come and go with addresses. */
function isRoute(row: RouteRow, devices: ReadonlySet<string>): boolean {
  const known = row.type === undefined || row.type === 'local' || row.type === 'unicast';
  return known && row.protocol !== 'kernel' && row.dev !== undefined && devices.has(row.dev);
}

function routeItem(row: RouteRow): Item {
  return route({
    to: row.dst,
    device: row.dev as string,
    ...(row.gateway === undefined ? {} : { via: row.gateway }),
    ...(row.prefsrc === undefined ? {} : { source: row.prefsrc }),
    ...(row.table === undefined ? {} : { table: row.table }),
    ...(row.type === 'local' ? { type: 'local' } : {}),
    onlink: row.flags.includes('onlink'),
  });
}

interface NeighbourRow {
  readonly dst: string;
  readonly dev: string;
  readonly lladdr: string;
}

interface ForwardingRow {
  readonly mac: string;
  readonly ifname: string;
  readonly dst?: string;
}

interface RuleRow {
  readonly priority: number;
  readonly fwmark?: string;
  readonly fwmask?: string;
  readonly table?: string;
  readonly goto?: number;
  readonly nop?: null;
  readonly not?: null;
}

function ruleItem(row: RuleRow, names: InstanceNames): Item[] {
  if (row.priority < names.rulePriority || row.priority > names.rulePriority + 2) return [];
  if (row.nop !== undefined) return [policy(row.priority, 'nop')];
  const mark = Number(row.fwmark);
  if (mark - (mark % 2 ** MARK_INDEX_BITS) !== names.markBase) return [];
  const text = `fwmark ${hex(row.fwmark)}`;
  if (row.goto !== undefined)
    return [policy(row.priority, `not ${text}/${hex(row.fwmask)} goto ${row.goto}`)];
  return [policy(row.priority, `${text} lookup ${row.table}`)];
}

function hex(value: string | undefined): string {
  return `0x${Number(value).toString(16).padStart(8, '0')}`;
}

/** A filter that matches nothing prints nothing, or empty objects. */
function rows<Row>(text: string): Row[] {
  if (text.trim() === '') return [];
  return (JSON.parse(text) as Row[]).filter((row) => Object.keys(row as object).length > 0);
}
