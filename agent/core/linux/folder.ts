import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes that a folder takes on disk, hard links once. What goes away meanwhile counts nothing. */
export async function folderBytes(folder: string, seen = new Set<number>()): Promise<number> {
  let total = 0;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      total += await folderBytes(path, seen);
      continue;
    }
    const stats = await lstat(path).catch(() => undefined);
    if (stats === undefined || (stats.nlink > 1 && seen.has(stats.ino))) continue;
    seen.add(stats.ino);
    total += stats.size;
  }
  return total;
}
