import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { ShoalError } from '#proto/base/errors.ts';
import { collect } from '../image/source.ts';
import { dialError } from './dial-error.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** With a `content-length` header, or sent in chunks. */
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Read it, or `drop` it. */
  readonly body: AsyncIterable<Uint8Array>;
  /** All of the body, which must be a document. */
  bytes(): Promise<Buffer>;
  drop(): void;
}

/** Sends one request. UNAVAILABLE with Docker's words when the connection fails. */
export type HttpSend = (request: HttpRequest) => Promise<HttpResponse>;

export interface HttpOpts {
  /** Certificates are not checked. */
  readonly insecure?: boolean;
  /** PEM, beside the authorities that Node knows. */
  readonly ca?: string;
}

const REDIRECTS_MAX = 10;
/** A connection on which nothing comes for so long is given up. */
const SILENCE_MS_MAX = 60_000;
const USER_AGENT = 'shoal';

/** HTTP to registries over kept connections; GET and HEAD follow redirects, without taking credentials elsewhere. */
export class HttpClient implements Disposable {
  readonly #plain: HttpAgent;
  readonly #tls: HttpsAgent;

  constructor(opts: HttpOpts = {}) {
    const agent = { keepAlive: true, maxSockets: 16, timeout: SILENCE_MS_MAX };
    this.#plain = new HttpAgent(agent);
    this.#tls = new HttpsAgent({
      ...agent,
      rejectUnauthorized: opts.insecure !== true,
      ...(opts.ca !== undefined && { ca: opts.ca }),
    });
  }

  readonly send: HttpSend = async (request) => {
    let { url, headers = {} } = request;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#once({ ...request, url, headers });
      const location = response.headers.location;
      const isRedirect = [301, 302, 303, 307, 308].includes(response.status) && location !== undefined;
      if (!isRedirect || !['GET', 'HEAD'].includes(request.method)) return response;
      response.drop();
      if (redirects === REDIRECTS_MAX)
        throw new ShoalError('UNAVAILABLE', `${url.host}: stopped after ${REDIRECTS_MAX} redirects`);
      const next = URL.parse(location, url.href);
      if (!next)
        throw new ShoalError('UNAVAILABLE', `${url.host} redirects to what is no address: ${location}`);
      if (next.host !== url.host) headers = withoutCredentials(headers);
      url = next;
    }
  };

  async #once(request: HttpRequest): Promise<HttpResponse> {
    try {
      return responseOf(await this.#exchange(request));
    } catch (error) {
      request.signal?.throwIfAborted();
      throw dialError(error, request.method, request.url);
    }
  }

  #exchange({ method, url, headers, body, signal }: HttpRequest): Promise<IncomingMessage> {
    const isTls = url.protocol === 'https:';
    const opts = {
      method,
      headers: { 'user-agent': USER_AGENT, ...headers },
      agent: isTls ? this.#tls : this.#plain,
      ...(signal && { signal }),
    };
    return new Promise((resolve, reject) => {
      const request = (isTls ? httpsRequest : httpRequest)(url, opts, resolve);
      request.once('error', reject);
      request.setTimeout(SILENCE_MS_MAX, () => {
        request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }));
      });
      if (body === undefined || body instanceof Uint8Array) request.end(body);
      else pipeline(body, request).catch(reject);
    });
  }

  [Symbol.dispose](): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }
}

function responseOf(message: IncomingMessage): HttpResponse {
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    body: message as AsyncIterable<Uint8Array>,
    bytes: () => collect(message as AsyncIterable<Uint8Array>),
    drop: () => void message.resume(),
  };
}

function withoutCredentials(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
  );
}
