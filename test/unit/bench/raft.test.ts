import { connect, createServer } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import test from 'ava';
import { serveKv } from '../../bench/raft/kv-server.ts';
import { encodePut, frameOf, keyOf } from '../../bench/raft/kv-wire.ts';
import { closedLoop, quantile } from '../../bench/raft/load.ts';
import { PutClient } from '../../bench/raft/put-client.ts';

/* The parts of the Raft bench that could lie about what they measure. */

async function served(put: (request: Buffer) => Promise<unknown>) {
  const server = await serveKv(0, put);
  const client = new PutClient((server.address() as AddressInfo).port);
  return { client, [Symbol.asyncDispose]: () => closed(server, client) };
}

function closed(server: Server, client: PutClient): Promise<void> {
  client[Symbol.dispose]();
  return new Promise((resolve) => server.close(() => resolve()));
}

test('puts arrive as they were sent and are answered each for itself, however many are under way', async (t) => {
  const seen = new Map<string, number>();
  await using net = await served(async (put) => void seen.set(keyOf(put), put.length));
  const sent = Array.from({ length: 500 }, (_, at) => ({ key: `k${at}`, length: at * 3 }));
  const done = await Promise.all(
    sent.map(({ key, length }) => net.client.put(Buffer.from(key), Buffer.alloc(length % 300))),
  );
  t.true(done.every((one) => one));
  t.deepEqual(
    [...seen],
    sent.map(({ key, length }) => [key, encodePut(Buffer.from(key), Buffer.alloc(length % 300)).length]),
  );
});

test('a put that is refused counts as one that was not done, and the next is heard', async (t) => {
  let refuse = true;
  await using net = await served(async () => {
    if (refuse) throw new Error('no leader');
  });
  t.false(await net.client.put(Buffer.from('k'), Buffer.from('v')));
  refuse = false;
  t.true(await net.client.put(Buffer.from('k'), Buffer.from('v')));
});

test("the server's frames are HTTP/2 as Node's own client reads it", async (t) => {
  const server = await serveKv(0, async () => undefined);
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stream = session.request({ ':method': 'POST', ':path': '/etcdserverpb.KV/Put' });
  const status = Promise.withResolvers<unknown>();
  stream.on('trailers', (trailers) => status.resolve(trailers['grpc-status']));
  const body: Buffer[] = [];
  stream.on('data', (part: Buffer) => body.push(part));
  stream.end(frameOf(encodePut(Buffer.from('k'), Buffer.from('v'))));
  t.is(await status.promise, '0');
  t.deepEqual(Buffer.concat(body), Buffer.alloc(5));
  session.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test("the client's frames are HTTP/2 as Node's own server reads it", async (t) => {
  const server = createServer();
  const seen = Promise.withResolvers<unknown>();
  server.on('stream', (stream, headers) => {
    seen.resolve([headers[':path'], headers[':method'], headers['content-type'], headers['te']]);
    stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  using client = new PutClient((server.address() as AddressInfo).port);
  t.false(await client.put(Buffer.from('k'), Buffer.from('v')));
  t.deepEqual(await seen.promise, ['/etcdserverpb.KV/Put', 'POST', 'application/grpc', 'trailers']);
  server.close();
});

test('what is under way when the server goes was not done', async (t) => {
  const begun = Promise.withResolvers<void>();
  const net = await served(async () => {
    begun.resolve();
    await new Promise(() => undefined);
  });
  const put = net.client.put(Buffer.from('k'), Buffer.from('v'));
  await begun.promise;
  await net[Symbol.asyncDispose]();
  t.false(await put);
  t.true(net.client.closed);
  t.false(await net.client.put(Buffer.from('k'), Buffer.from('v')));
});

test('a load has as many writes under way as it has writers', async (t) => {
  let underWay = 0;
  let most = 0;
  let atMs = 0;
  const write = async (): Promise<void> => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
    atMs += 1;
  };
  const load = await closedLoop(7, 50, write, () => atMs);
  t.is(most, 7);
  t.true(load.perSecond > 0 && load.p50Us <= load.p99Us);
});

test('a quantile is a value that was measured', (t) => {
  const values = Array.from({ length: 100 }, (_, at) => 99 - at);
  t.deepEqual([quantile(values, 0.5), quantile(values, 0.99), quantile([4], 0.99)], [50, 99, 4]);
  t.throws(() => quantile([], 0.5), { message: /no values/ });
});
