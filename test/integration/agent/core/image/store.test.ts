import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import { LIST_FILTERS, listImages, PRUNE_FILTERS } from '#agent/core/image/list.ts';
import { pruneImages } from '#agent/core/image/prune.ts';
import { familiarName, parseReference } from '#agent/core/image/reference.ts';
import { type Removal, removeImage } from '#agent/core/image/remove.ts';
import { commit } from '#agent/core/image/write.ts';
import type { FailureCode } from '#proto/base/errors.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { type Filters, parseFilters } from '#proto/http/filters.ts';
import { makeImage, openStore, scratch, sha256, tarOf } from './support.ts';

const BASE = [
  { name: 'etc', type: 'directory' as const, mode: 0o755 },
  { name: 'etc/base', content: 'base' },
];
const GENTLE = { force: false, prune: true };
const FORCE = { force: true, prune: true };

async function fails(
  t: ExecutionContext,
  work: Promise<unknown> | (() => unknown),
  code: FailureCode,
  message: string | RegExp,
): Promise<void> {
  const error =
    typeof work === 'function'
      ? t.throws(work, { instanceOf: ShoalError, message })
      : await t.throwsAsync(work, { instanceOf: ShoalError, message });
  t.is((error as ShoalError | undefined)?.code, code);
}

function filtersOf(filters: object, keys: readonly string[]): Filters {
  return parseFilters(new URLSearchParams({ filters: JSON.stringify(filters) }), keys);
}

function untagged(removals: readonly Removal[]): string[] {
  return removals.flatMap((removal) => ('Untagged' in removal ? [removal.Untagged] : []));
}

function deleted(removals: readonly Removal[]): string[] {
  return removals.flatMap((removal) => ('Deleted' in removal ? [removal.Deleted] : []));
}

function everything(store: ImageStore): { blobs: number; layers: number; trees: number } {
  return {
    blobs: store.blobs.all().length,
    layers: store.layerStore.all().length,
    trees: readdirSync(join(store.root, 'l')).filter((file) => !file.endsWith('.json')).length,
  };
}

test('store: an image is found by name, id and beginning of its id', async (t) => {
  const store = await openStore(t);
  const image = await makeImage(store, { files: BASE, name: 'app:1' });
  for (const name of [
    'app:1',
    'docker.io/library/app:1',
    image.id,
    image.id.slice(7),
    image.id.slice(7, 15),
  ]) {
    t.is(store.resolve(name), image.id, name);
  }
  t.is(store.resolve(`app@${image.manifest.digest}`), image.id, 'by the digest of its manifest');
  t.is(store.resolve(`app:1@${image.manifest.digest}`), image.id);
  await fails(t, () => store.resolve('app'), 'NOT_FOUND', 'No such image: app:latest');
  await fails(t, () => store.resolve('sha256:feed'), 'NOT_FOUND', 'No such image: sha256:feed');
  await fails(t, () => store.resolve('a b'), 'INVALID_ARGUMENT', 'invalid reference format');
});

test('store: layers are the folders of an image, top first, and shared between images', async (t) => {
  const store = await openStore(t);
  const base = await makeImage(store, { files: BASE, name: 'base' });
  const app = await makeImage(store, { base, files: [{ name: 'app', content: 'app' }], name: 'app' });
  const [top, bottom] = store.layers(app.id);
  t.is(readFileSync(join(top as string, 'app'), 'utf8'), 'app');
  t.is(readFileSync(join(bottom as string, 'etc/base'), 'utf8'), 'base');
  t.deepEqual(store.layers(base.id), [bottom as string]);
  t.is(store.sizeOf(app), 7);
  t.regex((top as string).slice(store.root.length), /^\/l\/[a-z2-7]{8}$/);
});

test('store: the folder is an OCI layout that other tools read', async (t) => {
  const store = await openStore(t);
  const base = await makeImage(store, { files: BASE });
  await makeImage(store, {
    base,
    files: [{ name: 'app', content: 'app' }],
    name: 'app:v1',
    run: { Cmd: ['/app'] },
  });
  const bundle = join(scratch(t), 'bundle');
  execFileSync('umoci', ['unpack', '--keep-dirlinks', '--image', `${store.root}:v1`, bundle], {
    stdio: 'pipe',
  });
  t.is(readFileSync(join(bundle, 'rootfs/app'), 'utf8'), 'app');
  t.is(readFileSync(join(bundle, 'rootfs/etc/base'), 'utf8'), 'base');
});

