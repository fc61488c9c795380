import dgram from 'node:dgram';
import net from 'node:net';
import { promisify } from 'node:util';
import packet, { type DecodedPacket } from 'dns-packet';
import { messageOf } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import {
  answerTo,
  encodeWithin,
  FORMAT_ERROR,
  failureOf,
  NAME_ERROR,
  type Names,
  REFUSED,
  reply,
  udpBytesMax,
} from './answers.ts';
import { type Forwarder, framed, TcpMessages } from './forward.ts';

/** Who asks, and what it may know. */
export interface Asker {
  readonly names: Names;
  /** Resolvers to be asked in its place; none for what has no way out. */
  readonly upstreams: readonly string[];
}

export interface ResolverOpts {
  readonly address: string;
  /** Tried in this order; 0 is any. The first that is free for UDP and TCP alike. */
  readonly ports: readonly number[];
}

export interface ResolverModules {
  /** By the address that a question comes from; undefined: nobody of ours. */
  readonly askerAt: (source: string) => Asker | undefined;
  readonly forwarder: Pick<Forwarder, 'ask'>;
  readonly log: Log;
}

const MESSAGE_BYTES_MAX = 65_535;
const TCP_CLIENTS_MAX = 1_024;
const TCP_IDLE_MS = 10_000;

/** The node's resolver: containers reach it at 127.0.0.11, and it knows each of them by its address. */
export class Resolver implements AsyncDisposable {
  readonly #modules: ResolverModules;
  readonly #clients = new Set<net.Socket>();
  readonly #udp: dgram.Socket;
  readonly #tcp: net.Server;
  #turn = 0;

  /** Starts to answer. Rejects with the last port's error when none is free. */
  static async open(opts: ResolverOpts, modules: ResolverModules): Promise<Resolver> {
    let failure: unknown;
    for (const port of opts.ports) {
      const resolver = new Resolver(modules);
      try {
        await resolver.#bind(opts.address, port);
        return resolver;
      } catch (error) {
        failure = error;
        await resolver[Symbol.asyncDispose]();
      }
    }
    throw failure;
  }

  private constructor(modules: ResolverModules) {
    this.#modules = modules;
    this.#udp = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    this.#tcp = net.createServer((client) => this.#serve(client));
    this.#tcp.maxConnections = TCP_CLIENTS_MAX;
    this.#udp.on('message', (query, from) => void this.#onDatagram(query, from));
  }

  /** The port it answers at. */
  get port(): number {
    return this.#udp.address().port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await new Promise<void>((resolve) => {
      try {
        this.#udp.close(resolve);
      } catch {
        resolve();
      }
    });
    if (this.#tcp.listening) await promisify(this.#tcp.close.bind(this.#tcp))();
  }

  async #bind(address: string, port: number): Promise<void> {
    await listening(this.#udp, () => this.#udp.bind({ address, port, exclusive: true }));
    await listening(this.#tcp, () => this.#tcp.listen({ host: address, port: this.port, exclusive: true }));
    for (const socket of [this.#udp, this.#tcp])
      socket.on('error', (err: Error) => this.#modules.log.warn('the resolver has trouble', { err }));
  }

  async #onDatagram(query: Buffer, from: dgram.RemoteInfo): Promise<void> {
    const answer = await this.#answer(query, from.address, 'udp');
    if (answer !== undefined) this.#udp.send(answer, from.port, from.address, () => undefined);
  }

  #serve(client: net.Socket): void {
    const source = client.remoteAddress ?? '';
    const messages = new TcpMessages((query) => {
      void this.#answer(query, source, 'tcp').then((answer) => {
        if (answer !== undefined && client.writable) client.write(framed(answer));
      });
    });
    this.#clients.add(client);
    client.setTimeout(TCP_IDLE_MS, () => client.destroy());
    client.on('data', (chunk: Buffer) => messages.take(chunk));
    client.on('error', () => client.destroy());
    client.on('close', () => this.#clients.delete(client));
  }

  /** Undefined: not worth an answer. */
  async #answer(query: Buffer, source: string, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    const decoded = decode(query);
    if (decoded === undefined) return failureOf(query, FORMAT_ERROR);
    if (decoded.type !== 'query') return undefined;
    const asker = this.#modules.askerAt(source);
    if (asker === undefined) return failureOf(query, REFUSED);
    try {
      const own = answerTo(decoded, asker.names, this.#turn++);
      const answer = own ?? (asker.upstreams.length === 0 ? reply(decoded, NAME_ERROR) : undefined);
      if (answer === undefined) return await this.#modules.forwarder.ask(query, transport, asker.upstreams);
      return encodeWithin(answer, transport === 'udp' ? udpBytesMax(decoded) : MESSAGE_BYTES_MAX);
    } catch (error) {
      this.#modules.log.warn('a question was not answered', { err: messageOf(error), source });
      return failureOf(query, FORMAT_ERROR);
    }
  }
}

function decode(query: Buffer): DecodedPacket | undefined {
  try {
    return packet.decode(query);
  } catch {
    return undefined;
  }
}

interface Listens {
  once(event: 'listening' | 'error', then: (error: Error) => void): unknown;
  off(event: 'listening' | 'error', then: (error: Error) => void): unknown;
}

/** Resolves once the socket listens; its other errors stay with its other listeners. */
function listening(socket: Listens, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      socket.off('listening', settle);
      socket.off('error', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.once('listening', settle);
    socket.once('error', settle);
    start();
  });
}
