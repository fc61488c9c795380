import type { Writable } from 'node:stream';
import { type CallOptions, type Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import { messageOf, ShoalError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { Method } from './methods.ts';
import { fromStatus } from './status.ts';
import { abortReason, received, sendAll } from './streams.ts';
import type { CallOpts } from './types.ts';

/** Where calls of one client object go. */
export interface Route {
  readonly addr: string;
  /** Aborts when the dialer is disposed. */
  readonly closing: AbortSignal;
  /** The connection to use now; `ended` is called once when the call that uses it is over. */
  open(): { readonly client: Client; ended(): void };
}

type Source = AsyncIterable<unknown>;

/** What every kind of call of the library has. */
interface Outgoing {
  cancel(): void;
}

const asItIs = (bytes: Buffer): Buffer => bytes;

/** The function by which a caller calls one method, as types.ts describes it. */
export function invoke(method: Method, route: Route): (request: unknown, opts?: CallOpts) => unknown {
  if (method.requestStream) {
    return (requests, opts = {}) => converse(method, route, requests as Source, opts);
  }
  if (method.responseStream) return (request, opts = {}) => listen(method, route, request, opts);
  return (request, opts = {}) => ask(method, route, request, opts);
}

/** One request, one answer. */
function ask(method: Method, route: Route, request: unknown, opts: CallOpts): Promise<unknown> {
  const options = deadlineOf({ timeoutMs: LIMITS.requestTimeoutMs, ...opts });
  return answered(method, route, opts, (client, done) => {
    const bytes = method.request.encode(request);
    return client.makeUnaryRequest(method.path, asItIs, asItIs, bytes, new Metadata(), options, done);
  });
}

type Done = (error: ServiceError | null, answer?: Buffer) => void;

async function answered(
  method: Method,
  route: Route,
  opts: CallOpts,
  start: (client: Client, done: Done) => Outgoing,
): Promise<unknown> {
  using limits = combined(route, opts);
  const { client, ended } = route.open();
  try {
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      const done: Done = (error, answer) => (error === null ? resolve(answer as Buffer) : reject(error));
      const call = start(client, done);
      limits.onAbort(() => call.cancel());
    });
    return decodeAnswer(method, bytes);
  } catch (error) {
    throw failureOf(error, method, route, limits.signal);
  } finally {
    ended();
  }
}

/** Sends the requests; when their source fails, the call ends with that failure. */
function feed(call: Writable, requests: Source, method: Method, limits: Limits): void {
  sendAll(requests, call, method.request.encode, limits.signal).then(
    () => call.end(),
    (error: unknown) => limits.end(error),
  );
}

/** One request, a stream of answers. */
async function* listen(
  method: Method,
  route: Route,
  request: unknown,
  opts: CallOpts,
): AsyncGenerator<unknown> {
  using limits = combined(route, opts);
  const bytes = method.request.encode(request);
  const options = deadlineOf(opts);
  const { client, ended } = route.open();
  const call = client.makeServerStreamRequest(method.path, asItIs, asItIs, bytes, new Metadata(), options);
  call.on('error', () => undefined);
  try {
    limits.onAbort(() => call.cancel());
    yield* received(call, (answer) => decodeAnswer(method, answer), limits.signal);
  } catch (error) {
    throw failureOf(error, method, route, limits.signal);
  } finally {
    call.cancel();
    ended();
  }
}

/** Streams both ways, each at its own pace. */
async function* converse(
  method: Method,
  route: Route,
  requests: Source,
  opts: CallOpts,
): AsyncGenerator<unknown> {
  using limits = combined(route, opts);
  const { client, ended } = route.open();
  const call = client.makeBidiStreamRequest(method.path, asItIs, asItIs, new Metadata(), deadlineOf(opts));
  call.on('error', () => undefined);
  try {
    limits.onAbort(() => call.cancel());
    feed(call, requests, method, limits);
    yield* received(call, (answer) => decodeAnswer(method, answer), limits.signal);
  } catch (error) {
    throw failureOf(error, method, route, limits.signal);
  } finally {
    call.cancel();
    ended();
  }
}

interface Limits extends Disposable {
  readonly signal: AbortSignal;
  onAbort(abort: () => void): void;
  /** Ends the call from within. */
  end(reason: unknown): void;
}

/** Everything that can end a call from this side, in one signal that leaves no listener behind. */
function combined(route: Route, opts: CallOpts): Limits {
  const own = new AbortController();
  const parents = [route.closing, ...(opts.signal === undefined ? [] : [opts.signal])];
  const forward = (event: Event): void => own.abort((event.target as AbortSignal).reason);
  for (const parent of parents) {
    if (parent.aborted) own.abort(parent.reason);
    parent.addEventListener('abort', forward, { once: true });
  }
  return {
    signal: own.signal,
    onAbort(abort) {
      if (own.signal.aborted) abort();
      own.signal.addEventListener('abort', abort, { once: true });
    },
    end: (reason) => own.abort(reason),
    [Symbol.dispose]() {
      for (const parent of parents) parent.removeEventListener('abort', forward);
      own.abort(new Error('the call has ended'));
    },
  };
}

function deadlineOf(opts: CallOpts): CallOptions {
  return opts.timeoutMs === undefined ? {} : { deadline: Date.now() + opts.timeoutMs };
}

function decodeAnswer(method: Method, bytes: Buffer): unknown {
  try {
    return method.response.decode(bytes);
  } catch (error) {
    throw new ShoalError('INTERNAL', `${method.path}: not a readable answer: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** What the caller is told: why this side ended the call, or else how the other end or the connection did. */
function failureOf(error: unknown, method: Method, route: Route, signal: AbortSignal): ShoalError {
  return signal.aborted ? abortReason(signal) : fromStatus(error, `${method.path} at ${route.addr}`);
}
