import { createServer, type Server, type Socket } from 'node:net';
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  Frames,
  frame,
  HELLO,
  header,
  PREFACE,
  windowUpdate,
} from './h2-frames.ts';
import { frameOf, readGrpcMessage } from './kv-wire.ts';

/*
 * KV/Put as etcd offers it, on the group under test: so that the same client can be put before both. HTTP/2 and gRPC are
 * framed by hand, as far as this one call needs it (whatever is called is taken for a Put), without TLS, as etcd is run
 * here: what is compared is the log behind it.
 */

const STATUS_200 = Buffer.from([0x88]);
const CONTENT_TYPE = 31;
const ANSWER_HEADERS = Buffer.concat([STATUS_200, header(CONTENT_TYPE, 'application/grpc')]);
const OK = header('grpc-status', '0');
const UNAVAILABLE = Buffer.concat([ANSWER_HEADERS, header('grpc-status', '14')]);
const EMPTY_MESSAGE = frameOf(Buffer.alloc(0));
/** What every connection may be sent from the start (RFC 9113, 6.9.2). */
const WINDOW_BYTES = 65_535;
/** So much may arrive before the peer is given room for as much again. */
const RENEW_BYTES = 64 * 1024 * 1024;

type Put = (request: Buffer) => Promise<unknown>;

/** Serves KV/Put on loopback; `put` is given each PutRequest; it resolves once the write is done, and rejects when it is not known to be. */
export function serveKv(port: number, put: Put): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => void new Connection(socket, put));
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

class Connection {
  readonly #put: Put;
  readonly #frames: Frames;
  readonly #bodies = new Map<number, Buffer[]>();
  #prefaceBytes = PREFACE.length;
  #receivedBytes = 0;
  #windowBytes = WINDOW_BYTES;
  /** Answers that the peer has no room for. */
  #held: Buffer[] = [];

  constructor(socket: Socket, put: Put) {
    this.#put = put;
    this.#frames = new Frames(socket, (type, flags, stream, payload) =>
      this.#take(type, flags, stream, payload),
    );
    this.#frames.send(HELLO);
    socket.on('data', (bytes: Buffer) => this.#received(bytes));
    socket.on('error', () => socket.destroy());
  }

  #received(bytes: Buffer): void {
    const passed = Math.min(this.#prefaceBytes, bytes.length);
    this.#prefaceBytes -= passed;
    this.#frames.received(bytes.subarray(passed));
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes < RENEW_BYTES) return;
    this.#frames.send(windowUpdate(this.#receivedBytes));
    this.#receivedBytes = 0;
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === FRAME.windowUpdate && stream === 0) return this.#roomFor(payload.readUInt32BE(0));
    if (type === FRAME.rstStream) this.#bodies.delete(stream);
    if (type !== FRAME.data) return;
    const body = this.#bodies.get(stream) ?? [];
    body.push(payload);
    if ((flags & END_STREAM) === 0) return void this.#bodies.set(stream, body);
    this.#bodies.delete(stream);
    this.#answer(stream, Buffer.concat(body));
  }

  #answer(stream: number, body: Buffer): void {
    this.#put(readGrpcMessage(body)).then(
      () => this.#accept(stream),
      () => this.#frames.send(frame(FRAME.headers, END_HEADERS | END_STREAM, stream, UNAVAILABLE)),
    );
  }

  #accept(stream: number): void {
    this.#held.push(
      Buffer.concat([
        frame(FRAME.headers, END_HEADERS, stream, ANSWER_HEADERS),
        frame(FRAME.data, 0, stream, EMPTY_MESSAGE),
        frame(FRAME.headers, END_HEADERS | END_STREAM, stream, OK),
      ]),
    );
    this.#roomFor(0);
  }

  #roomFor(bytes: number): void {
    this.#windowBytes += bytes;
    const count = Math.min(this.#held.length, Math.floor(this.#windowBytes / EMPTY_MESSAGE.length));
    this.#windowBytes -= count * EMPTY_MESSAGE.length;
    if (count > 0) this.#frames.send(...this.#held.splice(0, count));
  }
}
