import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { type ApiServer, serveApi } from '#proto/http/server.ts';
import { empty, json, type Route, stream } from '#proto/http/types.ts';

const folder = mkdtempSync(join(tmpdir(), 'shoal-test-http-'));
const path = join(folder, 'api.sock');
let server: ApiServer;
/** Rejects to whoever waits for the client of `/for-ever` to go. */
const gone = Promise.withResolvers<void>();

const routes: Route[] = [
  {
    method: 'GET',
    path: '/thing/{name}',
    handle: ({ params, version }) => json({ name: params['name'], minor: version.minor }),
  },
  { method: 'POST', path: '/json', handle: async (request) => json(await request.json()) },
  {
    method: 'POST',
    path: '/stopped',
    handle: () => Promise.reject(new ShoalError('NOT_MODIFIED', 'stands already')),
  },
  {
    method: 'GET',
    path: '/lost',
    handle: () => Promise.reject(new ShoalError('NOT_FOUND', 'No such thing: lost')),
  },
  { method: 'DELETE', path: '/thing', handle: () => empty() },
  { method: 'GET', path: '/big', handle: () => stream('text/plain', big()) },
  { method: 'GET', path: '/broken', handle: () => stream('text/plain', broken()) },
  { method: 'GET', path: '/for-ever', handle: ({ signal }) => stream('text/plain', forEver(signal)) },
  {
    method: 'POST',
    path: '/echo',
    handle: async (request) => {
      const asked =
        Number(request.headers['content-length'] ?? 0) > 0 ? await request.json<{ end?: string }>() : {};
      const client = request.hijack('application/vnd.docker.raw-stream');
      client.on('data', (data) => client.write(`<${data}>`));
      client.once('end', () => client.end(asked.end ?? 'end'));
      return { kind: 'hijacked' };
    },
  },
  { method: 'POST', path: '/refuse', handle: () => Promise.reject(new ShoalError('CONFLICT', 'not now')) },
];

async function* big(): AsyncGenerator<Buffer> {
  for (let count = 0; count < 100; count += 1) yield Buffer.alloc(100_000);
}

async function* broken(): AsyncGenerator<string> {
  yield 'first';
  throw new Error('and no more');
}

async function* forEver(signal: AbortSignal): AsyncGenerator<string> {
  yield 'on and on';
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  gone.resolve();
}

test.before(async () => {
  const listen = [{ kind: 'unix', path } as const, { kind: 'tcp', host: '127.0.0.1', port: 0 } as const];
  server = await serveApi({ listen, routes, headers: () => ({ 'X-Extra': 'yes' }) }, { log: nullLog });
});

test.after.always(async (t) => {
  await server[Symbol.asyncDispose]();
  t.false(existsSync(path), 'no socket file is left');
  rmSync(folder, { recursive: true });
});

async function ask(
  method: string,
  target: string,
  body?: string,
  type = 'application/json',
): Promise<IncomingMessage> {
  const headers =
    body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) };
  const request = httpRequest({ socketPath: path, method, path: target, headers });
  const response = once(request, 'response') as Promise<[IncomingMessage]>;
  // A connection may break off after the answer: tests that care look at the answer itself.
  request.on('error', () => undefined);
  request.end(body);
  return (await response)[0];
}

async function message(response: IncomingMessage): Promise<string> {
  return (JSON.parse(await text(response)) as { message: string }).message;
}

test('every answer carries the headers that Docker sends, and those of the house', async (t) => {
  const { headers } = await ask('GET', '/thing/a');
  t.is(headers['api-version'], '1.51');
  t.is(headers['ostype'], 'linux');
  t.regex(String(headers['server']), /^Docker\/.* \(linux\)$/);
  t.is(headers['docker-experimental'], 'false');
  t.is(headers['x-extra'], 'yes');
});

test('a route answers with and without a version before it', async (t) => {
  t.deepEqual(JSON.parse(await text(await ask('GET', '/thing/a%20b'))), { name: 'a b', minor: 51 });
  t.deepEqual(JSON.parse(await text(await ask('GET', '/v1.40/thing/x'))), { name: 'x', minor: 40 });
});

test('versions that are not spoken are refused in words that clients know', async (t) => {
  const old = await ask('GET', '/v1.12/thing/a');
  t.is(old.statusCode, 400);
  t.is(
    await message(old),
    'client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
  );
  t.is(
    await message(await ask('GET', '/v1.99/thing/a')),
    'client version 1.99 is too new. Maximum supported API version is 1.51',
  );
});

test('failures: their status, their message as JSON; an unknown page; not modified without a body', async (t) => {
  const lost = await ask('GET', '/lost');
  t.is(lost.statusCode, 404);
  t.is(lost.headers['content-type'], 'application/json');
  t.is(await message(lost), 'No such thing: lost');
  const unknown = await ask('GET', '/nowhere');
  t.is(unknown.statusCode, 404);
  t.is(await message(unknown), 'page not found');
  t.is(await message(await ask('POST', '/thing/a')), 'page not found');
  const still = await ask('POST', '/stopped');
  t.is(still.statusCode, 304);
  t.is(await text(still), '');
  t.is((await ask('DELETE', '/thing')).statusCode, 204);
});

