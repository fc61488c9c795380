import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';

/** A version of the Engine API, 1.24 and up; compared by its minor number. */
export interface ApiVersion {
  readonly major: number;
  readonly minor: number;
}

/** One request of the Engine API, whether it came over a socket or was handed on by another manager. */
export interface ApiRequest {
  readonly method: string;
  /** Path and query as sent, version prefix included. */
  readonly target: string;
  /** Values of the `{names}` of the route, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** As asked for in the path; the newest when the path has none. */
  readonly version: ApiVersion;
  readonly headers: IncomingHttpHeaders;
  /** The body as a stream; read it once. */
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * The body as JSON, at most LIMITS.httpBodyBytesMax. INVALID_ARGUMENT with Docker's words for a wrong content
   * type, malformed or missing JSON.
   */
  json<T>(): Promise<T>;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /**
   * Takes the connection over (attach, exec): answers 101 when the client asked to upgrade, else 200, with this content
   * type. Bytes that came with the head are read first. Only over a socket: else NOT_IMPLEMENTED.
   */
  hijack(contentType: string): Duplex;
}

/** What a handler answers. A failure is thrown as a ShoalError. */
export type Reply =
  | {
      readonly kind: 'json';
      readonly status: number;
      readonly body: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'empty'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | {
      readonly kind: 'bytes';
      readonly status: number;
      readonly contentType: string;
      readonly body: Uint8Array;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Headers are sent at once; a failure after the first chunk ends the connection. */
  | {
      readonly kind: 'stream';
      readonly status: number;
      readonly contentType: string;
      readonly body: AsyncIterable<Uint8Array | string>;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The handler took the connection over. */
  | { readonly kind: 'hijacked' };

export type ApiHandler = (request: ApiRequest) => Promise<Reply> | Reply;

/** `path` without version: `/containers/{id}/json`; `{name*}` also matches slashes. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';
  readonly path: string;
  readonly handle: ApiHandler;
}

export function json(body: unknown, status = 200): Reply {
  return { kind: 'json', status, body };
}

export function empty(status = 204): Reply {
  return { kind: 'empty', status };
}

export function stream(contentType: string, body: AsyncIterable<Uint8Array | string>): Reply {
  return { kind: 'stream', status: 200, contentType, body };
}

/** Docker's flags in queries: `1`, `true`, `True`, `yes` … are true; `0`, `false`, `no`, `none`, '' are false. */
export function boolQuery(query: URLSearchParams, name: string, otherwise = false): boolean {
  const value = query.get(name);
  if (value === null) return otherwise;
  return !['', '0', 'no', 'false', 'none'].includes(value.trim().toLowerCase());
}
