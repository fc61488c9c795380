/** What /proc/PID/net says about the sockets of a process's network namespace. */
import { closeSync, readFileSync } from 'node:fs';
import { ipBytes } from './netlink.ts';
import { rawSocket, SyscallError } from './sys.ts';

const ESTABLISHED = 0x01;
const SYN_RECEIVED = 0x03;
const LISTENING = 0x0a;

export interface SocketRow {
  /** Dotted; `::` and other IPv6 addresses are given as the 32 hex digits of the file. */
  readonly address: string;
  readonly port: number;
  readonly state: number;
}

/** A process, or `self`. */
type Pid = number | 'self';

/** Connections that others made to these ports, whatever family they came by. */
export function inboundConnections(pid: number, ports: ReadonlySet<number>): number {
  const rows = ['tcp', 'tcp6'].flatMap((file) => socketRows(pid, file));
  return rows.filter(
    (row) => (row.state === ESTABLISHED || row.state === SYN_RECEIVED) && ports.has(row.port),
  ).length;
}

/** Sockets that take what comes: TCP that listens, UDP that is bound. */
export function openSockets(pid: Pid, protocol: 'tcp' | 'udp'): SocketRow[] {
  const rows = [protocol, `${protocol}6`].flatMap((file) => socketRows(pid, file));
  return protocol === 'udp' ? rows : rows.filter((row) => row.state === LISTENING);
}

const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const SOCKET_TYPES = { tcp: 0x80001, udp: 0x80002 } as const;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;

/**
 * Whether a server could have this port at this address of our own namespace now: the kernel is asked, by binding. What
 * is asked for IPv6 says nothing of IPv4.
 */
export function canBind(protocol: 'tcp' | 'udp', address: string, port: number): boolean {
  const isIpv6 = address.includes(':');
  const socket = rawSocket.open(isIpv6 ? AF_INET6 : AF_INET, SOCKET_TYPES[protocol], 0);
  try {
    if (isIpv6) rawSocket.setOption(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    // As servers do: connections that an earlier one left behind are no hindrance.
    if (protocol === 'tcp') rawSocket.setOption(socket, SOL_SOCKET, SO_REUSEADDR, 1);
    rawSocket.bind(socket, isIpv6 ? socketAddress6(address, port) : socketAddress(address, port));
    return true;
  } catch (error) {
    if (error instanceof SyscallError) return false;
    throw error;
  } finally {
    closeSync(socket);
  }
}

/** struct sockaddr_in */
function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  ipBytes(address).copy(bytes, 4);
  return bytes;
}

/** struct sockaddr_in6 */
function socketAddress6(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  ipBytes(address).copy(bytes, 8);
  return bytes;
}

function socketRows(pid: Pid, file: string): SocketRow[] {
  return parseSockets(readIfThere(`/proc/${pid}/net/${file}`));
}

/** The rows of /proc/net/tcp and its like. */
export function parseSockets(text: string): SocketRow[] {
  return [...text.matchAll(/^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2})/gm)].map(
    ([, address, port, state]) => ({
      address: readable(address as string),
      port: Number.parseInt(port as string, 16),
      state: Number.parseInt(state as string, 16),
    }),
  );
}

/** IPv4 addresses are written as one number in the machine's order, mapped ones as the last of four. */
function readable(hex: string): string {
  if (hex.length > 8 && !hex.startsWith('0000000000000000FFFF0000')) return hex;
  const bytes = hex.slice(-8).match(/../g) ?? [];
  return bytes
    .reverse()
    .map((byte) => Number.parseInt(byte, 16))
    .join('.');
}

/** Empty for a process that ended, or a kernel without IPv6. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
