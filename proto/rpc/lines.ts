import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type SecureContextOptions, type TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { messageOf, ShoalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { NodeRole } from '../types/states.ts';
import { type Line, type LineDialer, type LineEvents, type LineServer, SocketLine } from './line.ts';
import { identityOf, peerOf, serverName, whyNot } from './tls.ts';
import type { IdentitySource, TlsIdentity } from './types.ts';

export interface LinesModules {
  readonly identity: IdentitySource;
  readonly clock: Pick<Clock, 'timer'>;
  readonly log: Log;
}

export interface LineServerOpts {
  /** Address to listen on, without port. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** How long it may take until both ends have shown who they are. */
const HANDSHAKE_MS = 5_000;
/** More managers than any cluster has, each with lines of its own and some that are being replaced. */
const LINES_MAX = 256;

/** Opens lines to other nodes, each with the identity of that moment. */
export function lineDialer({ identity, clock }: Pick<LinesModules, 'identity' | 'clock'>): LineDialer {
  return {
    async dial(addr, expect, events, signal) {
      signal.throwIfAborted();
      const socket = connect({ ...endpointOf(addr), ...expecting(identity.current(), expect) });
      const onAbort = (): unknown => socket.destroy(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('close', () => signal.removeEventListener('abort', onAbort));
      const late = new ShoalError('UNAVAILABLE', `nobody answered at ${addr}`);
      const cancel = clock.timer(HANDSHAKE_MS, () => socket.destroy(late));
      try {
        await once(socket, 'secureConnect');
      } finally {
        cancel();
      }
      const line = new SocketLine(peerOf(socket.getPeerCertificate()), socket, clock);
      line.open(events);
      return line;
    },
  };
}

function expecting(identity: TlsIdentity, expect: NodeRole) {
  const { clusterId } = identityOf(identity.certificate);
  return {
    ...contextOf(identity),
    servername: serverName(expect),
    checkServerIdentity: (_name: string, shown: Parameters<typeof peerOf>[0]) =>
      whyNot(shown, expect, clusterId),
  };
}

function contextOf({ certificate, key, roots }: TlsIdentity): SecureContextOptions {
  return { minVersion: 'TLSv1.3', cert: certificate, key, ca: roots };
}

/** host:port, where an IPv6 address stands in brackets. */
function endpointOf(addr: string): { host: string; port: number } {
  const colon = addr.lastIndexOf(':');
  return { host: addr.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(addr.slice(colon + 1)) };
}

/** Listens for lines of other managers. Throws UNAVAILABLE when it can't. */
export async function listenLines(opts: LineServerOpts, modules: LinesModules): Promise<TlsLineServer> {
  const server = new TlsLineServer(opts, modules);
  await server.listen();
  return server;
}

class TlsLineServer implements LineServer, AsyncDisposable {
  readonly #opts: LineServerOpts;
  readonly #modules: LinesModules;
  readonly #server: ReturnType<typeof createServer>;
  readonly #lines = new Set<SocketLine>();
  readonly #unfollow: () => void;
  #take: ((line: Line) => LineEvents) | undefined;

  constructor(opts: LineServerOpts, modules: LinesModules) {
    this.#opts = opts;
    this.#modules = modules;
    const { identity, log } = modules;
    this.#server = createServer({
      ...contextOf(identity.current()),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_MS,
    });
    this.#server.maxConnections = LINES_MAX;
    this.#server.on('secureConnection', (socket) => this.#arrived(socket));
    this.#server.on('error', (error) => log.warn('no line could be taken', { err: error }));
    this.#server.on('tlsClientError', (error) => log.debug('a line was refused', { err: error }));
    this.#unfollow = identity.onChange((changed) => this.#server.setSecureContext(contextOf(changed)));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#opts;
    try {
      this.#server.listen(port, host);
      await once(this.#server, 'listening');
    } catch (error) {
      this.#unfollow();
      throw new ShoalError('UNAVAILABLE', `can't listen on ${host}:${port}: ${messageOf(error)}`);
    }
  }

  accept(take: ((line: Line) => LineEvents) | undefined): void {
    this.#take = take;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unfollow();
    this.#take = undefined;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const line of this.#lines) line.destroy();
    await closed;
  }

  #arrived(socket: TLSSocket): void {
    const { identity, clock, log } = this.#modules;
    const shown = socket.getPeerCertificate();
    const refusal = whyNot(shown, 'manager', identityOf(identity.current().certificate).clusterId);
    if (refusal !== undefined || this.#take === undefined) {
      log.debug('a line was refused', { err: refusal ?? 'nobody takes lines at the moment' });
      return void socket.destroy();
    }
    const line = new SocketLine(peerOf(shown), socket, clock);
    this.#lines.add(line);
    socket.once('close', () => this.#lines.delete(line));
    line.open(this.#take(line));
  }
}
