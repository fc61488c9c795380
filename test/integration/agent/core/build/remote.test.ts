import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { ShoalError } from '#proto/base/errors.ts';
import { buildOf, contextOf, fileIn, leftovers, openBench } from './support.ts';

/** A web server on loopback; gives its address. */
async function serve(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('add: a file from elsewhere is taken by its name there, belongs to root alone, and is never unpacked', async (t) => {
  const bench = await openBench(t);
  const tar = contextOf('inside');
  const url = await serve(t, (request, response) => {
    if (request.url === '/moved') return void response.writeHead(302, { location: '/files/a%20b.txt' }).end();
    response.setHeader('last-modified', 'Thu, 01 Jan 2015 00:00:00 GMT');
    response.end(request.url === '/x.tar' ? tar : `content of ${request.url}`);
  });
  const dockerfile = [
    'FROM busybox',
    `ADD ${url}/files/a.txt?x=1 ${url}/x.tar /got/`,
    `ADD --chown=web ${url}/moved /one`,
    'RUN stat -c "%n %a %u %Y" /got/a.txt /one && ls /got',
  ];
  const { image, out } = await buildOf(bench, contextOf(dockerfile.join('\n')));
  t.is(fileIn(bench, image, 'got/a.txt'), 'content of /files/a.txt?x=1');
  t.is(fileIn(bench, image, 'one'), 'content of /files/a%20b.txt');
  t.true(out.said.includes('/got/a.txt 600 0 1420070400\n/one 600 101 1420070400\na.txt\nx.tar\n'), out.said);
  t.deepEqual(leftovers(bench), []);
});

test('add: what is elsewhere is cached by its content', async (t) => {
  const bench = await openBench(t);
  let content = 'one';
  const url = await serve(t, (_request, response) => void response.end(content));
  const context = contextOf(`FROM busybox\nADD ${url}/f /f\n`);
  const first = await buildOf(bench, context);
  const second = await buildOf(bench, context);
  t.is(second.image.id, first.image.id);
  t.regex(second.out.said, /Using cache/);
  content = 'two';
  const third = await buildOf(bench, context);
  t.is(fileIn(bench, third.image, 'f'), 'two');
});

test('add: a refusal, a transfer that breaks off and an address without a name say what is wrong', async (t) => {
  const bench = await openBench(t);
  const url = await serve(t, (request, response) => {
    if (request.url === '/none') return void response.writeHead(404).end('no such thing');
    response.writeHead(200, { 'content-length': '1000' });
    response.write('short', () => response.destroy());
  });
  const cases: readonly [path: string, message: RegExp][] = [
    ['/none', /^ADD failed: failed to GET http:.*\/none with status 404: no such thing$/],
    ['/broken', /^ADD failed: /],
    ['/', /^ADD failed: cannot determine filename from url/],
  ];
  for (const [path, message] of cases) {
    const context = contextOf(`FROM busybox\nADD ${url}${path} /\n`);
    await t.throwsAsync(buildOf(bench, context), { instanceOf: ShoalError, message }, path);
    t.deepEqual(leftovers(bench), []);
  }
});
