import test from 'ava';
import { waitFor } from '#test/support/wait-for.ts';
import { contextOf, leftovers } from '../core/build/support.ts';
import { tarOf } from '../core/image/support.ts';
import { startRegistry } from '../core/registry/registry-process.ts';
import { type Answer, messages, openApi, query } from './image-api.ts';

test('api: images are listed and inspected with the fields that clients were built against', async (t) => {
  const api = await openApi(t);
  const [item] = JSON.parse((await api.ask('GET', '/v1.43/images/json')).text) as Record<string, unknown>[];
  const size = api.store.sizeOf(api.base);
  t.deepEqual(item, {
    Id: api.base.id,
    ParentId: '',
    RepoTags: ['busybox:latest'],
    RepoDigests: [],
    Created: Math.floor(Date.parse(api.base.config.created ?? '') / 1000),
    Size: size,
    VirtualSize: size,
    SharedSize: -1,
    Labels: null,
    Containers: -1,
  });
  const inspected = JSON.parse((await api.ask('GET', '/images/busybox/json')).text) as Record<
    string,
    unknown
  >;
  t.like(inspected, { Id: api.base.id, Os: 'linux', Parent: '', Size: size });
  t.like(inspected['Config'], { Cmd: ['sh'], Env: null, Volumes: null, Labels: null, Hostname: '' });
  t.false('VirtualSize' in inspected);
  const missing = await api.ask('GET', '/images/r.example:5000/a/b:1/json');
  t.is(missing.status, 404);
  t.deepEqual(JSON.parse(missing.text), { message: 'No such image: r.example:5000/a/b:1' });
  t.is((await api.ask('GET', `/images/json?${query({ filters: '{"nope":["x"]}' })}`)).status, 400);
});

test('api: tag, history, delete', async (t) => {
  const api = await openApi(t);
  t.is(
    (await api.ask('POST', `/images/busybox/tag?${query({ repo: 'r.example/box', tag: 'v1' })}`)).status,
    201,
  );
  const history = JSON.parse((await api.ask('GET', '/images/r.example/box:v1/history')).text);
  t.like(history[0], { Id: api.base.id, CreatedBy: 'test', Comment: '' });
  t.deepEqual(history[0].Tags, ['busybox:latest', 'r.example/box:v1']);
  t.deepEqual(JSON.parse((await api.ask('DELETE', '/images/r.example/box:v1')).text), [
    { Untagged: 'r.example/box:v1' },
  ]);
  t.is((await api.ask('DELETE', '/images/r.example/box:v1')).status, 404);
});

test('api: a build is a stream of messages; one that fails says so in the last', async (t) => {
  const api = await openApi(t);
  const body = contextOf('FROM busybox\nRUN echo out; echo err >&2\n');
  const args = query({ t: 'app', buildargs: '{"A":"1","B":null}', labels: '{"l":"1"}', rm: '1' });
  const answer = await api.ask('POST', `/build?${args}`, {
    body,
    headers: { 'content-type': 'application/x-tar' },
  });
  t.is(answer.status, 200);
  t.is(answer.type, 'application/json');
  const said = messages(answer);
  t.deepEqual(said[0], { stream: 'Step 1/3 : FROM busybox\n' });
  t.true(said.some(({ stream }) => stream === 'out\n'));
  t.true(said.some(({ stream }) => stream === '\u001b[91merr\n\u001b[0m'));
  t.deepEqual(
    said.find(({ aux }) => aux !== undefined),
    { aux: { ID: api.store.resolve('app') } },
  );
  t.deepEqual(said.at(-1), { stream: 'Successfully tagged app:latest\n' });
  const failing = await api.ask('POST', '/build', { body: contextOf('FROM busybox\nRUN exit 9\n') });
  const message = "The command '/bin/sh -c exit 9' returned a non-zero code: 9";
  t.deepEqual(messages(failing).at(-1), { errorDetail: { code: 9, message }, error: message });
});

