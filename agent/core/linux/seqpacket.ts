import { closeSync, constants, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { streamOf } from './raw-stream.ts';
import { rawSocket, SOCKETS, unixAddress } from './sys.ts';

/** conmon reads at most this much of one packet. */
const PACKET_BYTES_MAX = 32_768;

/** A connection that keeps the borders of packets (SOCK_SEQPACKET). Every 'data' of the socket is one packet. */
export class PacketSocket {
  readonly socket: Socket;

  /** Connects at once. `path` may be longer than a socket address holds. */
  constructor(path: string) {
    const fd = rawSocket.open(SOCKETS.AF_UNIX, SOCKETS.SEQPACKET | SOCKETS.NONBLOCK | SOCKETS.CLOEXEC, 0);
    try {
      connectByFolder(fd, path);
      this.socket = streamOf(fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Resolves when the peer's side has taken all of it. */
  async write(data: Uint8Array): Promise<void> {
    for (let from = 0; from < data.length; from += PACKET_BYTES_MAX)
      await this.#writePacket(data.subarray(from, from + PACKET_BYTES_MAX));
  }

  /** One at a time: Node would join several writes into one packet. */
  #writePacket(packet: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(packet, (error) => (error ? reject(error) : resolve()));
    });
  }
}

function connectByFolder(fd: number, path: string): void {
  const folder = openSync(dirname(path), constants.O_DIRECTORY);
  try {
    rawSocket.connect(fd, unixAddress(`/proc/self/fd/${folder}/${basename(path)}`));
  } finally {
    closeSync(folder);
  }
}
