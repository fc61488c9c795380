import test from 'ava';
import { dialError } from '#agent/core/registry/dial-error.ts';
import { endpointsOf, isInsecure } from '#agent/core/registry/endpoints.ts';

test('endpoints: the default registry has mirrors before it, for pulls alone', (t) => {
  const opts = { mirrors: ['https://mirror.example', 'http://127.0.0.1:5000'] };
  const pulls = endpointsOf('docker.io', opts, 'pull');
  t.deepEqual(
    pulls.map(({ url, mirror, insecure }) => [url.host, mirror, insecure]),
    [
      ['mirror.example', true, false],
      ['127.0.0.1:5000', true, true],
      ['registry-1.docker.io', false, false],
    ],
  );
  t.is(endpointsOf('docker.io', opts, 'push').length, 1);
  t.deepEqual(
    endpointsOf('r.example', opts, 'pull').map(({ url }) => url.href),
    ['https://r.example/'],
  );
  t.throws(() => endpointsOf('docker.io', { mirrors: ['mirror'] }, 'pull'), {
    message: /^invalid mirror: "mirror"/,
  });
});

test('endpoints: plain HTTP is tried where it is allowed, after TLS', (t) => {
  const urls = endpointsOf('127.0.0.1:5000', {}, 'push').map(({ url }) => url.href);
  t.deepEqual(urls, ['https://127.0.0.1:5000/', 'http://127.0.0.1:5000/']);
});

test('endpoints: loopback is insecure by default, others when they are listed', (t) => {
  const listed = { insecure: ['r.example:5000', 'plain.example', '10.0.0.0/8', 'fd00::/8'] };
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1', '127.9.9.9:80', '[::1]:5000']) {
    t.true(isInsecure(host, {}), host);
  }
  for (const host of ['r.example:5000', 'plain.example:1234', '10.1.2.3:5000', '[fd00::1]:5000']) {
    t.true(isInsecure(host, listed), host);
    t.false(isInsecure(host, {}), host);
  }
  for (const host of ['r.example', '11.0.0.1', 'localhost.example']) t.false(isInsecure(host, listed), host);
});

test('dial errors: have the words that clients know', (t) => {
  const url = new URL('https://r.example/v2/');
  const said = (error: object): string =>
    dialError(Object.assign(new Error('raw'), error), 'GET', url).message;
  t.is(said({ code: 'ENOTFOUND' }), 'Get "https://r.example/v2/": dial tcp: lookup r.example: no such host');
  t.is(
    said({ code: 'ECONNREFUSED', address: '10.0.0.1' }),
    'Get "https://r.example/v2/": dial tcp 10.0.0.1:443: connect: connection refused',
  );
  t.is(
    said({ code: 'ENETUNREACH', address: 'fd00::1' }).endsWith(
      'dial tcp [fd00::1]:443: connect: network is unreachable',
    ),
    true,
  );
  t.regex(
    said({ errors: [{ code: 'ETIMEDOUT', address: '10.0.0.1' }] }),
    /dial tcp 10\.0\.0\.1:443: i\/o timeout$/,
  );
  t.regex(said({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), /x509: certificate signed by unknown authority$/);
  t.is(said({ code: 'ESOMETHING' }), 'Get "https://r.example/v2/": raw');
});
