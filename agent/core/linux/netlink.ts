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

/** Of an IPv4 address. */
export function ipBytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** What the kernel answers to a request: 0, or the number of an error. */
export function errnoIn(answer: Buffer): number {
  return -answer.readInt32LE(HEADER_BYTES) || 0;
}
