import { execFileSync } from 'node:child_process';
import { createReadStream, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import { loadedLines, loadImages } from '#agent/core/image/load.ts';
import { noProgress } from '#agent/core/image/progress.ts';
import { pruneImages } from '#agent/core/image/prune.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import { saveImages } from '#agent/core/image/save.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { makeImage, openStore, scratch, sha256, tarOf } from './support.ts';

const FILES = [{ name: 'app', content: 'app', mode: 0o755 }];

async function saved(store: ImageStore, ...names: readonly string[]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of saveImages(store, names)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
}

async function load(store: ImageStore, bytes: Buffer): Promise<string[]> {
  return loadedLines(await loadImages(store, pieces(bytes), { progress: noProgress }));
}

function skopeo(...args: readonly string[]): string {
  return execFileSync('skopeo', ['--insecure-policy', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  }).toString();
}

test('save and load: images, names and digests are the same on another node', async (t) => {
  const [one, two] = [await openStore(t), await openStore(t)];
  const base = await makeImage(one, { files: [{ name: 'etc/base', content: 'base' }], name: 'base' });
  const app = await makeImage(one, { base, files: FILES, name: 'me/app:1', run: { Cmd: ['/app'] } });
  await one.tag('me/app:1', parseReference('me/app:2'));
  const bare = await makeImage(one, { files: [{ name: 'bare', content: 'bare' }] });
  const archive = await saved(one, 'me/app', 'base:latest', bare.id);
  t.deepEqual(await load(two, archive), [
    'Loaded image: me/app:1',
    'Loaded image: me/app:2',
    'Loaded image: base:latest',
    `Loaded image ID: ${bare.id}`,
  ]);
  t.is(two.resolve('me/app:2'), app.id);
  t.is(two.find('me/app:1').manifest.digest, app.manifest.digest);
  t.is(two.resolve('base'), base.id);
  t.deepEqual(two.config(app.id), one.config(app.id));
  t.is(readFileSync(join(two.layers(app.id)[0] as string, 'app'), 'utf8'), 'app');
  t.deepEqual(readdirSync(join(two.root, 'tmp')), []);
  t.deepEqual(
    await saved(one, 'base:latest'),
    await saved(one, 'base:latest'),
    'the same images give the same bytes',
  );
});

test('save: what is not here is said before anything is given', async (t) => {
  const store = await openStore(t);
  t.throws(() => saveImages(store, ['nowhere']), {
    instanceOf: ShoalError,
    message: 'No such image: nowhere:latest',
  });
});

test('save: other tools read the archive, as an OCI layout and as docker writes it', async (t) => {
  const store = await openStore(t);
  await makeImage(store, { files: FILES, name: 'me/app:1', run: { Cmd: ['/app'] } });
  const dir = scratch(t);
  const file = join(dir, 'saved.tar');
  writeFileSync(file, await saved(store, 'me/app:1'));
  const docker = JSON.parse(skopeo('inspect', '--config', `docker-archive:${file}:me/app:1`));
  t.deepEqual(docker.config.Cmd, ['/app']);
  const oci = JSON.parse(skopeo('inspect', '--config', `oci-archive:${file}:1`));
  t.deepEqual(oci.config.Cmd, ['/app']);
});

test('load: archives of other tools, old and new', async (t) => {
  const store = await openStore(t);
  const image = await makeImage(store, { files: FILES, name: 'me/app:1', run: { Cmd: ['/app'] } });
  const dir = scratch(t);
  const layout = `oci:${store.root}:1`;
  skopeo('copy', layout, `docker-archive:${join(dir, 'docker.tar')}:other/app:v1`);
  skopeo('copy', layout, `oci-archive:${join(dir, 'oci.tar')}`);
  execFileSync('gzip', ['docker.tar'], { cwd: dir });
  const target = await openStore(t);
  t.deepEqual(
    loadedLines(
      await loadImages(target, createReadStream(join(dir, 'docker.tar.gz')), { progress: noProgress }),
    ),
    ['Loaded image: other/app:v1'],
  );
  t.deepEqual(target.config(target.resolve('other/app:v1')).config?.Cmd, ['/app']);
  const other = await openStore(t);
  const [line] = loadedLines(
    await loadImages(other, createReadStream(join(dir, 'oci.tar')), { progress: noProgress }),
  );
  t.is(line, `Loaded image ID: ${image.id}`);
});

function legacy(overrides: { layer?: Buffer; entry?: object; link?: string }): Buffer {
  const layer = tarOf({ name: 'x', content: 'x' });
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
  });
  const entry = { Config: 'config.json', RepoTags: ['old:1'], Layers: ['1/layer.tar'], ...overrides.entry };
  return tarOf(
    { name: 'config.json', content: config },
    { name: 'manifest.json', content: JSON.stringify([entry]) },
    overrides.link === undefined
      ? { name: '1/layer.tar', content: overrides.layer ?? layer }
      : { name: '1/layer.tar', type: 'symlink', linkName: overrides.link },
    { name: '2/layer.tar', content: layer },
  );
}

