import type { ImageStore } from './image-store.ts';
import type { StoredImage } from './image-table.ts';
import type { Lease } from './leases.ts';
import type { RunConfig } from './oci.ts';
import type { Reference } from './reference.ts';
import { spool } from './spool.ts';
import { writeArchiveLayer, writeImage } from './write.ts';

export interface ImportOpts {
  readonly name?: Reference;
  readonly run: RunConfig;
  readonly comment: string;
  readonly signal?: AbortSignal | undefined;
}

/** `docker import`: an image of one layer, which is an archive of any compression. */
export async function importImage(
  store: ImageStore,
  body: AsyncIterable<Uint8Array>,
  { name, run, comment, signal }: ImportOpts,
): Promise<StoredImage> {
  await using file = await spool(store, body, signal);
  using lease = store.lease();
  const image = await imageOf(store, file.path, { run, comment, signal }, lease).catch(
    async (error: unknown) => {
      lease[Symbol.dispose]();
      await store.collectIfFull(error);
      throw error;
    },
  );
  if (name) await store.setName(name, { image });
  store.event('import', image.id, { name: image.id });
  return image;
}

async function imageOf(
  store: ImageStore,
  archive: string,
  { run, comment, signal }: ImportOpts,
  lease: Lease,
): Promise<StoredImage> {
  const layer = await writeArchiveLayer(store, archive, lease, signal);
  lease.add(layer.diffId);
  await store.layerStore.unpack([layer.diffId], store.blobs.path(layer.descriptor.digest), { signal });
  return await writeImage(store, { base: undefined, layer, run, history: { comment } });
}
