import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { contextOf, fileIn } from '../core/build/support.ts';
import { tarOf } from '../core/image/support.ts';
import { messages, openApi } from './image-api.ts';

/** A web server on loopback with these files; gives its address. */
async function serve(t: ExecutionContext, files: Readonly<Record<string, Buffer | string>>): Promise<string> {
  const server = createServer((request, response) => {
    const body = files[request.url ?? ''];
    if (body === undefined) response.writeHead(404).end('nothing here');
    else response.end(body);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('api: a build takes its context from elsewhere, an archive or a Dockerfile alone', async (t) => {
  const api = await openApi(t);
  const dockerfile = 'FROM busybox\nENV FROM=web\n';
  const url = await serve(t, {
    '/context.tar.gz': gzipSync(contextOf('FROM busybox\nCOPY f /f\n', { f: 'from elsewhere' })),
    '/Dockerfile': dockerfile,
    '/none': 'x'.repeat(5 * 1024 * 1024),
  });
  const remote = async (path: string, tag: string): Promise<string> =>
    (await api.ask('POST', `/build?t=${tag}&remote=${encodeURIComponent(url + path)}`)).text;
  t.regex(await remote('/context.tar.gz', 'one'), /Successfully tagged one:latest/);
  t.is(fileIn(api, api.store.find('one'), 'f'), 'from elsewhere');
  t.regex(await remote('/Dockerfile', 'two'), /Successfully tagged two:latest/);
  t.true(api.store.find('two').config.config?.Env?.includes('FROM=web'));
  t.regex(await remote('/none', 'three'), /is neither an archive nor a Dockerfile/);
  t.regex(await remote('/missing', 'three'), /failed to GET .* with status 404: nothing here/);
});

test('api: an image is imported from elsewhere', async (t) => {
  const api = await openApi(t);
  const url = await serve(t, { '/root.tar': tarOf({ name: 'a', content: 'A' }) });
  const source = encodeURIComponent(`${url.slice('http://'.length)}/root.tar`);
  const answer = await api.ask('POST', `/images/create?fromSrc=${source}&repo=made&tag=1`);
  t.is(messages(answer)[0]?.['status'], `Downloading from ${url}/root.tar`);
  t.is(messages(answer).at(-1)?.['status'], api.store.resolve('made:1'));
  const missing = await api.ask('POST', `/images/create?fromSrc=${encodeURIComponent(`${url}/no`)}`);
  t.regex(String(messages(missing).at(-1)?.['error']), /with status 404/);
});
