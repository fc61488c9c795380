import { copyFileSync, linkSync, lstatSync, readlinkSync, symlinkSync } from 'node:fs';
import { pathOf } from '../tar/entry.ts';
import { copyAttributes, isWhiteout, setTime } from './attributes.ts';
import type { FolderMap } from './folder-map.ts';

/**
 * Copies a file that only a layer below has to its place in this one, as a write on the joined layers would.
 * False when none has it.
 */
export function copyUp(folders: FolderMap, parts: readonly string[], base: string, path: string): boolean {
  const below = folders.inLowers([...parts, base].join('/'));
  if (below === undefined) return false;
  const stats = lstatSync(pathOf(below));
  if (isWhiteout(stats) || stats.isDirectory()) return false;
  if (stats.isSymbolicLink()) symlinkSync(readlinkSync(pathOf(below), 'buffer'), pathOf(path));
  else if (stats.isFile()) copyFileSync(pathOf(below), pathOf(path));
  else return linkAcross(below, path);
  copyAttributes(below, path);
  setTime(path, stats.mtimeMs / 1000);
  return true;
}

/** Devices and pipes have no content to copy: the same node serves. */
function linkAcross(below: string, path: string): boolean {
  linkSync(pathOf(below), pathOf(path));
  return true;
}
