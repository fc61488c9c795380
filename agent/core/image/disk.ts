import { randomUUID } from 'node:crypto';
import { renameSync, statfsSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';

/** Left free for all else that lives on the disk: logs, the state of containers, the cluster's log. */
const RESERVE_BYTES_MAX = 512 * 1024 * 1024;
const RESERVE_SHARE = 0.04;
/** Between two looks at how much is free. */
const LOOK_EVERY_BYTES = 16 * 1024 * 1024;
/** What a file costs beside its content: archives of many empty ones fill a disk as well. */
const FILE_BYTES = 4096;

/** Whatever wanted to write: its own words differ by what it wrote, the reason does not. */
export function diskFull(cause?: unknown): ShoalError {
  return new ShoalError('RESOURCE_EXHAUSTED', 'no space left on device', { cause });
}

/** A failure to write, where it is that the disk (or a quota on it) is full; anything else stays what it is. */
export function writeFailure(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' ? diskFull(error) : error;
}

/** Stops what unpacks or fetches before it has filled the disk that everything else on the node needs. */
export class DiskReserve {
  readonly #folder: string;
  #left = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Say how much is about to be written. Throws RESOURCE_EXHAUSTED `no space left on device`. */
  take(bytes: number): void {
    this.#left -= bytes + FILE_BYTES;
    if (this.#left > 0) return;
    const { bavail, blocks, bsize } = statfsSync(this.#folder);
    const free = bavail * bsize - Math.min(RESERVE_BYTES_MAX, blocks * bsize * RESERVE_SHARE);
    if (free < bytes) throw diskFull();
    this.#left = Math.min(LOOK_EVERY_BYTES, free);
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

/** Replaces a file as a whole: after a crash there is the old one or the new one. */
export async function writeWhole(path: string, content: string): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await using handle = await open(temporary, 'w', 0o600);
    await handle.writeFile(content);
    await handle.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeFailure(error);
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** Undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Takes a file or tree out of sight at once, into the trash of the same file system. */
export function discard(path: string, trash: string): void {
  renameSync(path, join(trash, randomUUID()));
}

/** A name in this folder that nobody has. */
export function freshName(folder: string): string {
  return join(folder, `new-${randomUUID()}`);
}
