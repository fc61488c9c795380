/** What /proc/PID/net says about the sockets of a process's network namespace. */
import { readFileSync } from 'node:fs';

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