test('api: a build that is quiet gives the id alone, or all when it fails', async (t) => {
  const api = await openApi(t);
  const quiet = await api.ask('POST', '/build?q=1&t=app', {
    body: contextOf('FROM busybox\nRUN echo out\n'),
  });
  t.deepEqual(messages(quiet), [{ stream: `${api.store.resolve('app')}\n` }]);
  const failing = messages(
    await api.ask('POST', '/build?q=1', { body: contextOf('FROM busybox\nRUN echo out; exit 1\n') }),
  );
  t.true(failing.some(({ stream }) => stream === 'out\n'));
  t.true('error' in (failing.at(-1) ?? {}));
});

test('api: what is wrong with a build before it says anything is a failed request', async (t) => {
  const api = await openApi(t);
  const wrong: readonly [target: string, body: Buffer, status: number, message: RegExp][] = [
    [
      '/build',
      contextOf('FROM busybox\nFETCH x\n'),
      400,
      /^dockerfile parse error on line 2: unknown instruction: FETCH$/,
    ],
    [
      '/build?dockerfile=Other',
      contextOf('FROM busybox\n'),
      400,
      /^Cannot locate specified Dockerfile: Other$/,
    ],
    ['/build', Buffer.from('no archive'.repeat(100)), 400, /invalid tar header/],
    ['/build?t=UPPER', contextOf('FROM busybox\n'), 400, /must be lowercase/],
    ['/build?version=2', contextOf('FROM busybox\n'), 400, /^BuildKit is not supported/],
    ['/build?remote=git@x:y.git', Buffer.alloc(0), 501, /building from git@x:y.git is not supported/],
    ['/build?buildargs=nope', Buffer.alloc(0), 400, /^error reading build args/],
  ];
  for (const [target, body, status, message] of wrong) {
    const answer = await api.ask('POST', target, { body });
    t.is(answer.status, status, target);
    t.regex((JSON.parse(answer.text) as { message: string }).message, message);
  }
});

test('api: a client that leaves ends its build', async (t) => {
  const api = await openApi(t);
  const body = contextOf('FROM busybox\nRUN echo started; sleep 1000\n');
  const ended = new Promise<void>((resolve) => {
    const run = api.runner.run.bind(api.runner);
    api.runner.run = (step) => run(step).finally(resolve);
  });
  await api.ask('POST', '/build', {
    body,
    onPiece: (text) => (text.includes('"started\\n"') ? 'leave' : undefined),
  });
  await ended;
  // What is left to do after that is clearing away, which nobody is told of.
  await t.notThrowsAsync(waitFor('nothing is left of it', () => leftovers(api).length === 0));
});

test('api: a build is cancelled by its name', async (t) => {
  const api = await openApi(t);
  let cancelled: Promise<Answer> | undefined;
  const answer = await api.ask('POST', '/build?buildid=mine', {
    body: contextOf('FROM busybox\nRUN echo started; sleep 1000\n'),
    onPiece: (text) => {
      if (text.includes('"started\\n"')) cancelled ??= api.ask('POST', '/build/cancel?id=mine');
      return undefined;
    },
  });
  t.like(messages(answer).at(-1), { error: 'Build cancelled' });
  t.is((await cancelled)?.status, 204);
  t.is((await api.ask('POST', '/build/cancel')).status, 400);
});

