import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RegistryAuth } from '#agent/core/engine.ts';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import { Images } from '#agent/core/image/images.ts';
import { noProgress, type Progress } from '#agent/core/image/progress.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import { HttpClient } from '#agent/core/registry/http.ts';
import { push } from '#agent/core/registry/push.ts';
import type { RegistriesOpts } from '#agent/core/registry/registries.ts';
import { Registries } from '#agent/core/registry/registries.ts';
import { systemClock } from '#proto/base/clock.ts';
import { codeOf, ShoalError } from '#proto/base/errors.ts';
import { makeImage, openStore, scratch } from '../image/support.ts';
import { skopeo, startRegistry } from './registry-process.ts';

interface Node {
  readonly store: ImageStore;
  readonly images: Images;
  readonly registries: Registries;
}

async function openNode(t: ExecutionContext, opts: RegistriesOpts = {}): Promise<Node> {
  const store = await openStore(t);
  const registries = new Registries(opts, { clock: systemClock });
  t.teardown(() => registries[Symbol.dispose]());
  return { store, registries, images: new Images({ store, registries }) };
}

async function pullLines(node: Node, name: string, auth?: RegistryAuth): Promise<Progress[]> {
  const lines: Progress[] = [];
  await node.images.pull(parseReference(name), { auth, progress: (line) => void lines.push(line) });
  return lines;
}

async function pushLines(node: Node, name: string, auth?: RegistryAuth): Promise<Progress[]> {
  const lines: Progress[] = [];
  await push(parseReference(name), { auth, progress: (line) => void lines.push(line) }, node);
  return lines;
}

/** Without the lines in between, which depend on how fast it went. */
function milestones(lines: readonly Progress[]): string[] {
  const passing = ['Downloading', 'Extracting', 'Pushing', 'Waiting', 'Verifying Checksum', 'Preparing'];
  return lines
    .filter(({ status }) => !passing.includes(status))
    .map(({ id, status, aux }) =>
      aux === undefined ? `${id === undefined ? '' : `${id}: `}${status}` : JSON.stringify(aux),
    );
}

async function failure(work: Promise<unknown>): Promise<ShoalError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ShoalError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const FILES = [
  { name: 'etc', type: 'directory' as const, mode: 0o755 },
  { name: 'etc/motd', content: 'hello'.repeat(50_000) },
  { name: 'bin/tool', content: 'tool', mode: 0o4755, xattrs: { 'user.note': 'kept' } },
];

test('registry: what one node pushes another pulls, with the lines Docker prints', async (t) => {
  const { host } = await startRegistry(t);
  const [one, two] = [await openNode(t), await openNode(t)];
  const base = await makeImage(one.store, { files: FILES });
  const image = await makeImage(one.store, {
    base,
    files: [{ name: 'app', content: 'app' }],
    name: `${host}/team/app:1`,
  });
  const [lower, upper] = image.content.layers.map(({ digest }) => digest.slice(7, 19));
  const digest = image.manifest.digest;

  const pushed = milestones(await pushLines(one, `${host}/team/app:1`));
  t.is(pushed[0], `The push refers to repository [${host}/team/app]`);
  t.deepEqual(pushed.slice(1, -2).sort(), [`${lower}: Pushed`, `${upper}: Pushed`].sort());
  t.is(pushed.at(-2), `1: digest: ${digest} size: ${image.manifest.size}`);
  t.is(pushed.at(-1), JSON.stringify({ Tag: '1', Digest: digest, Size: image.manifest.size }));
  t.is(one.store.resolve(`${host}/team/app@${digest}`), image.id, 'the digest is a name now');

  const pulled = milestones(await pullLines(two, `${host}/team/app:1`));
  t.is(pulled[0], '1: Pulling from team/app');
  t.deepEqual(pulled.slice(1, 3), [`${lower}: Pulling fs layer`, `${upper}: Pulling fs layer`]);
  t.deepEqual(
    pulled.filter((line) => line.endsWith('Pull complete')),
    [`${lower}: Pull complete`, `${upper}: Pull complete`],
  );
  t.deepEqual(pulled.slice(-2), [
    `Digest: ${digest}`,
    `Status: Downloaded newer image for ${host}/team/app:1`,
  ]);
  t.is(two.store.resolve(`${host}/team/app:1`), image.id);
  t.is(readFileSync(join(two.store.layers(image.id)[1] as string, 'etc/motd'), 'utf8').length, 250_000);

  const again = milestones(await pullLines(two, `${host}/team/app:1`));
  t.deepEqual(again.slice(1, 3), [`${lower}: Already exists`, `${upper}: Already exists`]);
  t.is(again.at(-1), `Status: Image is up to date for ${host}/team/app:1`);
  const repeated = milestones(await pushLines(one, `${host}/team/app:1`));
  t.deepEqual(
    repeated.slice(1, 3).sort(),
    [`${lower}: Layer already exists`, `${upper}: Layer already exists`].sort(),
  );
  t.deepEqual(
    JSON.parse(skopeo('inspect', '--tls-verify=false', `docker://${host}/team/app:1`)).Digest,
    digest,
  );
});