test('store: opened again it has the same images, names, layers and parents', async (t) => {
  const root = join(scratch(t), 'store');
  const store = await openStore(t, root);
  const base = await makeImage(store, { files: BASE, name: 'base' });
  const step = await makeImage(store, { base, files: [{ name: 'app', content: 'app' }], cacheKey: 'key' });
  await store.tag('base', parseReference('other/base:2'));
  await store[Symbol.asyncDispose]();
  const again = await openStore(t, root);
  t.deepEqual(again.table.get(step.id), step);
  t.deepEqual(again.table.images().length, 2);
  t.is(again.table.get(step.id)?.parent, base.id);
  t.deepEqual(
    again.table.namesOf(base.id).map(({ name }) => familiarName(parseReference(name))),
    ['base:latest', 'other/base:2'],
  );
  t.deepEqual(again.layers(step.id), store.layers(step.id));
  t.deepEqual(await again.collect(), { bytes: 0, layers: [] });
});

test('store: what a crash left half-made is gone after it is opened, and the rest is as it was', async (t) => {
  const root = join(scratch(t), 'store');
  const store = await openStore(t, root);
  const image = await makeImage(store, { files: BASE, name: 'app' });
  await store[Symbol.asyncDispose]();
  writeFileSync(join(root, 'tmp/new-1'), 'half a blob');
  mkdirSync(join(root, 'l/new-2/etc'), { recursive: true });
  mkdirSync(join(root, 'l/abcdefgh'));
  writeFileSync(join(root, 'l/bbbbbbbb.json'), '{"chainId":');
  writeFileSync(join(root, 'l/cccccccc.json.new'), '');
  writeFileSync(join(root, 'index.json.new'), '{"manifests": [');
  mkdirSync(join(root, 'trash/tree'));
  const orphan = Buffer.from('nobody refers to this');
  writeFileSync(join(root, 'blobs/sha256', sha256(orphan).slice(7)), orphan);
  const again = await openStore(t, root);
  const { bytes } = await again.collect();
  t.is(bytes, orphan.length);
  t.is(again.resolve('app'), image.id);
  await again[Symbol.asyncDispose]();
  t.deepEqual(readdirSync(join(root, 'tmp')), []);
  t.deepEqual(readdirSync(join(root, 'trash')), []);
  t.is(readdirSync(join(root, 'l')).length, 2);
  t.false(existsSync(join(root, 'blobs/sha256', sha256(orphan).slice(7))));
});

test('store: an image whose content is gone is dropped, the others stay', async (t) => {
  const root = join(scratch(t), 'store');
  const store = await openStore(t, root);
  const lost = await makeImage(store, { files: BASE, name: 'lost' });
  const kept = await makeImage(store, { files: [{ name: 'x', content: 'x' }], name: 'kept' });
  await store[Symbol.asyncDispose]();
  rmSync(store.blobs.path(lost.manifest.digest));
  const again = await openStore(t, root);
  t.is(again.resolve('kept'), kept.id);
  await fails(t, () => again.resolve('lost'), 'NOT_FOUND', 'No such image: lost:latest');
});

test('rmi: a name goes; with the last one the image and all that only it had', async (t) => {
  const store = await openStore(t);
  const base = await makeImage(store, { files: BASE, name: 'base' });
  const app = await makeImage(store, { base, files: [{ name: 'app', content: 'app' }], name: 'app:1' });
  await store.tag('app:1', parseReference('app:2'));
  t.deepEqual(await removeImage(store, 'app:1', GENTLE), [{ Untagged: 'app:1' }]);
  t.is(store.resolve('app:2'), app.id);
  const removals = await removeImage(store, 'app:2', GENTLE);
  t.deepEqual(removals, [{ Untagged: 'app:2' }, { Deleted: app.id }, { Deleted: app.chain[1] as string }]);
  t.deepEqual(everything(store), { blobs: 3, layers: 1, trees: 1 });
  t.is(store.resolve('base'), base.id);
  await removeImage(store, 'base', GENTLE);
  t.deepEqual(everything(store), { blobs: 0, layers: 0, trees: 0 });
  await fails(t, removeImage(store, 'base', GENTLE), 'NOT_FOUND', 'No such image: base:latest');
});

