import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import { codeOf, FAILURES, messageOf, ShoalError } from '../base/errors.ts';
import { readJson } from './body.ts';
import type { Router } from './router.ts';
import type { ApiRequest, Reply } from './types.ts';
import { splitVersion } from './version.ts';

/** A request before its route is known. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  readonly hijack: (contentType: string) => Duplex;
}

/** Finds the route of a request and asks it. Failures are thrown. */
export async function dispatch(router: Router, raw: RawRequest): Promise<Reply> {
  if (raw.method === 'OPTIONS') return { kind: 'empty', status: 200 };
  const [pathname = '/', search = ''] = cutAt(raw.target, '?');
  const { path, version } = splitVersion(pathname);
  const found = router.find(raw.method, path);
  if (found === undefined) throw new ShoalError('NOT_FOUND', 'page not found');
  const request: ApiRequest = {
    ...raw,
    params: found.params,
    query: new URLSearchParams(search),
    version,
    json: <T>() => readJson<T>(raw.headers, raw.body),
  };
  return found.route.handle(request);
}

function cutAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** How a failure is answered: the status of its code, and Docker's error body. */
export function failureReply(error: unknown): Reply {
  const { http } = FAILURES[codeOf(error)];
  if (http === 304) return { kind: 'empty', status: http };
  return { kind: 'json', status: http, body: { message: messageOf(error) } };
}
