import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { codeOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { API_MINOR_MAX, ENGINE_VERSION } from '../types/version.ts';
import { dispatch, failureReply, type RawRequest } from './dispatch.ts';
import { Router } from './router.ts';
import { takeOver, Upgrade } from './takeover.ts';
import type { Reply, Route } from './types.ts';
import { writeReply } from './write-reply.ts';

/** Where to listen. Unix sockets are for root and the group `docker`, where there is one. */
export type Listen =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      /** 0: any free one. */
      readonly port: number;
      /** PEM. With `ca`, clients must show a certificate that it has signed. */
      readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
    };

export interface ServeOpts {
  readonly listen: readonly Listen[];
  readonly routes: readonly Route[];
  /** Headers of every answer besides those that Docker always sends; asked anew for each. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Takes an upgrade that is not Docker's own, such as a WebSocket; false when it is nobody's. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
}

export interface ApiServer extends AsyncDisposable {
  /** Paths of sockets, and host:port pairs. */
  readonly addresses: readonly string[];
}

/** How long a connection may stay open between two requests; clients such as Traefik poll every 15 s. */
const KEEP_ALIVE_MS = 65_000;
const CLOSE_GRACE_MS = 5_000;

/** Serves the Engine API. Disposing finishes what is under way, within a few seconds, and leaves no socket file. */
export async function serveApi(opts: ServeOpts, modules: { log: Log }): Promise<ApiServer> {
  await using stack = new AsyncDisposableStack();
  const router = new Router(opts.routes);
  const addresses: string[] = [];
  for (const listen of opts.listen) {
    const server = await makeServer(listen);
    const handler = new Handler(router, opts, modules.log);
    server.on('request', (request, response) => void handler.plain(request, response));
    server.on('upgrade', (request, socket, head) => handler.upgraded(request, socket, head));
    server.on('clientError', (_error, socket) => refuse(socket));
    const sockets = socketsOf(server);
    addresses.push(await listening(server, listen));
    stack.defer(() => closed(server, sockets, listen));
  }
  const running = stack.move();
  return { addresses, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function makeServer(listen: Listen): Promise<Server> {
  const opts: ServerOptions = {
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Anything else (h2c of BuildKit) is served as the plain request it also is.
    shouldUpgradeCallback: (request) => /^(tcp|websocket)$/i.test(request.headers.upgrade ?? ''),
  };
  if (listen.kind === 'unix' || listen.tls === undefined) return createServer(opts);
  const { cert, key, ca } = listen.tls;
  const clients = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true };
  // Only who needs TLS pays for it in memory.
  const { createServer: createTlsServer } = await import('node:https');
  return createTlsServer({ ...opts, cert, key, minVersion: 'TLSv1.2', ...clients });
}

function listening(server: Server, listen: Listen): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    if (listen.kind === 'tcp') {
      server.listen(listen.port, listen.host, () => {
        const { address, port } = server.address() as AddressInfo;
        resolve(address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);
      });
      return;
    }
    removeStaleSocket(listen.path);
    mkdirSync(dirname(listen.path), { recursive: true });
    const mask = process.umask(0o117);
    server.listen(listen.path, () => {
      letDockerGroupUse(listen.path);
      resolve(listen.path);
    });
    process.umask(mask);
  });
}

function removeStaleSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path);
}

function letDockerGroupUse(path: string): void {
  chmodSync(path, 0o660);
  const gid = /^docker:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'utf8'))?.[1];
  if (gid !== undefined && process.getuid?.() === 0) chownSync(path, 0, Number(gid));
}

function refuse(socket: Duplex): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  else socket.destroy();
}

/** Every open connection, those that were taken over among them: the server itself forgets these. */
function socketsOf(server: Server): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

function closed(server: Server, sockets: ReadonlySet<Socket>, listen: Listen): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(cut);
      if (listen.kind === 'unix') rmSync(listen.path, { force: true });
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** Answers requests, however they came. */
class Handler {
  readonly #router: Router;
  readonly #opts: ServeOpts;
  readonly #log: Log;

  constructor(router: Router, opts: ServeOpts, log: Log) {
    this.#router = router;
    this.#opts = opts;
    this.#log = log;
  }

  async plain(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client is gone')));
    const headers = this.#headers();
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const hijack = (contentType: string): Duplex => takeOver(request, response, contentType, headers);
    await this.#answer(rawRequest(request, request, gone.signal, hijack), () => response);
  }

  upgraded(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    if (request.headers.upgrade?.toLowerCase() !== 'tcp') {
      if (!this.#opts.upgrade?.(request, socket, early)) refuse(socket);
      return;
    }
    const upgrade = new Upgrade(request, socket, early);
    const gone = new AbortController();
    socket.once('close', () => gone.abort(new Error('the client is gone')));
    const headers = this.#headers();
    const hijack = (contentType: string): Duplex => upgrade.accept(contentType, headers);
    const raw = rawRequest(request, upgrade.body(), gone.signal, hijack);
    void this.#answer(raw, () => {
      const response = upgrade.response();
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      return response;
    });
  }

  async #answer(raw: RawRequest, response: () => ServerResponse): Promise<void> {
    const reply = await dispatch(this.#router, raw).catch((error: unknown) => this.#failed(raw, error));
    if (reply.kind === 'hijacked') return;
    try {
      await writeReply(response(), reply);
    } catch (error) {
      this.#log.debug('an answer broke off', { method: raw.method, target: raw.target, err: error });
    }
  }

  #failed(raw: RawRequest, error: unknown): Reply {
    if (codeOf(error) === 'INTERNAL' && !raw.signal.aborted)
      this.#log.warn('a request failed', { method: raw.method, target: raw.target, err: error });
    return failureReply(error);
  }

  #headers(): Record<string, string> {
    return {
      'Api-Version': `1.${API_MINOR_MAX}`,
      'Docker-Experimental': 'false',
      Ostype: 'linux',
      Server: `Docker/${ENGINE_VERSION} (linux)`,
      ...this.#opts.headers?.(),
    };
  }
}

function rawRequest(
  { method = 'GET', url = '/', headers }: IncomingMessage,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  hijack: RawRequest['hijack'],
): RawRequest {
  return { method, target: url, headers, body, signal, hijack };
}
