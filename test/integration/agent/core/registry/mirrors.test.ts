import test, { type ExecutionContext } from 'ava';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import { Images } from '#agent/core/image/images.ts';
import { noProgress } from '#agent/core/image/progress.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import { Registries } from '#agent/core/registry/registries.ts';
import { systemClock } from '#proto/base/clock.ts';
import { seededRandom } from '#proto/base/random.ts';
import { SmallRegistry, type SmallRegistryOpts } from '#test/support/small-registry.ts';
import { openStore, tarOf } from '../image/support.ts';

const LAYER = tarOf({ name: 'app', content: Buffer.from(seededRandom(9).bytes(1_000_000)) });

/** Mirrors of the default registry, of which the last has all there is: what stands behind a mirror is asked the same way. */
async function openMirrors(t: ExecutionContext, ...all: SmallRegistryOpts[]): Promise<SmallRegistry[]> {
  const opened = all.map(async (opts) => {
    const registry = await SmallRegistry.open('127.0.0.1', LAYER, opts);
    t.teardown(() => registry[Symbol.asyncDispose]());
    return registry;
  });
  return await Promise.all(opened);
}

async function pulled(t: ExecutionContext, mirrors: readonly SmallRegistry[]): Promise<ImageStore> {
  const store = await openStore(t);
  const urls = mirrors.map(({ address }) => `http://${address}`);
  const registries = new Registries({ mirrors: urls }, { clock: systemClock });
  t.teardown(() => registries[Symbol.dispose]());
  await new Images({ store, registries }).pull(parseReference('some/image'), { progress: noProgress });
  return store;
}

const isLayer = (content: Buffer): boolean => content.equals(LAYER);

test('mirrors: what one lacks comes from the next', async (t) => {
  const mirrors = await openMirrors(
    t,
    { answer: (_name, content) => (isLayer(content) ? undefined : content) },
    {},
  );
  const store = await pulled(t, mirrors);
  t.true(store.isWhole(store.find('some/image')));
  const [lacking, whole] = mirrors;
  t.is(lacking?.fetched.get('latest'), 1);
  t.deepEqual([...(whole?.fetched ?? [])], [[whole?.layer, 1]], 'nothing else is asked of it');
});

test('mirrors: one that breaks off in the middle is followed by the next where it stopped', async (t) => {
  const broken = Promise.reject(new Error('broken'));
  broken.catch(() => undefined);
  const halfway = (name: string): Promise<void> => (name === first?.layer ? broken : Promise.resolve());
  const mirrors = await openMirrors(t, { halfway }, {});
  const [first, second] = mirrors;
  const store = await pulled(t, mirrors);
  t.true(store.isWhole(store.find('some/image')));
  t.is(first?.fetched.get(first.layer), 1, 'it is not asked again');
  t.is(second?.fetched.get(second.layer), 1);
});

test('mirrors: one that gives something else than was asked for does not spoil the pull', async (t) => {
  const answer = (_name: string, content: Buffer): Buffer =>
    isLayer(content) ? Buffer.alloc(content.length) : content;
  const mirrors = await openMirrors(t, { answer }, {});
  const store = await pulled(t, mirrors);
  t.true(store.isWhole(store.find('some/image')));
});

test('mirrors: one that does not have the image at all is passed over', async (t) => {
  const mirrors = await openMirrors(t, { answer: () => undefined }, {});
  const store = await pulled(t, mirrors);
  t.true(store.isWhole(store.find('some/image')));
  t.is(mirrors[0]?.fetched.size, 0);
});
