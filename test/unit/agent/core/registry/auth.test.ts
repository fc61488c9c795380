import test from 'ava';
import { Authorizer, parseChallenges } from '#agent/core/registry/auth.ts';
import type { HttpRequest, HttpResponse, HttpSend } from '#agent/core/registry/http.ts';
import { type FailureCode, ShoalError } from '#proto/base/errors.ts';

function answer(status: number, body: unknown, headers: HttpResponse['headers'] = {}): HttpResponse {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return {
    status,
    headers,
    body: (async function* () {
      yield bytes;
    })(),
    bytes: () => Promise.resolve(bytes),
    drop: () => undefined,
  };
}

const BEARER =
  'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:app:pull"';

function asking(header = BEARER): HttpResponse {
  return answer(401, {}, { 'www-authenticate': header });
}

interface Server {
  readonly send: HttpSend;
  readonly asked: HttpRequest[];
  nowMs: number;
}

function server(reply: (request: HttpRequest) => HttpResponse): Server {
  const asked: HttpRequest[] = [];
  return {
    asked,
    nowMs: 0,
    send: (request) => {
      asked.push(request);
      return Promise.resolve(reply(request));
    },
  };
}

const SCOPES = ['repository:app:pull'];

test('challenges: schemes and parameters are read, quoted or not, several in one header', (t) => {
  t.deepEqual(parseChallenges('Basic realm="a, \\"b\\"", Bearer realm=https://x/t,service="s"'), [
    { scheme: 'basic', params: { realm: 'a, "b"' } },
    { scheme: 'bearer', params: { realm: 'https://x/t', service: 's' } },
  ]);
  t.deepEqual(parseChallenges(''), []);
});

test('tokens: asked for once per scope, with the service and the scope, and kept until they expire', async (t) => {
  const auth = server(() => answer(200, { token: `t${auth.asked.length}`, expires_in: 300 }));
  const authorizer = new Authorizer({}, { send: auth.send, clock: { monotonicMs: () => auth.nowMs } });
  t.is(await authorizer.header(SCOPES), undefined, 'nobody has asked for anything yet');
  t.true(authorizer.take(asking()));
  t.is(await authorizer.header(SCOPES), 'Bearer t1');
  t.is(await authorizer.header(SCOPES), 'Bearer t1');
  t.is(await authorizer.header(['repository:app:pull,push']), 'Bearer t2');
  auth.nowMs = 299_000;
  t.is(await authorizer.header(SCOPES), 'Bearer t3');
  t.is(
    auth.asked[0]?.url.href,
    'https://auth.example/token?service=registry.example&scope=repository%3Aapp%3Apull',
  );
  t.is(auth.asked[0]?.headers?.['authorization'], undefined);
});

test('tokens: a name and password are shown to the authorization server', async (t) => {
  const auth = server(() => answer(200, { access_token: 'given' }));
  const credentials = { username: 'me', password: 'secret' };
  const authorizer = new Authorizer(credentials, { send: auth.send, clock: { monotonicMs: () => 0 } });
  authorizer.take(asking());
  t.is(await authorizer.header(SCOPES), 'Bearer given');
  t.is(auth.asked[0]?.headers?.['authorization'], `Basic ${Buffer.from('me:secret').toString('base64')}`);
  t.is(auth.asked[0]?.url.searchParams.get('account'), 'me');
});

test('tokens: an identity token is exchanged', async (t) => {
  const auth = server(() => answer(200, { access_token: 'given' }));
  const authorizer = new Authorizer(
    { identitytoken: 'id' },
    { send: auth.send, clock: { monotonicMs: () => 0 } },
  );
  authorizer.take(asking());
  t.is(await authorizer.header(SCOPES), 'Bearer given');
  const form = new URLSearchParams(Buffer.from(auth.asked[0]?.body as Uint8Array).toString());
  t.like(Object.fromEntries(form), { grant_type: 'refresh_token', refresh_token: 'id', scope: SCOPES[0] });
});

test('tokens: a registry token is shown as it is', async (t) => {
  const auth = server(() => answer(500, ''));
  const authorizer = new Authorizer(
    { registrytoken: 'mine' },
    { send: auth.send, clock: { monotonicMs: () => 0 } },
  );
  t.is(await authorizer.header(SCOPES), 'Bearer mine');
});

const REFUSALS: readonly [what: string, reply: HttpResponse, code: FailureCode, message: RegExp][] = [
  ['wrong password', answer(401, ''), 'UNAUTHENTICATED', /^unauthorized: incorrect username or password$/],
  ['no token in it', answer(200, {}), 'UNAVAILABLE', /did not include a token/],
  ['server in trouble', answer(503, ''), 'UNAVAILABLE', /503/],
];

for (const [what, reply, code, message] of REFUSALS) {
  test(`tokens: ${what} is said clearly`, async (t) => {
    const auth = server(() => reply);
    const credentials = { username: 'me', password: 'wrong' };
    const authorizer = new Authorizer(credentials, { send: auth.send, clock: { monotonicMs: () => 0 } });
    authorizer.take(asking());
    const error = await t.throwsAsync(authorizer.header(SCOPES), { instanceOf: ShoalError, message });
    t.is((error as ShoalError | undefined)?.code, code);
  });
}

test('challenges: what can not be answered is not taken up', async (t) => {
  const auth = server(() => answer(500, ''));
  const authorizer = new Authorizer({}, { send: auth.send, clock: { monotonicMs: () => 0 } });
  t.false(authorizer.take(asking('Negotiate')));
  t.false(authorizer.take(asking('Basic realm="x"')), 'there is nothing to show');
  t.true(authorizer.take(asking('Bearer service="x"')));
  await t.throwsAsync(authorizer.header(SCOPES), { message: /does not say where to get it/ });
});
