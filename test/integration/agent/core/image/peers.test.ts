import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Fetcher } from '#agent/core/image/fetch.ts';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import { noProgress } from '#agent/core/image/progress.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import { removeImage } from '#agent/core/image/remove.ts';
import { type ContentSource, firstOf } from '#agent/core/image/source.ts';
import type { Clock } from '#proto/base/clock.ts';
import { systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { seededRandom } from '#proto/base/random.ts';
import { ContentCluster } from './content-cluster.ts';
import { makeImage, openStore, sha256 } from './support.ts';

/** Too large to be given beside everything else. */
const FILES = [{ name: 'app', content: noise(450_000).toString('base64') }];

test('peers: an image that one node built is on another by name, and by digest, without a registry', async (t) => {
  const cluster = new ContentCluster();
  const [one, two, three] = [
    await cluster.add(t, 'one:1'),
    await cluster.add(t, 'two:1'),
    await cluster.add(t, 'three:1'),
  ];
  const image = await makeImage(one.store, { files: FILES, name: 'app:1', run: { Cmd: ['/app'] } });
  const resolved = await two.images.resolve('app:1');
  t.is(resolved.digest, image.manifest.digest);
  t.is(resolved.platforms[0]?.os, 'linux');
  await two.images.ensure(`app:1@${resolved.digest}`);
  t.is(two.store.resolve(`app:1@${resolved.digest}`), image.id);
  t.is(readFileSync(join(two.store.layers(image.id)[0] as string, 'app'), 'utf8').length, 600_000);
  await three.images.ensure('app:1');
  t.is(three.store.resolve('app:1'), image.id);
});

test('peers: a tag that a peer has from a registry is known as such, and so is a copy of it', async (t) => {
  const cluster = new ContentCluster();
  const [one, two, three] = [
    await cluster.add(t, 'one:1'),
    await cluster.add(t, 'two:1'),
    await cluster.add(t, 'three:1'),
  ];
  const made = await makeImage(one.store, { files: FILES, name: 'app:made' });
  const pulled = await makeImage(one.store, { files: FILES.slice(1), name: 'app:pulled' });
  await one.store.setName(parseReference(`app@${pulled.manifest.digest}`), { image: pulled });
  t.true(one.images.resolveLocal('app:pulled')?.mayHaveMoved);
  t.falsy(one.images.resolveLocal('app:made')?.mayHaveMoved);

  for (const tag of ['made', 'pulled']) await two.images.ensure(`app:${tag}`);
  t.true(two.images.resolveLocal('app:pulled')?.mayHaveMoved);
  t.falsy(two.images.resolveLocal('app:made')?.mayHaveMoved);
  t.is((await three.images.resolve('app:made')).digest, made.manifest.digest);
});

test('peers: the least busy node that has it gives it; a busy one sends on to others', async (t) => {
  const cluster = new ContentCluster();
  const busy = await cluster.add(t, 'busy:1', { readsMax: 1 });
  const image = await makeImage(busy.store, { files: FILES, name: 'app:1' });
  const free = await cluster.add(t, 'free:1');
  await free.images.ensure('app:1');
  busy.given.length = 0;
  const layer = image.content.layers[0]?.digest ?? '';
  const reading = busy.content.read({ digest: layer })[Symbol.asyncIterator]();
  await reading.next();
  await t.throwsAsync(busy.content.read({ digest: layer })[Symbol.asyncIterator]().next(), {
    instanceOf: ShoalError,
    message: /gives 1 blobs already/,
  });
  busy.given.length = 0;
  const wanting = await cluster.add(t, 'wanting:1');
  await wanting.images.ensure('app:1');
  t.deepEqual(busy.given, [], 'nobody asked the busy one');
  await reading.return?.();
  t.is((await busy.content.have({ digests: [layer] })).readsInProgress, 0);
});

test('peers: when all are busy, their next free moment is waited for', async (t) => {
  const cluster = new ContentCluster();
  const busy = await cluster.add(t, 'busy:1', { readsMax: 1 });
  const image = await makeImage(busy.store, { files: FILES, name: 'app:1' });
  const reading = busy.content
    .read({ digest: image.content.layers[0]?.digest ?? '' })
    [Symbol.asyncIterator]();
  await reading.next();
  let waits = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: async () => {
      waits += 1;
      await reading.return?.();
    },
  };
  const wanting = await cluster.add(t, 'wanting:1', { clock });
  await wanting.images.ensure('app:1');
  t.is(waits, 1);
  t.is(wanting.store.resolve('app:1'), image.id);
});

