import { readdirSync, statSync } from 'node:fs';
import { quoted, type Spawner } from './spawner.ts';

export function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch {
    return false;
  }
}

/** Copies a folder with all it holds, owners, modes, links and attributes, into another. No source: nothing. */
export async function copyFolder(source: string, target: string, spawner: Spawner): Promise<void> {
  if (!statSync(source, { throwIfNoEntry: false })?.isDirectory()) return;
  const code = await spawner.code(`cp -a ${quoted(`${source}/.`)} ${quoted(`${target}/`)} >/dev/null 2>&1`);
  if (code !== 0) throw new Error(`copying ${source} to ${target} failed with code ${code}`);
}