test('load: an old archive may share layers by links inside of it', async (t) => {
  const store = await openStore(t);
  t.deepEqual(await load(store, legacy({ link: '../2/layer.tar' })), ['Loaded image: old:1']);
});

const BAD: Readonly<Record<string, [archive: Buffer, message: RegExp]>> = {
  'no archive of images': [tarOf({ name: 'x', content: 'x' }), /does not contain a manifest\.json/],
  'no archive at all': [Buffer.alloc(5000, 'x'), /^archive\/tar: invalid tar header/],
  'a manifest that is no JSON': [tarOf({ name: 'manifest.json', content: '{' }), /is not valid JSON/],
  'a layer that is not what the config says': [
    legacy({ layer: tarOf({ name: 'y' }) }),
    /^invalid diffID for layer: expected /,
  ],
  'a layer that is missing': [
    legacy({ entry: { Layers: ['3/layer.tar'] } }),
    /does not contain 3\/layer\.tar/,
  ],
  'a layer outside of the archive': [
    legacy({ entry: { Layers: ['../../../../../../../etc/passwd'] } }),
    /does not contain/,
  ],
  'a link out of the archive': [legacy({ link: '/etc/passwd' }), /does not contain 1\/layer\.tar/],
  'too few layers': [legacy({ entry: { Layers: [] } }), /layers length mismatch: expected 1, got 0/],
  'names that lead out': [tarOf({ name: '../evil', content: 'x' }), /is outside of the directory/],
};

for (const [what, [archive, message]] of Object.entries(BAD)) {
  test(`load: ${what} is refused, and leaves nothing`, async (t) => {
    const store = await openStore(t);
    const error = await t.throwsAsync(load(store, archive), { instanceOf: ShoalError, message });
    t.is((error as ShoalError | undefined)?.code, 'INVALID_ARGUMENT');
    t.deepEqual(store.table.images(), []);
    await store.collect();
    t.deepEqual([store.blobs.all(), store.layerStore.all()], [[], []]);
    t.deepEqual(readdirSync(join(store.root, 'tmp')), []);
  });
}

/** An archive of two images, of which the second may be something else than it says. */
function two(second: Buffer): Buffer {
  const layers = [tarOf({ name: 'one', content: 'one' }), tarOf({ name: 'two', content: 'two' })];
  const configs = layers.map((layer) =>
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
    }),
  );
  const entries = configs.map((_, at) => ({
    Config: `${at}.json`,
    RepoTags: [`two:${at}`],
    Layers: [`${at}.tar`],
  }));
  return tarOf(
    { name: 'manifest.json', content: JSON.stringify(entries) },
    ...configs.map((content, at) => ({ name: `${at}.json`, content })),
    { name: '0.tar', content: layers[0] as Buffer },
    { name: '1.tar', content: second.length === 0 ? (layers[1] as Buffer) : second },
  );
}

test('load: of several images all come or none', async (t) => {
  const store = await openStore(t);
  await makeImage(store, { files: FILES, name: 'kept:1' });
  const before = [store.table.images(), store.blobs.all(), store.layerStore.all()];
  await t.throwsAsync(load(store, two(tarOf({ name: 'other' }))), { message: /^invalid diffID for layer/ });
  t.deepEqual([store.table.images(), store.blobs.all(), store.layerStore.all()], before);
  t.is((await load(store, two(Buffer.alloc(0)))).length, 2);
});

test('load: images that wait for their names are not pruned', async (t) => {
  const store = await openStore(t);
  const prunes: Promise<unknown>[] = [];
  const progress = (): void => void prunes.push(pruneImages(store, new Map()));
  await loadImages(store, pieces(two(Buffer.alloc(0))), { progress });
  await Promise.all(prunes);
  t.true(prunes.length > 1);
  for (const name of ['two:0', 'two:1']) t.true(store.isWhole(store.find(name)), name);
});