test('registry: images of other tools are pulled, schema 2 and OCI, with any compression', async (t) => {
  const { host } = await startRegistry(t);
  const [one, two] = [await openNode(t), await openNode(t)];
  await makeImage(one.store, { files: FILES, name: 'app:1', run: { Cmd: ['/x'] } });
  const layout = `oci:${one.store.root}:1`;
  for (const [tag, args] of Object.entries({
    v2s2: ['--format', 'v2s2'],
    oci: ['--format', 'oci'],
    zstd: ['--dest-compress-format', 'zstd', '--dest-compress'],
  })) {
    skopeo('copy', '--dest-tls-verify=false', ...args, layout, `docker://${host}/lib/app:${tag}`);
    await two.images.ensure(`${host}/lib/app:${tag}`);
    const id = two.store.resolve(`${host}/lib/app:${tag}`);
    t.is(readFileSync(join(two.store.layers(id)[0] as string, 'bin/tool'), 'utf8'), 'tool', tag);
    t.deepEqual(two.store.config(id).config?.Cmd, ['/x'], tag);
  }
});

test('registry: what is not there, or not for us, is said as Docker says it', async (t) => {
  const { host } = await startRegistry(t);
  const node = await openNode(t);
  await makeImage(node.store, { files: FILES, name: `${host}/app:1` });
  await pushLines(node, `${host}/app:1`);
  const manifest = await failure(pullLines(node, `${host}/app:2`));
  t.is(manifest.message, `manifest for ${host}/app:2 not found: manifest unknown: manifest unknown`);
  t.is(manifest.code, 'NOT_FOUND');
  const digest = `sha256:${'0'.repeat(64)}`;
  t.is((await failure(node.images.ensure(`${host}/app@${digest}`))).code, 'NOT_FOUND');
  t.is(
    (await failure(pushLines(node, `${host}/none:1`))).message,
    `An image does not exist locally with the tag: ${host}/none`,
  );
  t.is((await failure(pushLines(node, `${host}/app:9`))).message, `tag does not exist: ${host}/app:9`);
  t.deepEqual(readdirSync(join(node.store.root, 'tmp')), []);
});

test('registry: where nobody listens, the dial error is shown', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  const node = await openNode(t);
  const error = await failure(pullLines(node, `127.0.0.1:${port}/app`));
  t.is(error.code, 'UNAVAILABLE');
  t.is(
    error.message,
    `Get "http://127.0.0.1:${port}/v2/": dial tcp 127.0.0.1:${port}: connect: connection refused`,
  );
});

const PASSWORD = 'correct horse';

function bcrypt(password: string): string {
  const script =
    'import crypt,sys;print(crypt.crypt(sys.argv[1],crypt.mksalt(crypt.METHOD_BLOWFISH,rounds=16)))';
  return execFileSync('python3', ['-Wignore', '-c', script, password]).toString().trim();
}

