/**
 * Forgetting flows: connection tracking keeps sending a client to the task it once chose, so the entries that lead to
 * a task that went away must go too. The program `conntrack` lists them (walking the kernel's table takes tens of
 * milliseconds, so not here), netlink deletes exactly those that were meant.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Clock } from '#proto/base/clock.ts';
import { runProgram } from './net-program.ts';
import { AF_NETLINK, attribute, errnoIn, ipBytes, netlinkMessage, SOCK_RAW_CLOEXEC } from './netlink.ts';
import { readSetting } from './netns.ts';
import { inNetworkNamespace, rawSocket, SyscallError } from './sys.ts';

/** One entry, as its first packet was. */
export interface Flow {
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly zone: number;
  /** Who answers. */
  readonly answeredBy: string;
}

const PROTOCOLS = { tcp: 6, udp: 17 } as const;
/** Deletions between two looks at everything else. */
const DELETIONS_AT_ONCE = 500;

/** Forgets the flows of a protocol that these addresses answer, in one namespace; returns how many there were. */
export async function forgetFlows(
  netns: string | undefined,
  protocol: keyof typeof PROTOCOLS,
  addresses: ReadonlySet<string>,
  modules: { readonly clock: Pick<Clock, 'timer'> },
): Promise<number> {
  // Listing walks a table that all namespaces share, however few of its entries are this one's.
  if (addresses.size === 0 || readSetting(netns, 'net/netfilter/nf_conntrack_count') === 0) return 0;
  let count = 0;
  for (const family of ['ipv4', 'ipv6'] as const) {
    const own = [...addresses].filter((address) => address.includes(':') === (family === 'ipv6'));
    if (own.length === 0) continue;
    const filter = own.length === 1 ? ['-r', own[0] as string] : [];
    const argv = ['conntrack', '-f', family, '-L', '-p', protocol, ...filter] as const;
    const { stdout } = await runProgram(netns, [...argv], '', modules);
    const flows = parseFlows(stdout).filter((flow) => addresses.has(flow.answeredBy));
    if (flows.length > 0) await deleteFlows(netns, flows);
    count += flows.length;
  }
  return count;
}

/** The lines of `conntrack -L` that have ports. */
export function parseFlows(text: string): Flow[] {
  const pattern =
    /^\w+\s+(\d+).*? src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) .*?src=(\S+) dst=\S+ sport=\d+ dport=\d+(.*)$/gm;
  return [...text.matchAll(pattern)].map(([, protocol, source, destination, from, to, answeredBy, rest]) => ({
    protocol: Number(protocol),
    source: source as string,
    destination: destination as string,
    sourcePort: Number(from),
    destinationPort: Number(to),
    answeredBy: answeredBy as string,
    zone: Number(/ zone(?:-orig)?=(\d+)/.exec(rest ?? '')?.[1] ?? 0),
  }));
}

const NETLINK_NETFILTER = 12;

async function deleteFlows(netns: string | undefined, flows: readonly Flow[]): Promise<void> {
  const open = (): number => rawSocket.open(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER);
  const socket = netns === undefined ? open() : inNetworkNamespace(netns, open);
  try {
    for (let i = 0; i < flows.length; i += DELETIONS_AT_ONCE) {
      for (const flow of flows.slice(i, i + DELETIONS_AT_ONCE)) deleteFlow(socket, flow);
      await breathe();
    }
  } finally {
    closeSync(socket);
  }
}

const answer = Buffer.alloc(4_096);

/** The kernel answers before send() returns; an entry that ended by itself meanwhile is no error. */
function deleteFlow(socket: number, flow: Flow): void {
  rawSocket.send(socket, deleteMessage(flow));
  rawSocket.receive(socket, answer);
  const errno = errnoIn(answer);
  if (errno !== 0 && errno !== constants.errno.ENOENT)
    throw new SyscallError('ctnetlink delete', errno, `${flow.source} to ${flow.destination}`);
}

/** Subsystem ctnetlink (1), message IPCTNL_MSG_CT_DELETE (2). */
const CT_DELETE = (1 << 8) | 2;
const NESTED = 0x8000;
/** Of each family: its number, and the attributes that an address is given by as source and as destination. */
const IPV4 = { family: 2, source: 1, destination: 2 } as const;
const IPV6 = { family: 10, source: 3, destination: 4 } as const;

/** linux/netfilter/nfnetlink_conntrack.h */
export function deleteMessage(flow: Flow): Buffer {
  const { family, ...kinds } = flow.source.includes(':') ? IPV6 : IPV4;
  const ip = attribute(
    NESTED | 1,
    Buffer.concat([
      attribute(kinds.source, ipBytes(flow.source)),
      attribute(kinds.destination, ipBytes(flow.destination)),
    ]),
  );
  const ports = [
    attribute(1, Buffer.from([flow.protocol])),
    attribute(2, bigEndian16(flow.sourcePort)),
    attribute(3, bigEndian16(flow.destinationPort)),
  ];
  const zone = flow.zone === 0 ? [] : [attribute(3, bigEndian16(flow.zone))];
  const tuple = attribute(
    NESTED | 1,
    Buffer.concat([ip, attribute(NESTED | 2, Buffer.concat(ports)), ...zone]),
  );
  return netlinkMessage(CT_DELETE, 0, Buffer.from([family, 0, 0, 0]), [tuple]);
}

function bigEndian16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}
