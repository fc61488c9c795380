import type { IncomingHttpHeaders } from 'node:http';
import { ShoalError } from '../base/errors.ts';
import { dispatch, failureReply } from './dispatch.ts';
import { Router } from './router.ts';
import type { Reply, Route } from './types.ts';

export interface Call {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

export interface CallResult {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Runs a request on routes without a socket, for another node: the whole reply, failures included. */
export async function callApi(
  routes: readonly Route[] | Router,
  call: Call,
  signal: AbortSignal,
): Promise<CallResult> {
  const router = routes instanceof Router ? routes : new Router(routes);
  const hijack = (): never => {
    throw new ShoalError(
      'NOT_IMPLEMENTED',
      'this request needs a connection of its own: send it to the node itself',
    );
  };
  const raw = { ...call, body: once(call.body), signal, hijack };
  const reply = await dispatch(router, raw).catch(failureReply);
  return collected(reply).catch((error: unknown) => collected(failureReply(error)));
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body;
}

async function collected(reply: Reply): Promise<CallResult> {
  switch (reply.kind) {
    case 'json':
      return {
        status: reply.status,
        headers: { 'content-type': 'application/json', ...reply.headers },
        body: Buffer.from(`${JSON.stringify(reply.body)}\n`),
      };
    case 'empty':
      return { status: reply.status, headers: reply.headers ?? {}, body: Buffer.alloc(0) };
    case 'bytes':
      return {
        status: reply.status,
        headers: { 'content-type': reply.contentType, ...reply.headers },
        body: Buffer.from(reply.body),
      };
    case 'stream': {
      const chunks: Buffer[] = [];
      for await (const chunk of reply.body) chunks.push(Buffer.from(chunk));
      return {
        status: reply.status,
        headers: { 'content-type': reply.contentType, ...reply.headers },
        body: Buffer.concat(chunks),
      };
    }
    case 'hijacked':
      throw new ShoalError('INTERNAL', 'a handler took over a connection that there is not');
  }
}