test('registry: credentials are shown to those who ask for them, and wrong ones refused', async (t) => {
  const { host } = await startRegistry(t, { htpasswd: `me:${bcrypt(PASSWORD)}\n` });
  const node = await openNode(t);
  const right: RegistryAuth = { username: 'me', password: PASSWORD, serveraddress: host };
  const wrong: RegistryAuth = { ...right, password: 'wrong' };
  await makeImage(node.store, { files: FILES, name: `${host}/app:1` });
  t.is(codeOf(await failure(pushLines(node, `${host}/app:1`))), 'UNAUTHENTICATED');
  t.is(codeOf(await failure(pushLines(node, `${host}/app:1`, wrong))), 'UNAUTHENTICATED');
  await pushLines(node, `${host}/app:1`, right);
  const denied = await failure(pullLines(node, `${host}/app:1`));
  t.regex(
    denied.message,
    new RegExp(
      `^pull access denied for ${host}/app, repository does not exist or may require 'docker login': unauthorized: `,
    ),
  );
  const lines = milestones(await pullLines(node, `${host}/app:1`, right));
  t.is(lines.at(-1), `Status: Image is up to date for ${host}/app:1`);
  await node.registries.login(right);
  t.is(codeOf(await failure(node.registries.login(wrong))), 'UNAUTHENTICATED');
});

test('registry: TLS is checked, unless the registry is said to be insecure, or its authority is known', async (t) => {
  const dir = scratch(t);
  const [key, certificate] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const subject = ['-subj', '/CN=registry', '-addext', 'subjectAltName=DNS:registry.test,IP:127.0.0.1'];
  const make = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
  ];
  execFileSync('openssl', [...make, '-keyout', key, '-out', certificate, ...subject], { stdio: 'pipe' });
  const { host } = await startRegistry(t, { tls: { key, certificate } });
  const mirror = `https://${host}`;
  const trusting = await openNode(t);
  await makeImage(trusting.store, { files: FILES, name: `${host}/library/app:1` });
  await pushLines(trusting, `${host}/library/app:1`);

  const url = new URL(`${mirror}/v2/`);
  using strict = new HttpClient();
  const refused = await failure(strict.send({ method: 'GET', url }));
  t.is(
    refused.message,
    `Get "${mirror}/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
  );
  using knowing = new HttpClient({ ca: readFileSync(certificate, 'utf8') });
  const welcome = await knowing.send({ method: 'GET', url });
  welcome.drop();
  t.is(welcome.status, 200);

  const mirrored = await openNode(t, { mirrors: [mirror] });
  const lines = milestones(await pullLines(mirrored, 'app:1'));
  t.is(lines[0], '1: Pulling from library/app');
  t.is(
    lines.at(-1),
    'Status: Downloaded newer image for app:1',
    'the mirror stands for the default registry',
  );
});

test('registry: layers that another repository has are mounted from there', async (t) => {
  const { host } = await startRegistry(t);
  const node = await openNode(t);
  const image = await makeImage(node.store, { files: FILES, name: `${host}/one:1` });
  await pushLines(node, `${host}/one:1`);
  await node.store.tag(`${host}/one:1`, parseReference(`${host}/two:1`));
  const lines = milestones(await pushLines(node, `${host}/two:1`));
  t.is(lines[1], `${image.content.layers[0]?.digest.slice(7, 19)}: Mounted from one`);
});

test('registry: an index gives the image of this platform, and stays known as the index', async (t) => {
  const { host } = await startRegistry(t);
  const [one, two] = [await openNode(t), await openNode(t)];
  const image = await makeImage(one.store, { files: FILES, name: `${host}/app:here` });
  await pushLines(one, `${host}/app:here`);
  const { architecture, os } = image.config;
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      { ...image.manifest, platform: { architecture: 'riscv64', os }, digest: `sha256:${'1'.repeat(64)}` },
      { ...image.manifest, platform: { architecture, os } },
    ],
  };
  // A registry refuses an index that names what it has not; the second entry alone serves as well.
  const served = { ...index, manifests: index.manifests.slice(1) };
  const response = await fetch(`http://${host}/v2/app/manifests/multi`, {
    method: 'PUT',
    body: JSON.stringify(served),
    headers: { 'content-type': index.mediaType },
  });
  t.is(response.status, 201);
  const digest = response.headers.get('docker-content-digest') ?? '';
  const resolved = await two.images.resolve(`${host}/app:multi`);
  t.is(resolved.digest, digest);
  t.deepEqual(resolved.platforms, [{ architecture, os }]);
  await two.images.ensure(`${host}/app:multi`);
  t.is(two.store.resolve(`${host}/app:multi`), image.id);
  t.is(two.images.resolveLocal(`${host}/app:multi`)?.digest, digest);
  t.true(two.images.has(digest));
});

