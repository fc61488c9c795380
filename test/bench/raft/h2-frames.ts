import type { Socket } from 'node:net';

/* HTTP/2 frames (RFC 9113, 4), as far as one kind of call needs them. */

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const HEAD_BYTES = 9;
/** All of a window that a peer may be given, beyond the 65 535 bytes that it has. */
const WINDOW_BYTES_MORE = 0x7fffffff - 65_535;
const HEADER_TABLE_SIZE = 1;

/** What either end begins with: no table of headers to be kept, and room for all it may be sent. */
export const HELLO = Buffer.concat([
  frame(FRAME.settings, 0, 0, Buffer.from([0, HEADER_TABLE_SIZE, 0, 0, 0, 0])),
  windowUpdate(WINDOW_BYTES_MORE),
]);

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

/** Room for more on the whole connection. */
export function windowUpdate(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(FRAME.windowUpdate, 0, 0, payload);
}

/** A header that nobody is to remember, of a name in HPACK's static table or of its own (RFC 7541, 6.2.2). */
export function header(name: number | string, value: string): Buffer {
  const index = typeof name === 'string' ? [0] : name < 15 ? [name] : [15, name - 15];
  return Buffer.concat([Buffer.from(index), ...(typeof name === 'string' ? [text(name)] : []), text(value)]);
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}

/** One end of a connection: gives out what arrives frame by frame, and sends what one turn makes in one write. */
export class Frames {
  readonly #socket: Socket;
  readonly #take: (type: number, flags: number, stream: number, payload: Buffer) => void;
  #unsent: Buffer[] = [];
  #unread: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, take: Frames['take']) {
    this.#socket = socket;
    this.#take = take;
  }

  send(...frames: readonly Buffer[]): void {
    if (this.#unsent.length === 0) process.nextTick(() => this.#flush());
    this.#unsent.push(...frames);
  }

  received(bytes: Buffer): void {
    const all = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    let at = 0;
    while (at + HEAD_BYTES <= all.length) {
      const end = at + HEAD_BYTES + all.readUIntBE(at, 3);
      if (end > all.length) break;
      this.take(
        all[at + 3] as number,
        all[at + 4] as number,
        all.readUInt32BE(at + 5),
        all.subarray(at + HEAD_BYTES, end),
      );
      at = end;
    }
    this.#unread = all.subarray(at);
  }

  /** What every end does itself: it acknowledges. */
  take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === FRAME.settings && flags !== ACK) this.send(frame(type, ACK, 0, Buffer.alloc(0)));
    else if (type === FRAME.ping && flags !== ACK) this.send(frame(type, ACK, 0, payload));
    else this.#take(type, flags, stream, payload);
  }

  #flush(): void {
    const frames = this.#unsent;
    this.#unsent = [];
    if (this.#socket.writable) this.#socket.write(Buffer.concat(frames));
  }
}