test('bodies: JSON only, whole, not too much of it, and said to be JSON', async (t) => {
  t.is(await text(await ask('POST', '/json', '{"a":1}')), '{"a":1}\n');
  t.is(await message(await ask('POST', '/json', '')), 'invalid JSON: got EOF while reading request body');
  t.regex(await message(await ask('POST', '/json', '{"a":')), /^invalid JSON: /);
  t.is(await message(await ask('POST', '/json', '{"a":1} {}')), 'unexpected content after JSON');
  t.regex(await message(await ask('POST', '/json', '{}', 'text/plain')), /unsupported Content-Type header/);
  t.regex(await message(await ask('POST', '/json', `"${'x'.repeat(5_000_000)}"`)), /too large/);
});

test('streams: much comes through whole; a failure on the way breaks off', async (t) => {
  t.is((await text(await ask('GET', '/big'))).length, 10_000_000);
  const response = await ask('GET', '/broken');
  t.is(response.statusCode, 200);
  await t.throwsAsync(text(response));
});

test('a client that goes away is noticed', async (t) => {
  const response = await ask('GET', '/for-ever');
  response.once('data', () => response.destroy());
  await gone.promise;
  t.pass();
});

test('HEAD is answered only where there is such a page', async (t) => {
  t.is((await ask('HEAD', '/thing/a')).statusCode, 404);
});

/** Sends bytes, and resolves with everything that came back until the other side ended. */
async function converse(socket: Socket, first: string, after: string): Promise<string> {
  socket.write(first);
  const got: string[] = [];
  for await (const data of socket) {
    got.push(String(data));
    if (got.join('').includes(after)) socket.end();
  }
  return got.join('');
}

const UPGRADE = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n';

test('upgrade: bytes go both ways, those that came with the head first; one side ends before the other', async (t) => {
  const body = '{"end":"bye"}';
  const head = `POST /v1.44/echo HTTP/1.1\r\n${UPGRADE}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  const answer = await converse(connect({ path, allowHalfOpen: true }), `${head}${body}early`, '<early>');
  t.regex(answer, /^HTTP\/1\.1 101 UPGRADED\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\n/);
  t.true(answer.endsWith('\r\n\r\n<early>bye'));
});

test('upgrade: a body that comes in pieces', async (t) => {
  const socket = connect({ path, allowHalfOpen: true });
  socket.write(
    `POST /echo HTTP/1.1\r\n${UPGRADE}Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"end":`,
  );
  await new Promise((resolve) => setImmediate(resolve));
  const answer = await converse(socket, '"bye"}late', '<late>');
  t.true(answer.endsWith('<late>bye'));
});

test('upgrade: what is refused is answered as ever', async (t) => {
  const socket = connect({ path, allowHalfOpen: true });
  socket.write(`POST /refuse HTTP/1.1\r\n${UPGRADE}\r\n`);
  const answer = await text(socket);
  t.regex(answer, /^HTTP\/1\.1 409 Conflict\r\n/);
  t.true(answer.includes('{"message":"not now"}'));
});

test('upgrade: who asks for another protocol gets the plain answer', async (t) => {
  const socket = connect(path);
  socket.write(
    'GET /thing/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\r\n',
  );
  t.regex(await text(socket), /^HTTP\/1\.1 200 OK/);
});

test('take-over without upgrade: answered with 200, then bytes both ways', async (t) => {
  const socket = connect({ path, allowHalfOpen: true });
  socket.write('POST /echo HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'readable');
  const answer = await converse(socket, 'later', '<later>');
  t.regex(answer, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\n/);
  t.true(answer.endsWith('<later>end'));
});

test('sockets: the file is for root and its group alone; TCP says where it listens', async (t) => {
  t.is(statSync(path).mode & 0o777, 0o660);
  t.regex(server.addresses[1] as string, /^127\.0\.0\.1:\d+$/);
  const response = await fetch(`http://${server.addresses[1]}/thing/tcp`);
  t.is(response.status, 200);
});

test('a socket file that a crash left is no obstacle; closing does not wait for who holds a connection', async (t) => {
  const again = join(folder, 'again.sock');
  const first = await serveApi({ listen: [{ kind: 'unix', path: again }], routes }, { log: nullLog });
  const idle = connect(again).on('error', () => undefined);
  await once(idle, 'connect');
  await first[Symbol.asyncDispose]();
  t.false(existsSync(again));
});

test('TLS: with a certificate of clients required, those without one are not heard', async (t) => {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
  for (const name of ['ca', 'node'])
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      file(`${name}.key`),
      '-out',
      file(`${name}.crt`),
    );
  const pem = (name: string) => readFileSync(file(name), 'utf8');
  const tls = { cert: pem('node.crt'), key: pem('node.key'), ca: pem('ca.crt') };
  await using secure = await serveApi(
    { listen: [{ kind: 'tcp', host: '127.0.0.1', port: 0, tls }], routes },
    { log: nullLog },
  );
  const port = Number(secure.addresses[0]?.split(':')[1]);
  const answer = async (opts: object): Promise<number | undefined> => {
    const request = httpsRequest({
      host: '127.0.0.1',
      port,
      path: '/thing/a',
      ca: pem('node.crt'),
      agent: false,
      ...opts,
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  };
  t.is(await answer({ cert: pem('ca.crt'), key: pem('ca.key') }), 200);
  await t.throwsAsync(answer({}));
});
