/*
 * The objects of a network namespace as values: what the plan wants and what is read from the kernel are spelled
 * alike, so that comparing them is comparing strings.
 */

/** What the keys of links begin with; the name of the device follows. */
export const LINK = 'link ';

export interface Item {
  /** Which object it is; unique in its namespace. */
  readonly key: string;
  /** How it is. */
  readonly value: string;
  readonly by: 'ip' | 'bridge' | 'sysctl';
  /** Run when the object is not there. */
  readonly create?: string;
  /** Where `create` is run: in the namespace of a container for its links, else in the node's. */
  readonly createIn?: string;
  /** What only `create` can decide: if it differs the object is made anew. */
  readonly fixed?: string;
  /** Make it so, whatever it was. For `sysctl`: path, blank, value. */
  readonly set?: string;
  readonly unset?: string;
  /** Goes away with this device. */
  readonly device?: string;
  /** Of a link: its other end, in `createIn`. */
  readonly inner?: string;
  /**
   * It is enough that the link goes away with `createIn`, a moment later. On a bridge it is not: the next container may
   * have the address at once.
   */
  readonly goesWithPeer?: boolean;
}

export interface LinkSpec {
  readonly name: string;
  readonly create?: string;
  /** veth, bridge, or `vxlan ID LOCAL PORT`. */
  readonly fixed: string;
  readonly mtu?: number;
  readonly master?: string;
  readonly group?: number;
  readonly createIn?: string;
  readonly inner?: string;
  readonly goesWithPeer?: boolean;
}

export function link(spec: LinkSpec): Item {
  const mtu = spec.mtu === undefined ? '' : ` mtu ${spec.mtu}`;
  const group = ` group ${spec.group ?? 0}`;
  const master = spec.master === undefined ? '' : ` master ${spec.master}`;
  return {
    key: `${LINK}${spec.name}`,
    value: `${spec.fixed}${mtu}${group}${master} up`,
    by: 'ip',
    fixed: spec.fixed,
    set: `link set dev ${spec.name}${mtu}${group}${master} up`,
    unset: `link del dev ${spec.name}`,
    ...(spec.create === undefined ? {} : { create: spec.create }),
    ...(spec.createIn === undefined ? {} : { createIn: spec.createIn }),
    ...(spec.inner === undefined ? {} : { inner: spec.inner }),
    ...(spec.goesWithPeer ? { goesWithPeer: true } : {}),
  };
}

/** Keeps a port of a bridge from reaching others that are kept so. */
export function apart(device: string): Item {
  return {
    key: `apart ${device}`,
    value: 'on',
    by: 'ip',
    set: `link set dev ${device} type bridge_slave isolated on`,
    device,
  };
}

/** Whether it is our end of a container's link, and in no group of interfaces that the rules tell apart. */
export function isPlainPort(item: Item): boolean {
  return item.fixed === 'veth' && item.value.includes(' group 0 ');
}

/** Puts a link into the group of those that are to be taken away. */
export function leave({ key }: Item, group: number): string {
  return `link set dev ${key.slice(LINK.length)} group ${group}`;
}

/** The loopback device, which is there and down in a new namespace, and stays. */
export const LOOPBACK: Item = { key: 'link lo', value: 'up', by: 'ip', set: 'link set dev lo up' };

/** An address; `quiet` makes no route to its subnet. */
export function address(device: string, cidr: string, quiet = false): Item {
  const flag = quiet ? ' noprefixroute' : '';
  return {
    key: `addr ${device} ${cidr}`,
    value: flag.trim(),
    by: 'ip',
    set: `addr replace ${cidr} dev ${device}${flag}`,
    unset: `addr del ${cidr} dev ${device}`,
    device,
  };
}

/** An IPv6 address, of use at once: nobody else has it. */
export function address6(device: string, cidr: string): Item {
  return { ...address(device, cidr), set: `addr replace ${cidr} dev ${device} nodad` };
}

/** The way out for IPv6; the family shows in the gateway. */
export function exit6(device: string, via: string): Item {
  const way = `default via ${via} dev ${device}`;
  return {
    key: 'route6 default',
    value: way,
    by: 'ip',
    set: `route replace ${way}`,
    unset: `route del ${way}`,
    device,
  };
}

/**
 * Answers for ::1 may come in by this device: a port that was used at ::1 leads to what is on it. Nobody can send there
 * himself, the kernel drops a packet that says ::1 before it knows whose answer it is. Each device has a `metric` of its
 * own, or the kernel takes its route for another's.
 */
export function loopback6(device: string, metric: number): Item {
  const way = `local ::1/128 dev ${device} table local metric ${metric}`;
  return {
    key: `route6 local ::1 ${device}`,
    value: way,
    by: 'ip',
    set: `route replace ${way}`,
    unset: `route del ${way}`,
    device,
  };
}

/** A permanent neighbour: nothing is asked for by ARP. */
export function neighbour(device: string, ip: string, mac: string): Item {
  return {
    key: `neigh ${device} ${ip}`,
    value: mac,
    by: 'ip',
    set: `neigh replace ${ip} lladdr ${mac} dev ${device} nud permanent`,
    unset: `neigh del ${ip} dev ${device}`,
    device,
  };
}

export interface RouteSpec {
  /** CIDR, an address, or `default`. */
  readonly to: string;
  readonly device: string;
  readonly via?: string;
  readonly source?: string;
  /** The gateway is on this link although no address says so. */
  readonly onlink?: boolean;
  readonly type?: 'local';
  /** `local`, or a number; the main table when absent. */
  readonly table?: string;
}

export function route(spec: RouteSpec): Item {
  const to = spec.to.replace(/\/32$/, '');
  const table = spec.table ?? (spec.type === 'local' ? 'local' : 'main');
  const via = spec.via === undefined ? '' : `via ${spec.via} `;
  const source = spec.source === undefined ? '' : ` src ${spec.source}`;
  const value = `${via}dev ${spec.device}${source}${spec.onlink ? ' onlink' : ''}`;
  const target = `${spec.type ? `${spec.type} ` : ''}${to}`;
  return {
    key: `route ${table} ${to}`,
    value,
    by: 'ip',
    set: `route replace ${target} ${value} table ${table}`,
    unset: `route del ${target} table ${table}`,
    device: spec.device,
  };
}

/** Where frames to a MAC go on a VXLAN device. */
export function forwarding(device: string, mac: string, to: string): Item {
  return {
    key: `fdb ${device} ${mac}`,
    value: to,
    by: 'bridge',
    set: `fdb replace ${mac} dev ${device} dst ${to} self permanent`,
    unset: `fdb del ${mac} dev ${device} dst ${to} self`,
    device,
  };
}

/** A policy rule; its whole text is its key. */
export function policy(priority: number, text: string): Item {
  return {
    key: `rule ${priority} ${text}`,
    value: '',
    by: 'ip',
    set: `rule add priority ${priority} ${text}`,
    unset: `rule del priority ${priority} ${text}`,
  };
}

/** A switch of one device, which goes with the device. */
export function deviceSwitch(
  device: string,
  name: string,
  value: number,
  family: 'ipv4' | 'ipv6' = 'ipv4',
): Item {
  return {
    key: `sysctl ${device} ${name}`,
    value: String(value),
    by: 'sysctl',
    set: `net/${family}/conf/${device}/${name} ${value}`,
    device,
  };
}