test('api: import, save and load', async (t) => {
  const api = await openApi(t);
  const changes = query({ fromSrc: '-', repo: 'made', tag: '1', message: 'mine', changes: 'CMD ["/x"]' });
  const imported = await api.ask('POST', `/images/create?${changes}`, {
    body: tarOf({ name: 'x', content: 'x' }),
  });
  t.deepEqual(messages(imported), [{ status: api.store.resolve('made:1') }]);
  t.deepEqual(api.store.find('made:1').config.config?.Cmd, ['/x']);
  const bad = await api.ask('POST', '/images/create?fromSrc=-&changes=RUN%20x', { body: Buffer.alloc(1024) });
  t.deepEqual([bad.status, JSON.parse(bad.text)], [400, { message: 'run is not a valid change command' }]);
  const saved = await api.ask('GET', '/images/get?names=made:1');
  t.is(saved.type, 'application/x-tar');
  await api.ask('DELETE', '/images/made:1');
  const loaded = await api.ask('POST', '/images/load?quiet=1', { body: Buffer.from(saved.text, 'latin1') });
  t.deepEqual(messages(loaded), [{ stream: 'Loaded image: made:1\n' }]);
  t.is((await api.ask('GET', '/images/nowhere/get')).status, 404);
});

test('api: push and pull tell of their progress as Docker does', async (t) => {
  const api = await openApi(t);
  const { host } = await startRegistry(t);
  await api.ask('POST', `/images/busybox/tag?${query({ repo: `${host}/box`, tag: '1' })}`);
  const pushed = messages(
    await api.ask('POST', `/images/${host}/box/push?tag=1`, { headers: { 'x-registry-auth': 'e30=' } }),
  );
  const layer = api.base.content.layers[0]?.digest.slice(7, 19);
  const { digest, size } = api.base.manifest;
  t.deepEqual(pushed[0], { status: `The push refers to repository [${host}/box]` });
  t.deepEqual(pushed[1], { status: 'Preparing', progressDetail: {}, id: layer });
  t.true(
    pushed.some(
      ({ status, progress }) => status === 'Pushing' && /^\[=+> *\] +\S+B\/\S+B$/.test(String(progress)),
    ),
  );
  t.deepEqual(pushed.at(-2), { status: `1: digest: ${digest} size: ${size}` });
  t.deepEqual(pushed.at(-1), { progressDetail: {}, aux: { Tag: '1', Digest: digest, Size: size } });
  const pulled = messages(
    await api.ask('POST', `/images/create?${query({ fromImage: `${host}/box`, tag: '1' })}`),
  );
  t.deepEqual(pulled[0], { status: 'Pulling from box', id: '1' });
  t.deepEqual(pulled[1], { status: 'Already exists', progressDetail: {}, id: layer });
  t.deepEqual(pulled.slice(-2), [
    { status: `Digest: ${digest}` },
    { status: `Status: Image is up to date for ${host}/box:1` },
  ]);
  const missing = await api.ask('POST', `/images/create?${query({ fromImage: `${host}/box`, tag: '2' })}`);
  t.is(missing.status, 404);
  t.regex(missing.text, /manifest for .*\/box:2 not found: manifest unknown: manifest unknown/);
  const described = JSON.parse((await api.ask('GET', `/distribution/${host}/box:1/json`)).text);
  t.deepEqual(described.Descriptor, { mediaType: api.base.manifest.mediaType, digest, size });
  t.like(described.Platforms[0], { os: 'linux' });
  const login = { username: 'me', password: 'x', serveraddress: host };
  const headers = { 'content-type': 'application/json' };
  const auth = await api.ask('POST', '/auth', { body: JSON.stringify(login), headers });
  t.deepEqual(JSON.parse(auth.text), { IdentityToken: '', Status: 'Login Succeeded' });
});

test('api: prunes say what went', async (t) => {
  const api = await openApi(t);
  await api.ask('POST', '/build', { body: contextOf('FROM busybox\nRUN echo 12345 > /x\n') });
  t.deepEqual(JSON.parse((await api.ask('POST', '/images/prune?filters={"label":["none"]}')).text), {
    ImagesDeleted: null,
    SpaceReclaimed: 0,
  });
  const pruned = JSON.parse((await api.ask('POST', '/build/prune')).text);
  t.is(pruned.SpaceReclaimed, 6);
  t.is(pruned.CachesDeleted.length, 2);
  t.is((await api.ask('GET', '/images/search?term=x')).status, 501);
});
