import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DiskReserve, writeFailure } from './disk.ts';
import type { ImageStore } from './image-store.ts';

/** A file or tree of the store's that is gone when it is disposed. */
export interface Temporary extends AsyncDisposable {
  readonly path: string;
}

/** Writes a stream to a file, for those who must read it more than once or elsewhere. */
export async function spool(
  store: ImageStore,
  chunks: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<Temporary> {
  const file = temporaryOf(store);
  try {
    await using handle = await open(file.path, 'wx', 0o600);
    const reserve = new DiskReserve(dirname(file.path));
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      reserve.take(chunk.length);
      await handle.writeFile(chunk);
    }
    return file;
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw writeFailure(error);
  }
}

/** Unpacks an archive into a folder: plain files, owned by the daemon. */
export async function extracted(
  store: ImageStore,
  archive: string,
  signal?: AbortSignal,
): Promise<Temporary> {
  const tree = temporaryOf(store);
  try {
    const owner = { uid: 0, gid: 0 };
    await store.pool.run('extract', { archive, target: tree.path, owner }, { signal });
    return tree;
  } catch (error) {
    await tree[Symbol.asyncDispose]();
    throw error;
  }
}

function temporaryOf(store: ImageStore): Temporary {
  const path = store.blobs.temporary();
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, force: true });
    },
  };
}
