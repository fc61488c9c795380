/** Messages of netlink (RFC 3549), as bytes. */

export const AF_NETLINK = 16;
export const SOCK_RAW_CLOEXEC = 0x80003;
export const HEADER_BYTES = 16;

/** Flags of requests (linux/netlink.h). */
export const NLM_F = { REQUEST: 1, ACK: 4, REPLACE: 0x100, EXCL: 0x200, CREATE: 0x400 } as const;

/** A request that is to be answered with how it went. Its `body` is what the kind of message begins with. */
export function netlinkMessage(
  type: number,
  flags: number,
  body: Uint8Array,
  attributes: readonly Buffer[],
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const message = Buffer.concat([header, body, ...attributes]);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(NLM_F.REQUEST | NLM_F.ACK | flags, 6);
  return message;
}

/** Length, type, value, padded to four bytes. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(Math.ceil((4 + value.length) / 4) * 4);
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Of an address of either family, in network order. */
export function ipBytes(address: string): Buffer {
  return address.includes(':') ? ip6Bytes(address) : Buffer.from(address.split('.').map(Number));
}

/** Written without a dotted end, as the kernel and its tools do unless it is a mapped address. */
function ip6Bytes(address: string): Buffer {
  const bytes = Buffer.alloc(16);
  const [head = [], tail = []] = address.split('::').map((part) => part.split(':').filter(Boolean));
  for (const [i, group] of [...head.entries(), ...fromEnd(tail)])
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i);
  return bytes;
}

function fromEnd(groups: readonly string[]): [number, string][] {
  return groups.map((group, i) => [8 - groups.length + i, group]);
}

/** What the kernel answers to a request: 0, or the number of an error. */
export function errnoIn(answer: Buffer): number {
  return -answer.readInt32LE(HEADER_BYTES) || 0;
}
