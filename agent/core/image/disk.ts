import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

/** Replaces a file as a whole: after a crash there is the old one or the new one. */
export async function writeWhole(path: string, content: string): Promise<void> {
  const temporary = `${path}.new`;
  {
    await using handle = await open(temporary, 'w', 0o600);
    await handle.writeFile(content);
    await handle.sync();
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
