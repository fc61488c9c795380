import type { PeerCertificate } from 'node:tls';
import type * as grpc from '@grpc/grpc-js';
import { messageOf, ShoalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ClusterId } from '../types/ids.ts';
import type { Codec, Method } from './methods.ts';
import { rethrowBug, toStatus } from './status.ts';
import { received, sendAll, untilAborted } from './streams.ts';
import { peerOf } from './tls.ts';
import type { Access, CallInfo, PeerIdentity } from './types.ts';

/** One service as it is offered now, and its calls under way. */
export interface Calls {
  readonly access: Access;
  readonly handlers: Readonly<Record<string, AnyHandler>>;
  readonly underWay: Set<AbortController>;
}

type AnyHandler = (request: unknown, call: CallInfo) => unknown;

interface Surroundings {
  /** Throws when the service is not offered. */
  readonly calls: () => Calls;
  /** The cluster this node is of. */
  readonly clusterId: () => ClusterId;
  readonly log: Log;
  readonly accepts?: (peer: PeerIdentity) => boolean;
}

/** What every kind of call of the library has. */
interface Incoming {
  getPeer(): string;
  getAuthContext(): { readonly sslPeerCertificate?: PeerCertificate };
  once(event: 'cancelled', cancelled: () => void): unknown;
}

interface OpenCall extends Disposable {
  readonly info: CallInfo;
  handle(request: unknown): unknown;
}

/** The library's handler for one method: authorizes, decodes, calls the implementation, and answers. */
export function serve(method: Method, around: Surroundings): grpc.UntypedHandleCall {
  if (method.requestStream) return bidirectional(method, around);
  if (method.responseStream) return streaming(method, around);
  return unary(method, around);
}

function unary(method: Method, around: Surroundings): grpc.handleUnaryCall<Buffer, Buffer> {
  return (call, reply) => {
    void answer(method, around, reply, async () => {
      using open = begin(method, call, around);
      const request = decodeRequest(method.request, call.request);
      return await untilAborted(Promise.resolve(open.handle(request)), open.info.signal);
    });
  };
}

function streaming(method: Method, around: Surroundings): grpc.handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    void answerStream(method, around, call, (open) =>
      open.handle(decodeRequest(method.request, call.request)),
    );
  };
}

function bidirectional(method: Method, around: Surroundings): grpc.handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    void answerStream(method, around, call, (open) => open.handle(requests(method, call, open)));
  };
}

async function answer(
  method: Method,
  around: Surroundings,
  reply: grpc.sendUnaryData<Buffer>,
  run: () => Promise<unknown>,
): Promise<void> {
  try {
    reply(null, method.response.encode(await run()));
  } catch (error) {
    reply(failed(method, around, error));
  }
}

async function answerStream(
  method: Method,
  around: Surroundings,
  call: grpc.ServerWritableStream<Buffer, Buffer> | grpc.ServerDuplexStream<Buffer, Buffer>,
  run: (open: OpenCall) => unknown,
): Promise<void> {
  try {
    using open = begin(method, call, around);
    const answers = run(open) as AsyncIterable<unknown>;
    await sendAll(answers, call, (message) => method.response.encode(message), open.info.signal);
    call.end();
  } catch (error) {
    call.emit('error', failed(method, around, error));
  }
}

function requests(
  method: Method,
  call: grpc.ServerDuplexStream<Buffer, Buffer>,
  open: OpenCall,
): AsyncIterable<unknown> {
  return received(call, (bytes) => decodeRequest(method.request, bytes), open.info.signal);
}

/** Refuses who may not call; else counts the call as under way until disposed. */
function begin(method: Method, call: Incoming, around: Surroundings): OpenCall {
  const calls = around.calls();
  const peer = callerOf(call, calls.access, around);
  const ended = new AbortController();
  calls.underWay.add(ended);
  call.once('cancelled', () => ended.abort(new Error('the caller is gone')));
  const info: CallInfo = {
    peerAddr: readableAddr(call.getPeer()),
    signal: ended.signal,
    ...(peer === undefined ? {} : { peer }),
  };
  return {
    info,
    handle: (request) => handlerOf(calls, method)(request, info),
    [Symbol.dispose]() {
      calls.underWay.delete(ended);
      ended.abort(new Error('the call has ended'));
    },
  };
}

function handlerOf(calls: Calls, method: Method): AnyHandler {
  const handler = calls.handlers[method.name];
  if (handler === undefined) throw new ShoalError('NOT_IMPLEMENTED', `${method.path} is not implemented`);
  return (request, call) => handler.call(calls.handlers, request, call);
}

/** Who calls, if that is anybody; throws when that is not enough for `access`. */
function callerOf(call: Incoming, access: Access, around: Surroundings): PeerIdentity | undefined {
  const shown = call.getAuthContext().sslPeerCertificate;
  if (shown === undefined) {
    if (access === 'anyone') return undefined;
    throw new ShoalError(
      'UNAUTHENTICATED',
      'a certificate of this swarm is needed, and none that is valid was shown',
    );
  }
  const peer = peerOf(shown);
  if (peer.clusterId !== around.clusterId()) {
    throw new ShoalError('FORBIDDEN', `node ${peer.nodeId} is of another swarm, ${peer.clusterId}`);
  }
  if (around.accepts?.(peer) === false) {
    throw new ShoalError('FORBIDDEN', `node ${peer.nodeId} is not part of the swarm`);
  }
  if (access === 'manager' && peer.role !== 'manager') {
    throw new ShoalError(
      'FORBIDDEN',
      `Permission denied: unauthorized peer role: expected a manager, found ${peer.role} ${peer.nodeId}`,
    );
  }
  return peer;
}

function decodeRequest(codec: Codec, bytes: Buffer): unknown {
  try {
    return codec.decode(bytes);
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `not a readable message: ${messageOf(error)}`, { cause: error });
  }
}

function failed(method: Method, around: Surroundings, error: unknown): grpc.ServiceError {
  rethrowBug(error);
  if (!(error instanceof ShoalError)) around.log.error('a call failed', { method: method.path, err: error });
  return Object.assign(new Error('failed'), toStatus(error)) as grpc.ServiceError;
}

/** `::ffff:10.0.0.1:53` as `10.0.0.1:53`, and an IPv6 address in brackets. */
function readableAddr(peer: string): string {
  const colon = peer.lastIndexOf(':');
  const host = peer.slice(0, colon).replace(/^::ffff:/i, '');
  return `${host.includes(':') ? `[${host}]` : host}${peer.slice(colon)}`;
}