test('peers: a node that breaks off is followed by another where it stopped', async (t) => {
  const cluster = new ContentCluster();
  const [one, two] = [await cluster.add(t, 'one:1'), await cluster.add(t, 'two:1')];
  const image = await makeImage(one.store, {
    files: [{ name: 'noise', content: noise(2_000_000) }],
    name: 'app:1',
  });
  await two.images.ensure('app:1');
  const three = await cluster.add(t, 'three:1');
  let pieces = 0;
  cluster.onPiece = (address) => {
    pieces += 1;
    // The documents are one piece each; then the first pieces of the layer.
    if (pieces !== 5) return;
    cluster.nodes.delete(address);
    throw new ShoalError('UNAVAILABLE', `${address} is gone`);
  };
  await three.images.ensure('app:1');
  t.is(three.store.resolve('app:1'), image.id);
  t.is(cluster.nodes.size, 2);
});

function noise(bytes: number): Buffer {
  return Buffer.from(seededRandom(7).bytes(bytes));
}

test('peers: what does not have its digest is never kept, whoever gives it', async (t) => {
  const cluster = new ContentCluster();
  const [liar, wanting] = [await cluster.add(t, 'liar:1'), await cluster.add(t, 'wanting:1')];
  const image = await makeImage(liar.store, { files: FILES, name: 'app:1' });
  const layer = image.content.layers[0]?.digest;
  const honest = liar.content.read;
  Object.assign(liar.content, {
    async *read(request: { digest: string; offset: number }) {
      if (request.digest !== layer) yield* honest(request);
      else yield { data: Buffer.alloc(image.content.layers[0]?.size ?? 0) };
    },
  });
  await t.throwsAsync(wanting.images.ensure('app:1'), { message: /verification failed for digest/ });
  t.deepEqual(wanting.store.table.images(), []);
  await wanting.store.collect();
  t.deepEqual(wanting.store.blobs.all(), []);
});