test('rmi: by id, names of one repository go along; of several they must be forced', async (t) => {
  const store = await openStore(t);
  const image = await makeImage(store, { files: BASE, name: 'one:1' });
  await store.setName({ ...parseReference('one'), digest: image.manifest.digest }, { image });
  const id = image.id.slice(7, 19);
  await store.tag('one:1', parseReference('two:1'));
  await fails(
    t,
    removeImage(store, id, GENTLE),
    'CONFLICT',
    `conflict: unable to delete ${id} (must be forced) - image is referenced in multiple repositories`,
  );
  await removeImage(store, 'two:1', GENTLE);
  const removals = await removeImage(store, id, GENTLE);
  t.deepEqual(untagged(removals), ['one:1', `one@${image.manifest.digest}`]);
  t.deepEqual(deleted(removals), [image.id, image.chain[0] as string]);
});

test('rmi: the last tag takes the digests of its repository along', async (t) => {
  const store = await openStore(t);
  const image = await makeImage(store, { files: BASE, name: 'one:1' });
  await store.setName({ ...parseReference('one'), digest: image.manifest.digest }, { image });
  const removals = await removeImage(store, 'one:1', GENTLE);
  t.deepEqual(untagged(removals), ['one:1', `one@${image.manifest.digest}`]);
  t.deepEqual(store.table.images(), []);
});

test('rmi: an image that a container uses stays, with the reasons Docker gives', async (t) => {
  const running = new Set(['c'.repeat(64)]);
  const store = await openStore(t, undefined, { isRunning: (id) => running.has(id) });
  const image = await makeImage(store, { files: BASE, name: 'app' });
  const id = image.id.slice(7, 19);
  const container = 'c'.repeat(64);
  store.hold(image.id, container);
  await fails(
    t,
    removeImage(store, 'app', GENTLE),
    'CONFLICT',
    `conflict: unable to remove repository reference "app" (must force) - container cccccccccccc is using its referenced image ${id}`,
  );
  await fails(
    t,
    removeImage(store, id, FORCE),
    'CONFLICT',
    `conflict: unable to delete ${id} (cannot be forced) - image is being used by running container cccccccccccc`,
  );
  running.clear();
  await fails(
    t,
    removeImage(store, id, GENTLE),
    'CONFLICT',
    `conflict: unable to delete ${id} (must be forced) - image is being used by stopped container cccccccccccc`,
  );
  const layers = store.layers(image.id);
  t.deepEqual(deleted(await removeImage(store, 'app', FORCE)), [image.id]);
  await fails(t, () => store.resolve('app'), 'NOT_FOUND', 'No such image: app:latest');
  t.deepEqual(listImages(store, new Map(), true), []);
  t.deepEqual(store.layers(image.id), layers, 'the container can still be started');
  await store.release(image.id, container);
  t.deepEqual(everything(store), { blobs: 0, layers: 0, trees: 0 });
});

test('rmi: an image that others were built on stays; the steps of a build go with what they led to', async (t) => {
  const store = await openStore(t);
  const base = await makeImage(store, { files: BASE, name: 'base' });
  const step = await makeImage(store, { base, files: [{ name: 'a', content: 'a' }], cacheKey: '1' });
  const app = await makeImage(store, {
    base: step,
    files: [{ name: 'b', content: 'b' }],
    cacheKey: '2',
    name: 'app',
  });
  const id = step.id.slice(7, 19);
  await fails(
    t,
    removeImage(store, id, FORCE),
    'CONFLICT',
    `conflict: unable to delete ${id} (cannot be forced) - image has dependent child images`,
  );
  t.deepEqual(untagged(await removeImage(store, 'base', GENTLE)), ['base:latest']);
  const removals = await removeImage(store, 'app', GENTLE);
  t.deepEqual(
    deleted(removals).filter((digest) => [app.id, step.id, base.id].includes(digest)),
    [app.id, step.id, base.id],
    'nothing has a name any more, so all of it goes',
  );
  t.deepEqual(everything(store), { blobs: 0, layers: 0, trees: 0 });
});

