import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { Fetcher } from '#agent/core/image/fetch.ts';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import { loadImages } from '#agent/core/image/load.ts';
import { noProgress } from '#agent/core/image/progress.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import { saveImages } from '#agent/core/image/save.ts';
import type { ContentSource } from '#agent/core/image/source.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { makeImage, openStore, scratch, sha256, tarOf } from './support.ts';

const MIB = 1024 * 1024;
const FULL = { instanceOf: ShoalError, message: 'no space left on device' } as const;

/** A disk of the test's own. */
function disk(t: ExecutionContext, mib: number): string {
  const path = join(scratch(t), 'disk');
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'shoal-test-disk', path]);
  t.teardown(() => execFileSync('umount', ['--lazy', path]));
  return path;
}

/** All there is, and nothing on its way. */
async function stateOf(store: ImageStore): Promise<unknown> {
  await store.collect();
  store.emptyTrash();
  return {
    images: store.table.images().map(({ id }) => id),
    names: store.table.names().map(({ name }) => name),
    blobs: store.blobs.all().sort(),
    layers: store.layerStore.all().map(({ chainId }) => chainId),
    underWay: readdirSync(join(store.root, 'tmp')),
  };
}

async function archiveWith(t: ExecutionContext, content: Buffer): Promise<Buffer> {
  const elsewhere = await openStore(t);
  await makeImage(elsewhere, { files: [{ name: 'big', content }], name: 'big:1' });
  const parts: Uint8Array[] = [];
  for await (const part of saveImages(elsewhere, ['big:1'])) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB);
}

/** What gzip can't make smaller. */
function noise(mib: number): Buffer {
  const bytes = Buffer.alloc(mib * MIB);
  for (let at = 0, state = 1; at < bytes.length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE((state ^ (state >>> 13)) >>> 0, at);
  }
  return bytes;
}

test('full disk: a load fails for want of space, changes nothing, and works when there is some', async (t) => {
  const root = disk(t, 48);
  const store = await openStore(t, join(root, 'store'));
  await makeImage(store, { files: [{ name: 'a', content: 'a' }], name: 'kept:1' });
  const before = await stateOf(store);
  const archive = await archiveWith(t, noise(8));
  writeFileSync(join(root, 'filler'), Buffer.alloc(34 * MIB));
  await t.throwsAsync(loadImages(store, pieces(archive), { progress: noProgress }), FULL);
  t.deepEqual(await stateOf(store), before);
  rmSync(join(root, 'filler'));
  const [loaded] = await loadImages(store, pieces(archive), { progress: noProgress });
  t.is(loaded?.names.length, 1);
});

test('full disk: an archive that grows without end is stopped while others still have space', async (t) => {
  const root = disk(t, 48);
  const store = await openStore(t, join(root, 'store'));
  const before = await stateOf(store);
  const zeros = Buffer.alloc(100 * MIB);
  const bomb = gzipSync(tarOf({ name: 'manifest.json', content: zeros }));
  await t.throwsAsync(loadImages(store, pieces(bomb), { progress: noProgress }), FULL);
  t.deepEqual(await stateOf(store), before);
  writeFileSync(join(root, 'others'), Buffer.alloc(MIB));
});

test('full disk: a blob is not asked for again and again when there is nowhere to put it', async (t) => {
  const root = disk(t, 16);
  const store = await openStore(t, join(root, 'store'));
  const content = Buffer.alloc(20 * MIB);
  let asked = 0;
  const source = (): AsyncIterable<Uint8Array> => {
    asked += 1;
    return pieces(content);
  };
  const retry = (): Promise<boolean> => Promise.resolve(true);
  await t.throwsAsync(store.blobs.ingest(sha256(content), source, { retry }), FULL);
  t.is(asked, 1);
  t.deepEqual(readdirSync(join(store.root, 'tmp')), []);
});

test('full disk: a name that can not be written down is not given', async (t) => {
  const root = disk(t, 16);
  const store = await openStore(t, join(root, 'store'));
  await makeImage(store, { files: [{ name: 'a', content: 'a' }], name: 'kept:1' });
  const before = await stateOf(store);
  t.throws(() => writeFileSync(join(root, 'filler'), Buffer.alloc(32 * MIB)), { code: 'ENOSPC' });
  await t.throwsAsync(store.tag('kept:1', parseReference('other:1')), FULL);
  t.deepEqual(await stateOf(store), before);
  rmSync(join(root, 'filler'));
  await store.tag('kept:1', parseReference('other:1'));
  t.is(store.resolve('other:1'), store.resolve('kept:1'));
});

test('full disk: what a pull had brought before it failed gives its room back', async (t) => {
  const elsewhere = await openStore(t);
  const base = await makeImage(elsewhere, { files: [{ name: 'base', content: noise(4) }] });
  const image = await makeImage(elsewhere, {
    base,
    files: [{ name: 'big', content: Buffer.alloc(60 * MIB) }],
  });
  const root = disk(t, 48);
  const store = await openStore(t, join(root, 'store'));
  const before = await stateOf(store);
  const source: ContentSource = {
    document: (digest) => elsewhere.blobs.read(digest),
    blob: (digest, offset) => Promise.resolve(elsewhere.blobs.stream(digest, offset)),
  };
  const fetching = new Fetcher(store).fetch(image.manifest, { source, progress: noProgress });
  await t.throwsAsync(fetching, FULL);
  t.deepEqual(store.blobs.all(), []);
  t.deepEqual(await stateOf(store), before);
});
