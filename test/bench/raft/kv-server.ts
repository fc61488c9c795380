import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { frameOf, readGrpcMessage } from './kv-wire.ts';

/*
 * KV/Put as etcd offers it, on the group under test: so that the same client can be put before both. gRPC framed by hand
 * on Node's HTTP/2, without TLS, as etcd is run here.
 */

const OK = '0';
const UNAVAILABLE = '14';
/** More than all clients of a bench have under way. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const ANSWER = { ':status': 200, 'content-type': 'application/grpc' };

/** Serves KV/Put on loopback; `put` is given each PutRequest; it resolves once the write is done, and rejects when it is not known to be. */
export function serveKv(port: number, put: (request: Buffer) => Promise<unknown>): Promise<Http2Server> {
  const server = createServer({
    settings: { initialWindowSize: WINDOW_BYTES, maxConcurrentStreams: 10_000 },
  });
  server.on('session', (session) => session.setLocalWindowSize(WINDOW_BYTES));
  server.on('stream', (stream) => {
    const parts: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => void answer(stream, Buffer.concat(parts), put));
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

async function answer(
  stream: ServerHttp2Stream,
  body: Buffer,
  put: (request: Buffer) => Promise<unknown>,
): Promise<void> {
  try {
    await put(readGrpcMessage(body));
    if (stream.destroyed) return;
    stream.respond(ANSWER, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': OK }));
    stream.end(EMPTY_MESSAGE);
  } catch {
    if (!stream.destroyed) stream.respond({ ...ANSWER, 'grpc-status': UNAVAILABLE }, { endStream: true });
  }
}

const EMPTY_MESSAGE = frameOf(Buffer.alloc(0));
