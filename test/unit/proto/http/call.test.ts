import test from 'ava';
import { ShoalError } from '#proto/base/errors.ts';
import { callApi } from '#proto/http/call.ts';
import { json, type Route, stream } from '#proto/http/types.ts';

const routes: Route[] = [
  { method: 'POST', path: '/echo', handle: async (request) => json(await request.json(), 201) },
  { method: 'GET', path: '/parts', handle: () => stream('text/plain', parts()) },
  { method: 'GET', path: '/lost', handle: () => Promise.reject(new ShoalError('NOT_FOUND', 'lost')) },
  {
    method: 'POST',
    path: '/attach',
    handle: (request) => {
      request.hijack('x');
      return { kind: 'hijacked' };
    },
  },
];

async function* parts(): AsyncGenerator<string> {
  yield 'a';
  yield 'b';
}

const call = (method: string, target: string, body = '') =>
  callApi(
    routes,
    { method, target, headers: { 'content-type': 'application/json' }, body: Buffer.from(body) },
    new AbortController().signal,
  );

test('a request runs without a socket, and its whole reply comes back', async (t) => {
  const { status, headers, body } = await call('POST', '/v1.44/echo?x=1', '{"a":1}');
  t.is(status, 201);
  t.is(headers['content-type'], 'application/json');
  t.is(body.toString(), '{"a":1}\n');
  t.is((await call('GET', '/parts')).body.toString(), 'ab');
});

test('failures come back as they would over a socket', async (t) => {
  const { status, body } = await call('GET', '/lost');
  t.is(status, 404);
  t.deepEqual(JSON.parse(body.toString()), { message: 'lost' });
  t.is((await call('GET', '/nowhere')).status, 404);
  t.is((await call('POST', '/attach')).status, 501);
});
