/* A process that changes a store without end, and says what it has done: to be killed at any moment. */
import { chainIds } from '#agent/core/image/digest.ts';
import { ImageStore } from '#agent/core/image/image-store.ts';
import { loadImages } from '#agent/core/image/load.ts';
import { noProgress } from '#agent/core/image/progress.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import { removeImage } from '#agent/core/image/remove.ts';
import { saveImages } from '#agent/core/image/save.ts';
import { spool } from '#agent/core/image/spool.ts';
import { writeArchiveLayer, writeImage } from '#agent/core/image/write.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { tarOf } from './support.ts';

const [, , root = '', run = ''] = process.argv;
const store = await ImageStore.open({ root }, { clock: systemClock, log: nullLog });

async function add(name: string): Promise<void> {
  using lease = store.lease();
  const files = Array.from({ length: 20 }, (_item, index) => ({
    name: `d/${name}-${index}`,
    content: name.repeat(500),
  }));
  await using archive = await spool(store, [tarOf(...files)] as unknown as AsyncIterable<Uint8Array>);
  const layer = await writeArchiveLayer(store, archive.path, lease);
  lease.add(...chainIds([layer.diffId]));
  await store.layerStore.unpack([layer.diffId], store.blobs.path(layer.descriptor.digest));
  const image = await writeImage(store, { base: undefined, layer, run: {}, history: {} });
  await store.setName(parseReference(name), { image });
  console.log(`added ${name} ${image.id}`);
}

async function remove(name: string): Promise<void> {
  console.log(`removing ${name}`);
  await removeImage(store, name, { force: false, prune: true });
}

async function loop(worker: number): Promise<never> {
  for (let round = 0; ; round++) {
    const name = `r${run}w${worker}n${round}`;
    await add(name);
    if (round % 3 === 1) await remove(`r${run}w${worker}n${round - 1}`);
    if (round % 4 === 3)
      await loadImages(store, saveImages(store, [`${name}:latest`]), { progress: noProgress });
  }
}

await Promise.all([0, 1, 2].map(loop));