test('peers: what no node has is asked of the registry, and its failure shown', async (t) => {
  const cluster = new ContentCluster();
  const [one, two] = [await cluster.add(t, 'one:1'), await cluster.add(t, 'two:1')];
  await makeImage(one.store, { files: FILES, name: '127.0.0.1:1/app:1' });
  await removeImage(one.store, '127.0.0.1:1/app:1', { force: false, prune: true });
  const error = await t.throwsAsync(two.images.ensure('127.0.0.1:1/app:1'), { instanceOf: ShoalError });
  t.is(error?.message, 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused');
  t.is(two.images.resolveLocal(familiar('127.0.0.1:1/app:1')), undefined);
});

function familiar(name: string): string {
  const { domain, path, tag } = parseReference(name);
  return `${domain}/${path}:${tag}`;
}

test('peers: digests and references that are none are refused or simply not found', async (t) => {
  const cluster = new ContentCluster();
  const one = await cluster.add(t, 'one:1');
  t.is((await one.content.resolve({ reference: '../../etc/passwd' })).found, false);
  t.deepEqual((await one.content.have({ digests: ['../../etc/passwd', 'sha256:zz'] })).digests, []);
  await t.throwsAsync(one.content.read({ digest: '../../../etc/passwd' })[Symbol.asyncIterator]().next(), {
    message: /is no digest/,
  });
});

test('peers: where a node gives something else, another that has it whole is asked', async (t) => {
  const cluster = new ContentCluster();
  const [liar, honest] = [await cluster.add(t, 'liar:1'), await cluster.add(t, 'honest:1')];
  const image = await makeImage(liar.store, { files: FILES, name: 'app:1' });
  await honest.images.ensure('app:1');
  const layer = image.content.layers[0]?.digest;
  const read = liar.content.read;
  let lies = 0;
  Object.assign(liar.content, {
    async *read(request: { digest: string; offset: number }) {
      if (request.digest !== layer) return yield* read(request);
      lies += 1;
      yield { data: Buffer.alloc(image.content.layers[0]?.size ?? 0) };
    },
    // The honest one is busier: it is asked last.
    have: async ({ digests }: { digests: string[] }) => ({ digests, readsInProgress: 0 }),
  });
  const { have } = honest.content;
  Object.assign(honest.content, {
    have: async (request: object) => ({ ...(await have(request)), readsInProgress: 1 }),
  });
  // Nobody is further away than another.
  const wanting = await cluster.add(t, 'wanting:1', { clock: { ...systemClock, monotonicMs: () => 0 } });
  await wanting.images.ensure('app:1');
  t.true(wanting.store.isWhole(wanting.store.find('app:1')));
  t.is(lies, 1);
  t.true(honest.given.includes(layer ?? ''));
});

test('peers: a damaged copy on one node does not spoil the pull, when another source has it whole', async (t) => {
  const [source, wanting] = [await openStore(t), await openStore(t)];
  const image = await makeImage(source, { files: FILES, name: 'app:1' });
  const whole: ContentSource = {
    document: (digest) => source.blobs.read(digest),
    blob: (digest, offset) => Promise.resolve(source.blobs.stream(digest, offset)),
  };
  const layer = image.content.layers[0];
  const damaged: ContentSource = {
    document: whole.document,
    async blob() {
      return (async function* () {
        yield await Promise.resolve(Buffer.alloc(layer?.size ?? 0));
      })();
    },
  };
  const fetched = await new Fetcher(wanting).fetch(image.manifest, {
    source: firstOf([damaged, whole]),
    progress: noProgress,
  });
  t.is(fetched.id, image.id);
});

test('pull: a layer blob that was damaged on this disk is fetched again', async (t) => {
  const [source, wanting] = [await openStore(t), await openStore(t)];
  const image = await makeImage(source, { files: FILES, name: 'app:1' });
  const layer = image.content.layers[0]?.digest ?? '';
  const lease = wanting.lease(layer);
  await wanting.blobs.ingest(layer, () => source.blobs.stream(layer));
  const file = wanting.blobs.path(layer);
  const bytes = readFileSync(file);
  bytes.fill(0, bytes.length >> 1);
  writeFileSync(file, bytes);
  const fetched = await new Fetcher(wanting).fetch(image.manifest, {
    source: {
      document: (digest) => source.blobs.read(digest),
      blob: (digest, offset) => Promise.resolve(source.blobs.stream(digest, offset)),
    },
    progress: noProgress,
  });
  lease[Symbol.dispose]();
  t.true(wanting.isWhole(fetched));
  t.is(sha256(readFileSync(file)), layer);
});

test('peers: a large layer comes from several idle nodes at once, and one that breaks off is replaced', async (t) => {
  const cluster = new ContentCluster();
  const holders = [
    await cluster.add(t, 'one:1'),
    await cluster.add(t, 'two:1'),
    await cluster.add(t, 'three:1'),
  ];
  const [first, ...others] = holders;
  const files = [{ name: 'noise', content: noise(20 * 1024 * 1024) }];
  const image = await makeImage(first?.store as ImageStore, { files, name: 'app:1' });
  for (const { images } of others) await images.ensure('app:1');
  for (const { given } of holders) given.length = 0;
  const wanting = await cluster.add(t, 'wanting:1');
  let pieces = 0;
  cluster.onPiece = (address) => {
    pieces += 1;
    if (address !== 'two:1' || pieces < 20) return;
    cluster.nodes.delete(address);
    throw new ShoalError('UNAVAILABLE', `${address} is gone`);
  };
  await wanting.images.ensure('app:1');
  t.true(wanting.store.isWhole(wanting.store.find('app:1')));
  const layer = image.content.layers[0]?.digest;
  const parts = holders.map(({ given }) => given.filter((digest) => digest === layer).length);
  t.true(
    parts.every((count) => count > 0),
    `each gave a part: ${parts.join()}`,
  );
  t.is(cluster.nodes.has('two:1'), false);
});