test('registry: all tags of a repository are pulled, and all pushed', async (t) => {
  const { host } = await startRegistry(t);
  const [one, two] = [await openNode(t), await openNode(t)];
  await makeImage(one.store, { files: FILES, name: `${host}/app:1` });
  await makeImage(one.store, { files: [{ name: 'x', content: 'x' }], name: `${host}/app:2` });
  await push(parseReference(`${host}/app`), { progress: noProgress }, one);
  await two.images.pullAll(parseReference(`${host}/app`), { progress: noProgress });
  t.is(two.store.resolve(`${host}/app:1`), one.store.resolve(`${host}/app:1`));
  t.is(two.store.resolve(`${host}/app:2`), one.store.resolve(`${host}/app:2`));
});

test('resolve: a tag that came from a registry is asked for there again, and taken as it is here when that fails', async (t) => {
  const registry = await startRegistry(t);
  const [maker, node] = [await openNode(t), await openNode(t)];
  const name = `${registry.host}/team/app:1`;
  const first = await makeImage(maker.store, { files: [{ name: 'app', content: '1' }], name });
  await pushLines(maker, name);
  await pullLines(node, name);
  const second = await makeImage(maker.store, { files: [{ name: 'app', content: '2' }], name });
  await pushLines(maker, name);

  const moved = await node.images.resolve(name);
  t.is(moved.digest, second.manifest.digest);
  t.false('mayHaveMoved' in moved);
  const pinned = `${name}@${first.manifest.digest}`;
  t.is((await node.images.resolve(pinned)).digest, first.manifest.digest, 'a digest stands for itself');

  await registry.stop();
  t.is((await node.images.resolve(name)).digest, first.manifest.digest);
});

test('resolve: what was made here stands for itself, whatever a registry has by that name', async (t) => {
  const { host } = await startRegistry(t);
  const [other, node] = [await openNode(t), await openNode(t)];
  const name = `${host}/team/app:1`;
  await makeImage(other.store, { files: [{ name: 'app', content: 'theirs' }], name });
  await pushLines(other, name);
  await pullLines(node, name);
  const own = await makeImage(node.store, { files: [{ name: 'app', content: 'ours' }], name });
  t.is((await node.images.resolve(name)).digest, own.manifest.digest);
});

test('pull: many who want the same image get it once; one who leaves does not stop the others', async (t) => {
  const { host } = await startRegistry(t);
  const [one, two] = [await openNode(t), await openNode(t)];
  const image = await makeImage(one.store, { files: FILES, name: `${host}/app:1` });
  await pushLines(one, `${host}/app:1`);
  const leaving = new AbortController();
  const first = two.images.ensure(`${host}/app:1`, undefined, leaving.signal);
  const others = [1, 2, 3].map(() => two.images.ensure(`${host}/app:1`));
  leaving.abort(new Error('no longer wanted'));
  await t.throwsAsync(first, { message: 'no longer wanted' });
  await Promise.all(others);
  t.is(two.store.resolve(`${host}/app:1`), image.id);
  t.deepEqual(readdirSync(join(two.store.root, 'tmp')), []);
});