test('collect: content of work under way is kept until its lease ends', async (t) => {
  const store = await openStore(t);
  const digest = await store.blobs.put(Buffer.from('on its way'));
  const lease = store.lease(digest);
  await store.collect();
  t.true(store.blobs.has(digest));
  lease[Symbol.dispose]();
  await store.collect();
  t.false(store.blobs.has(digest));
});

test('list: steps of builds are hidden unless asked for; filters leave what they say', async (t) => {
  let nowMs = 1_700_000_000_000;
  const store = await openStore(t, undefined, {
    clock: {
      wallMs: () => (nowMs += 60_000),
      monotonicMs: () => 0,
      sleep: () => Promise.resolve(),
      timer: () => () => undefined,
    },
  });
  const old = await makeImage(store, {
    files: BASE,
    name: 'old:1',
    run: { Labels: { tier: 'web', a: '1' } },
  });
  const step = await makeImage(store, { base: old, files: [{ name: 'a', content: 'a' }], cacheKey: '1' });
  const mid = await makeImage(store, {
    base: step,
    files: [{ name: 'b', content: 'b' }],
    cacheKey: '2',
    name: 'me/mid:2',
  });
  const bare = await makeImage(store, { files: [{ name: 'c', content: 'c' }] });
  const list = (filters: object, all = false): string[] =>
    listImages(store, filtersOf(filters, LIST_FILTERS), all).map(({ image }) => image.id);
  t.deepEqual(list({}), [bare.id, mid.id, old.id], 'newest first');
  t.deepEqual(list({}, true), [bare.id, mid.id, step.id, old.id]);
  t.deepEqual(list({ dangling: ['true'] }), [bare.id]);
  t.deepEqual(list({ dangling: ['false'] }), [mid.id, old.id]);
  t.deepEqual(list({ reference: ['old'] }), [old.id]);
  t.deepEqual(list({ reference: ['me/*:2'] }), [mid.id]);
  t.deepEqual(list({ reference: ['*'] }), [old.id]);
  t.deepEqual(list({ label: ['tier'] }), [old.id]);
  t.deepEqual(list({ label: ['tier=web', 'a=2'] }), []);
  t.deepEqual(list({ 'label!': ['tier'] }), [bare.id, mid.id]);
  t.deepEqual(list({ before: ['me/mid:2'] }), [old.id]);
  t.deepEqual(list({ since: { 'old:1': true } }), [bare.id, mid.id], 'the old form of filters');
  await fails(t, () => list({ colour: ['red'] }), 'INVALID_ARGUMENT', "invalid filter 'colour'");
  await fails(t, () => list({ dangling: ['maybe'] }), 'INVALID_ARGUMENT', /^invalid filter 'dangling=/);
  await fails(t, () => list({ before: ['nowhere'] }), 'NOT_FOUND', 'No such image: nowhere:latest');
});

test('prune: without a name and unused goes; named ones only when asked for', async (t) => {
  const store = await openStore(t);
  const named = await makeImage(store, { files: BASE, name: 'named' });
  const used = await makeImage(store, { files: [{ name: 'u', content: 'used' }] });
  const bare = await makeImage(store, { files: [{ name: 'b', content: 'bare' }] });
  store.hold(used.id, 'container');
  const none = await pruneImages(store, filtersOf({ label: ['x'] }, PRUNE_FILTERS));
  t.deepEqual(none.removals, []);
  const { removals, bytes } = await pruneImages(store, new Map());
  t.deepEqual(deleted(removals), [bare.id, bare.chain[0] as string]);
  t.is(bytes, 4);
  const all = await pruneImages(store, filtersOf({ dangling: ['false'] }, PRUNE_FILTERS));
  t.deepEqual(all.removals.slice(0, 2), [{ Untagged: 'named:latest' }, { Deleted: named.id }]);
  t.deepEqual(
    store.table.images().map(({ id }) => id),
    [used.id],
  );
});

test('commit: what a container changed becomes an image; its files stay as they are', async (t) => {
  const store = await openStore(t);
  const base = await makeImage(store, { files: BASE, name: 'base', run: { Env: ['A=1'] } });
  const upper = join(scratch(t), 'upper');
  mkdirSync(join(upper, 'etc'), { recursive: true });
  writeFileSync(join(upper, 'etc/new'), 'new');
  const image = await commit(store, {
    base,
    upper,
    run: { Env: ['A=1'], Cmd: ['/x'] },
    comment: 'saved',
    author: 'me',
  });
  t.is(readFileSync(join(store.layers(image.id)[0] as string, 'etc/new'), 'utf8'), 'new');
  t.true(existsSync(join(upper, 'etc/new')));
  t.deepEqual(image.config.config, { Env: ['A=1'], Cmd: ['/x'] });
  t.like(image.config.history?.at(-1), { comment: 'saved', author: 'me' });
  const nothing = join(scratch(t), 'nothing');
  mkdirSync(nothing);
  const same = await commit(store, { base, upper: nothing, run: {} });
  t.deepEqual(same.config.rootfs, base.config.rootfs, 'where nothing changed there is no layer');
  t.true(same.config.history?.at(-1)?.empty_layer);
});

test('blobs: content that is not what its name says is refused, and leaves nothing', async (t) => {
  const store = await openStore(t);
  const digest = sha256(Buffer.from('right'));
  const give = (text: string) =>
    async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text);
    };
  await fails(
    t,
    store.blobs.ingest(digest, give('wrong')),
    'FAILED_PRECONDITION',
    /^filesystem layer verification failed for digest/,
  );
  await fails(
    t,
    store.blobs.ingest(digest, give('right and more'), { size: 5 }),
    'FAILED_PRECONDITION',
    /expected 5 bytes, got more/,
  );
  await t.throwsAsync(store.blobs.ingest(digest, give('rig'), { size: 5 }), {
    message: /unexpected EOF: got 3 of 5 bytes/,
  });
  t.false(store.blobs.has(digest));
  t.deepEqual(readdirSync(join(store.root, 'tmp')), []);
  t.deepEqual(readdirSync(join(store.root, 'blobs/sha256')), []);
});

