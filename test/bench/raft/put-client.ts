import { connect, type Socket } from 'node:net';
import { encodePut, frameOf } from './kv-wire.ts';

/*
 * A gRPC client for KV/Put that costs next to nothing, so that the two processors of a small machine are left to the
 * servers: HTTP/2 frames are made by hand, headers are the same bytes each time, and of an answer only its shape is read.
 * It takes no account of the server's flow control: what it has under way at most (some 40 KiB) is within every window.
 */

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const HEAD_BYTES = 9;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** No dynamic header table (its setting is 1), and room for all answers of a run (WINDOW_UPDATE is frame type 8). */
const HELLO = Buffer.concat([
  Buffer.from(PREFACE),
  frame(SETTINGS, 0, 0, Buffer.from([0, 1, 0, 0, 0, 0])),
  frame(8, 0, 0, Buffer.from([0x7f, 0, 0, 0])),
]);

/** The request's headers, each a literal that is not to be remembered (RFC 7541, 6.2.2) or an index of the static table. */
const REQUEST_HEADERS = Buffer.concat([
  Buffer.from([0x83, 0x86]),
  Buffer.from([0x04]),
  text('/etcdserverpb.KV/Put'),
  Buffer.from([0x01]),
  text('127.0.0.1'),
  Buffer.from([0x0f, 0x10]),
  text('application/grpc'),
  Buffer.from([0x00]),
  text('te'),
  text('trailers'),
]);

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

interface UnderWay {
  answered: boolean;
  readonly done: (ok: boolean) => void;
}

/** One connection to one server. */
export class PutClient implements Disposable {
  readonly #socket: Socket;
  readonly #underWay = new Map<number, UnderWay>();
  #next = 1;
  #unsent: Buffer[] = [];
  #unread: Buffer = Buffer.alloc(0);
  #closed = false;

  /** Connects when it can: until then what is put waits. */
  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.write(HELLO);
    this.#socket.on('data', (bytes: Buffer) => this.#received(bytes));
    this.#socket.on('error', () => this.#close());
    this.#socket.on('close', () => this.#close());
  }

  /** Whether nothing can be put any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves with whether the server did it. */
  put(key: Buffer, value: Buffer): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    const stream = this.#next;
    this.#next += 2;
    this.#send(
      frame(HEADERS, END_HEADERS, stream, REQUEST_HEADERS),
      frame(DATA, END_STREAM, stream, frameOf(encodePut(key, value))),
    );
    return new Promise((done) => this.#underWay.set(stream, { answered: false, done }));
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
    this.#close();
  }

  /** What is sent in one turn goes in one write. */
  #send(...frames: Buffer[]): void {
    if (this.#unsent.length === 0) process.nextTick(() => this.#flush());
    this.#unsent.push(...frames);
  }

  #flush(): void {
    const frames = this.#unsent;
    this.#unsent = [];
    if (!this.#closed) this.#socket.write(Buffer.concat(frames));
  }

  #received(bytes: Buffer): void {
    const all = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    let at = 0;
    while (at + HEAD_BYTES <= all.length) {
      const end = at + HEAD_BYTES + all.readUIntBE(at, 3);
      if (end > all.length) break;
      this.#take(
        all[at + 3] as number,
        all[at + 4] as number,
        all.readUInt32BE(at + 5),
        all.subarray(at + HEAD_BYTES, end),
      );
      at = end;
    }
    this.#unread = all.subarray(at);
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === SETTINGS && flags !== ACK) this.#send(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    else if (type === PING && flags !== ACK) this.#send(frame(PING, ACK, 0, payload));
    else if (type === GOAWAY) this.#close();
    else if (type === RST_STREAM) this.#end(stream, false);
    else if (type === DATA || type === HEADERS) this.#answer(type, flags, stream);
  }

  /** Only a call that succeeded is answered with a message. */
  #answer(type: number, flags: number, stream: number): void {
    const call = this.#underWay.get(stream);
    if (call === undefined) return;
    if (type === DATA) call.answered = true;
    if ((flags & END_STREAM) !== 0) this.#end(stream, call.answered);
  }

  #end(stream: number, ok: boolean): void {
    const call = this.#underWay.get(stream);
    this.#underWay.delete(stream);
    call?.done(ok);
  }

  #close(): void {
    this.#closed = true;
    for (const stream of [...this.#underWay.keys()]) this.#end(stream, false);
  }
}
