import { connect, type Socket } from 'node:net';
import { END_HEADERS, END_STREAM, FRAME, Frames, frame, HELLO, header, PREFACE } from './h2-frames.ts';
import { encodePut, frameOf } from './kv-wire.ts';

/*
 * A gRPC client for KV/Put that costs next to nothing, so that the two processors of a small machine are left to the
 * servers: HTTP/2 frames are made by hand, headers are the same bytes each time, and of an answer only its shape is read.
 * It takes no account of the server's flow control: what it has under way at most (some 40 KiB) is within every window.
 */

const SCHEME_HTTP_POST = Buffer.from([0x83, 0x86]);
const PATH = 4;
const AUTHORITY = 1;
const CONTENT_TYPE = 31;
const REQUEST_HEADERS = Buffer.concat([
  SCHEME_HTTP_POST,
  header(PATH, '/etcdserverpb.KV/Put'),
  header(AUTHORITY, '127.0.0.1'),
  header(CONTENT_TYPE, 'application/grpc'),
  header('te', 'trailers'),
]);

interface UnderWay {
  answered: boolean;
  readonly done: (ok: boolean) => void;
}

/** One connection to one server. */
export class PutClient implements Disposable {
  readonly #socket: Socket;
  readonly #frames: Frames;
  readonly #underWay = new Map<number, UnderWay>();
  #next = 1;
  #closed = false;

  /** Connects when it can: until then what is put waits. */
  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#frames = new Frames(this.#socket, (type, flags, stream) => this.#take(type, flags, stream));
    this.#frames.send(PREFACE, HELLO);
    this.#socket.on('data', (bytes: Buffer) => this.#frames.received(bytes));
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
    this.#frames.send(
      frame(FRAME.headers, END_HEADERS, stream, REQUEST_HEADERS),
      frame(FRAME.data, END_STREAM, stream, frameOf(encodePut(key, value))),
    );
    return new Promise((done) => this.#underWay.set(stream, { answered: false, done }));
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
    this.#close();
  }

  #take(type: number, flags: number, stream: number): void {
    if (type === FRAME.goAway) this.#close();
    else if (type === FRAME.rstStream) this.#end(stream, false);
    else if (type === FRAME.data || type === FRAME.headers) this.#answer(type, flags, stream);
  }

  /** Only a call that succeeded is answered with a message. */
  #answer(type: number, flags: number, stream: number): void {
    const call = this.#underWay.get(stream);
    if (call === undefined) return;
    if (type === FRAME.data) call.answered = true;
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
