import { type ClientRequest, type IncomingMessage, request } from 'node:http';

/** An answer of the Engine API with a status of 400 or more. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

export interface CallOpts {
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, e.g. a build context. */
  readonly content?: { readonly type: string; readonly data: AsyncIterable<Uint8Array> | Uint8Array };
  readonly signal?: AbortSignal;
}

const API_VERSION = '1.51';

/** A small client of the Engine API on a unix socket or a TCP address: all that Shoal's own tools speak to a cluster. */
export class EngineClient {
  readonly #target: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  readonly #version: string;

  /** `host` as in DOCKER_HOST: unix:///path or tcp://address:port. `version` of the API, for engines older than this. */
  constructor(host: string, version: string = API_VERSION) {
    this.#version = version;
    const url = new URL(host);
    if (url.protocol === 'unix:') this.#target = { socketPath: url.pathname };
    else this.#target = { host: url.hostname, port: Number(url.port) };
  }

  /** The answer's JSON, or undefined when it has none. Throws ApiError with the engine's message. */
  async call<T>(method: string, path: string, opts: CallOpts = {}): Promise<T> {
    const text = await textOf(await this.open(method, path, opts));
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** The lines of a streamed answer (build, events), each a JSON value, as they come. */
  async *lines<T>(method: string, path: string, opts: CallOpts = {}): AsyncGenerator<T> {
    let rest = '';
    const response = await this.open(method, path, opts);
    response.setEncoding('utf8');
    for await (const chunk of response) {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) if (line.trim() !== '') yield JSON.parse(line) as T;
    }
    if (rest.trim() !== '') yield JSON.parse(rest) as T;
  }

  /** The answer as a stream, once its head has come. */
  async open(method: string, path: string, opts: CallOpts = {}): Promise<IncomingMessage> {
    const response = await this.#send(method, path, opts);
    const status = response.statusCode ?? 500;
    if (status < 400) return response;
    throw new ApiError(status, messageOf(await textOf(response), status));
  }

  #send(method: string, path: string, opts: CallOpts): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const query = opts.query === undefined ? '' : `?${new URLSearchParams(opts.query)}`;
      const call = request({
        ...this.#target,
        method,
        path: `/v${this.#version}${path}${query}`,
        ...(opts.signal ? { signal: opts.signal } : {}),
      });
      call.on('response', resolve).on('error', reject);
      sendBody(call, opts).catch(reject);
    });
  }
}

async function sendBody(call: ClientRequest, opts: CallOpts): Promise<void> {
  if (opts.body !== undefined) {
    call.setHeader('Content-Type', 'application/json');
    call.end(JSON.stringify(opts.body));
  } else if (opts.content !== undefined) {
    call.setHeader('Content-Type', opts.content.type);
    await sendContent(call, opts.content.data);
  } else {
    call.end();
  }
}

async function sendContent(call: ClientRequest, data: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
  if (data instanceof Uint8Array) return void call.end(data);
  for await (const chunk of data) {
    if (!call.write(chunk)) await new Promise((resolve) => call.once('drain', resolve));
  }
  call.end();
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}

function messageOf(text: string, status: number): string {
  try {
    return (JSON.parse(text) as { message: string }).message;
  } catch {
    return text || `status ${status}`;
  }
}
