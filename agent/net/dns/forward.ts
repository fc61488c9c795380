import dgram from 'node:dgram';
import net from 'node:net';
import type { Clock } from '#proto/base/clock.ts';
import type { Random } from '#proto/base/random.ts';
import { codeIn, failureOf, REFUSED, SERVER_FAILURE } from './answers.ts';

/** A question that takes longer is asked of the next. */
const ANSWER_MS_MAX = 2_000;
/** Questions on their way at once; more are answered with a failure, and asked again by their clients. */
const FORWARDS_MAX = 1_024;
const MESSAGE_BYTES_MAX = 65_535;

export interface ForwarderModules {
  readonly clock: Pick<Clock, 'timer'>;
  readonly random: Random;
}

export interface ForwarderOpts {
  /** Port of the resolvers that are asked. */
  readonly port: number;
}

/** Asks other resolvers, one after the other until one answers; by UDP what came by UDP, by TCP what came by TCP. */
export class Forwarder {
  readonly #opts: ForwarderOpts;
  readonly #modules: ForwarderModules;
  #running = 0;

  constructor(opts: ForwarderOpts, modules: ForwarderModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /** The answer with the query's own id; a server failure when nobody had a better one. */
  async ask(
    query: Buffer,
    transport: 'udp' | 'tcp',
    upstreams: readonly string[],
  ): Promise<Buffer | undefined> {
    if (this.#running >= FORWARDS_MAX) return failureOf(query, SERVER_FAILURE);
    this.#running++;
    try {
      return (await this.#askEach(query, transport, upstreams)) ?? failureOf(query, SERVER_FAILURE);
    } finally {
      this.#running--;
    }
  }

  async #askEach(
    query: Buffer,
    transport: 'udp' | 'tcp',
    upstreams: readonly string[],
  ): Promise<Buffer | undefined> {
    let poor: Buffer | undefined;
    for (const upstream of upstreams) {
      const answer = await this.#askOne(query, transport, upstream);
      if (answer === undefined) continue;
      query.copy(answer, 0, 0, 2);
      if (codeIn(answer) !== SERVER_FAILURE && codeIn(answer) !== REFUSED) return answer;
      poor ??= answer;
    }
    return poor;
  }

  /** A socket of its own for every question: a port that nobody can guess, and no answer but from there. */
  #askOne(query: Buffer, transport: 'udp' | 'tcp', upstream: string): Promise<Buffer | undefined> {
    const asked = Buffer.from(query);
    Buffer.from(this.#modules.random.bytes(2)).copy(asked);
    return new Promise((resolve) => {
      const finish = (answer: Buffer | undefined): void => {
        cancel();
        close();
        resolve(answer);
      };
      const isOurs = (answer: Buffer): boolean =>
        answer.length >= 12 && answer.readUInt16BE() === asked.readUInt16BE();
      const hear = (answer: Buffer): void => {
        if (isOurs(answer)) finish(Buffer.from(answer));
      };
      const start = transport === 'udp' ? askByUdp : askByTcp;
      const close = start(asked, upstream, this.#opts.port, hear, () => finish(undefined));
      const cancel = this.#modules.clock.timer(ANSWER_MS_MAX, () => finish(undefined));
    });
  }
}

type Ask = (
  query: Buffer,
  upstream: string,
  port: number,
  hear: (answer: Buffer) => void,
  fail: () => void,
) => () => void;

const askByUdp: Ask = (query, upstream, port, hear, fail) => {
  const socket = dgram.createSocket('udp4');
  let closed = false;
  socket.on('message', hear);
  socket.on('error', fail);
  socket.connect(port, upstream, () => {
    if (!closed) socket.send(query);
  });
  return () => {
    if (closed) return;
    closed = true;
    socket.close();
  };
};

const askByTcp: Ask = (query, upstream, port, hear, fail) => {
  const socket = net.connect(port, upstream);
  const messages = new TcpMessages(hear);
  socket.on('data', (chunk) => messages.take(chunk));
  socket.on('error', fail);
  socket.on('close', fail);
  socket.write(framed(query));
  return () => {
    socket.destroy();
  };
};

/** A message as TCP carries it: its length in front (RFC 1035, 4.2.2). */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Cuts a TCP stream into messages. */
export class TcpMessages {
  readonly #onMessage: (message: Buffer) => void;
  #waiting: Buffer = Buffer.alloc(0);

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  take(chunk: Buffer): void {
    let rest = Buffer.concat([this.#waiting, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const end = 2 + rest.readUInt16BE();
      this.#onMessage(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
    this.#waiting = rest.subarray(0, MESSAGE_BYTES_MAX + 2);
  }
}
