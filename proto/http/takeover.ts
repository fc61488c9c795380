import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ShoalError } from '../base/errors.ts';

/*
 * Connections that leave HTTP: attach and exec send raw bytes both ways after the head of the answer. Each direction
 * ends on its own.
 */

const PARSER_EVENTS = ['data', 'end', 'close', 'drain', 'timeout', 'error', 'resume', 'pause'];

/**
 * Takes the connection of a plain request over, with status 200. Node has no call for it: its listeners are taken off
 * the socket, so that its parser sees no more bytes. Clients that send before they have our answer must ask to upgrade.
 */
export function takeOver(
  request: IncomingMessage,
  response: ServerResponse,
  contentType: string,
  headers: Readonly<Record<string, string>>,
): Duplex {
  const { socket } = request;
  response.detachSocket(socket);
  for (const event of PARSER_EVENTS) socket.removeAllListeners(event);
  socket.on('error', () => socket.destroy());
  socket.write(head('200 OK', { 'Content-Type': contentType, ...headers }));
  return socket;
}

/** A request that asked to upgrade: its body, and the connection for what comes after it. */
export class Upgrade {
  readonly #socket: Duplex;
  readonly #request: IncomingMessage;
  #early: Buffer;

  /** `early`: what came with the head, the body first. */
  constructor(request: IncomingMessage, socket: Duplex, early: Buffer) {
    this.#request = request;
    this.#socket = socket;
    this.#early = early;
    // TLS sockets would close for output when the client has no more input (nodejs: allowHalfOpen is false there).
    socket.allowHalfOpen = true;
    socket.on('error', () => socket.destroy());
  }

  /** Exactly as much as the head says; the rest is for whoever takes the connection over. */
  async *body(): AsyncGenerator<Uint8Array> {
    if (this.#request.headers['transfer-encoding'] !== undefined)
      throw new ShoalError('INVALID_ARGUMENT', 'a request that upgrades needs a Content-Length');
    let missing = Number(this.#request.headers['content-length'] ?? 0);
    while (missing > 0) {
      const chunk = this.#early.length > 0 ? this.#early : await nextChunk(this.#socket);
      this.#early = chunk.subarray(missing);
      missing -= Math.min(missing, chunk.length);
      yield chunk.subarray(0, chunk.length - this.#early.length);
    }
  }

  accept(contentType: string, headers: Readonly<Record<string, string>>): Duplex {
    const upgrade = { Connection: 'Upgrade', Upgrade: 'tcp' };
    this.#socket.write(head('101 UPGRADED', { 'Content-Type': contentType, ...upgrade, ...headers }));
    if (this.#early.length > 0) this.#socket.unshift(this.#early);
    return this.#socket;
  }

  /** For an ordinary answer instead. */
  response(): ServerResponse {
    const response = new ServerResponse(this.#request);
    response.shouldKeepAlive = false;
    response.assignSocket(this.#socket as IncomingMessage['socket']);
    response.once('finish', () => this.#socket.end());
    return response;
  }
}

function nextChunk(socket: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.pause();
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
    };
    const onData = (chunk: Buffer): void => {
      stop();
      resolve(chunk);
    };
    const onEnd = (): void => {
      stop();
      reject(new ShoalError('INVALID_ARGUMENT', 'the request ended within its body'));
    };
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
  });
}

function head(status: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`;
}
