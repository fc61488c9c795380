import test from 'ava';
import { loadImages } from '#agent/core/image/load.ts';
import { noProgress } from '#agent/core/image/progress.ts';
import { saveImages } from '#agent/core/image/save.ts';
import { type Bench, buildOf, contextOf, openBench } from './support.ts';

const STEPS = ['FROM busybox', 'ENV A=1', 'COPY f /f', 'RUN cat /f > /g', 'LABEL end=1'];

function context(content: string, steps = STEPS): Buffer {
  return contextOf(steps.join('\n'), { f: content });
}

/** Takes an image to another node: what it was made of stays behind. */
async function bring(from: Bench, to: Bench, ...names: readonly string[]): Promise<void> {
  await loadImages(to.store, saveImages(from.store, names), { progress: noProgress });
}

function cachedSteps(said: string): number {
  return said.match(/Using cache/g)?.length ?? 0;
}

test('cache-from: an image that was built elsewhere has done its steps already', async (t) => {
  const [one, two] = [await openBench(t), await openBench(t)];
  const built = await buildOf(one, context('x'), { tags: ['app:1'] });
  await bring(one, two, 'busybox', 'app:1');
  const again = await buildOf(two, context('x'), { cacheFrom: ['nowhere:1', 'app:1'] });
  t.is(again.image.id, built.image.id);
  t.is(cachedSteps(again.out.said), 4);
});

test('cache-from: what follows a step that differs is done, and what was before it is not', async (t) => {
  const [one, two] = [await openBench(t), await openBench(t)];
  await buildOf(one, context('x'), { tags: ['app:1'] });
  await bring(one, two, 'busybox', 'app:1');
  const changed = await buildOf(two, context('y'), { cacheFrom: ['app:1'] });
  t.is(cachedSteps(changed.out.said), 1);
  const longer = await buildOf(two, context('x', [...STEPS, 'RUN true']), { cacheFrom: ['app:1'] });
  t.is(cachedSteps(longer.out.said), 4);
  const next = await buildOf(two, context('x', [...STEPS, 'RUN true']));
  t.is(cachedSteps(next.out.said), 5, 'what was taken from elsewhere is found again here');
});

test('cache-from: what only this node built does not count where images are named', async (t) => {
  const bench = await openBench(t);
  const first = await buildOf(bench, context('x'), { tags: ['app:1'] });
  await buildOf(bench, context('y'), { tags: ['other:1'] });
  const without = await buildOf(bench, context('x'), { cacheFrom: ['other:1'] });
  t.is(cachedSteps(without.out.said), 1, 'ENV led to both');
  t.not(without.image.id, first.image.id);
  const same = await buildOf(bench, context('x'), { cacheFrom: ['app:1'] });
  t.is(same.image.id, first.image.id);
});

test('cache-from: an image on another base is of no use', async (t) => {
  const [one, two] = [await openBench(t), await openBench(t)];
  await buildOf(one, context('x'), { tags: ['app:1'] });
  await bring(one, two, 'app:1');
  const built = await buildOf(two, context('x'), { cacheFrom: ['app:1'] });
  t.is(cachedSteps(built.out.said), 0);
});