test('blobs: a transfer that breaks off goes on where it stopped', async (t) => {
  const store = await openStore(t);
  const whole = Buffer.from('0123456789');
  const offsets: number[] = [];
  const source = async function* (offset: number): AsyncGenerator<Uint8Array> {
    offsets.push(offset);
    yield whole.subarray(offset, offset + 4);
    if (offset < 8) throw new Error('connection lost');
  };
  await store.blobs.ingest(sha256(whole), source, { size: 10, retry: () => Promise.resolve(true) });
  t.deepEqual(offsets, [0, 4, 8]);
  t.deepEqual(await store.blobs.read(sha256(whole)), whole);
});

test('layers: an archive that is not what the config says is refused, and leaves nothing', async (t) => {
  const store = await openStore(t);
  const archive = tarOf({ name: 'a', content: 'a'.repeat(200) });
  const blob = await store.blobs.put(archive);
  const wrong = sha256(Buffer.from('something else'));
  await fails(
    t,
    store.layerStore.unpack([wrong], store.blobs.path(blob)),
    'FAILED_PRECONDITION',
    /^layer has diff id/,
  );
  const evil = await store.blobs.put(tarOf({ name: '../../evil', content: 'x' }));
  await fails(
    t,
    store.layerStore.unpack([wrong], store.blobs.path(evil)),
    'INVALID_ARGUMENT',
    /is outside of the directory/,
  );
  const cut = await store.blobs.put(archive.subarray(0, 600));
  await fails(
    t,
    store.layerStore.unpack([wrong], store.blobs.path(cut)),
    'INVALID_ARGUMENT',
    /unexpected end of the archive/,
  );
  t.deepEqual(readdirSync(join(store.root, 'l')), []);
  t.false(existsSync(join(store.root, 'evil')));
});
