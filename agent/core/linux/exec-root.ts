import { mkdirSync, statfsSync } from 'node:fs';
import { readMounts, unmountIfMounted } from './mounts.ts';
import { MS, mount } from './sys.ts';

const TMPFS_MAGIC = 0x01021994;

/**
 * Makes a folder for what lives no longer than a boot, in memory: removing a bundle from a busy disk takes longer than
 * starting its container.
 */
export function openExecRoot(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  if (statfsSync(folder).type !== TMPFS_MAGIC) mount('shoal', folder, 'tmpfs', MS.NODEV, 'mode=0711');
  unmountBelow(folder);
}

/** What an engine that was killed may have left mounted. */
function unmountBelow(folder: string): void {
  const targets = readMounts()
    .map(({ target }) => target)
    .filter((target) => target.startsWith(`${folder}/`));
  for (const target of targets.reverse()) unmountIfMounted(target);
}

/** Takes it away again, unless containers still need it. */
export function closeExecRoot(folder: string, inUse: boolean): void {
  const own = readMounts().some(({ target, type }) => target === folder && type === 'tmpfs');
  if (own && !inUse) unmountIfMounted(folder);
}
