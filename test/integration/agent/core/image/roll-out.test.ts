import test, { type ExecutionContext } from 'ava';
import { seededRandom } from '#proto/base/random.ts';
import { SmallRegistry, type SmallRegistryOpts } from '#test/support/small-registry.ts';
import { ContentCluster, type ContentNode } from './content-cluster.ts';
import { tarOf } from './support.ts';

const LAYER = tarOf({ name: 'app', content: Buffer.from(seededRandom(3).bytes(3_000_000)) });

async function openRegistry(t: ExecutionContext, opts: SmallRegistryOpts = {}): Promise<SmallRegistry> {
  const registry = await SmallRegistry.open('127.0.0.1', LAYER, opts);
  t.teardown(() => registry[Symbol.asyncDispose]());
  return registry;
}

async function openNodes(t: ExecutionContext, count: number): Promise<ContentNode[]> {
  const cluster = new ContentCluster();
  return await Promise.all(Array.from({ length: count }, (_, at) => cluster.add(t, `n${at}:1`)));
}

test('roll-out: tasks of a pinned image on many nodes have its registry asked once for each part', async (t) => {
  const registry = await openRegistry(t);
  const nodes = await openNodes(t, 20);
  await Promise.all(nodes.map(({ images }) => images.ensure(registry.pinned)));
  for (const { store } of nodes) t.true(store.isWhole(store.find(registry.pinned)));
  t.is(registry.fetched.size, 3, 'manifest, config, layer');
  t.true(
    [...registry.fetched.values()].every((count) => count === 1),
    [...registry.fetched.values()].join(),
  );
});

test('roll-out: others read along while the first still fetches', async (t) => {
  const halfway = Promise.withResolvers<void>();
  const registry = await openRegistry(t, {
    halfway: (name) => (name === registry.layer ? halfway.promise : Promise.resolve()),
  });
  const nodes = await openNodes(t, 4);
  let along = 0;
  const pulls = nodes.map(({ images }) => {
    let isTold = false;
    return images.ensure(registry.pinned, undefined, undefined, ({ status, current = 0 }) => {
      if (status !== 'Downloading' || current < 1_000_000 || isTold) return;
      isTold = true;
      along += 1;
      // All have a part before the registry goes on.
      if (along === nodes.length) halfway.resolve();
    });
  });
  await Promise.all(pulls);
  t.is(registry.fetched.get(registry.layer), 1);
});

test('roll-out: what a registry gives wrong no node keeps, though others read along', async (t) => {
  const registry = await openRegistry(t, {
    answer: (name, content) => (name === registry.layer ? Buffer.alloc(content.length) : content),
  });
  const nodes = await openNodes(t, 3);
  const results = await Promise.allSettled(nodes.map(({ images }) => images.ensure(registry.pinned)));
  for (const result of results) {
    t.regex(result.status === 'rejected' ? String(result.reason) : '', /verification failed for digest/);
  }
  for (const { store } of nodes) {
    await store.collect();
    t.deepEqual(store.blobs.all(), []);
  }
});

test('roll-out: a pinned image that a registry no longer has is said to be missing, as Docker says it', async (t) => {
  const registry = await openRegistry(t, { answer: () => undefined });
  const [node] = await openNodes(t, 2);
  await t.throwsAsync(async () => node?.images.ensure(registry.pinned), {
    message: /^manifest for .* not found/,
  });
});
