import { readdirSync, readFileSync } from 'node:fs';

/** A setting of the kernel by its path below /proc/sys; undefined when there is none. */
export function readSetting(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, 'latin1').trim();
  } catch {
    return undefined;
  }
}

/** How many files this process has open. */
export function openFileCount(): number {
  return readdirSync('/proc/self/fd').length;
}
