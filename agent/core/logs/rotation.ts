import { closeSync, openSync, readSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { LogKeeping } from './options.ts';

const NEWLINE = 0x0a;

/**
 * Keeps a log within its bounds: when the file has grown past its size it becomes `log.1`, `log.1` becomes `log.2` and
 * so on, the oldest goes. `reopen` makes the writer begin a new file. True when something was moved.
 *
 * Sizes are looked at now and then, so a file may have grown far beyond; then only its end is kept. With a single
 * file to be kept there is `log.1` all the same: emptying the one there is would lose what was just written.
 */
export function rotateIfLarge(path: string, keeping: LogKeeping, reopen: () => void): boolean {
  const { bytesMax } = keeping;
  if (bytesMax === undefined || sizeOf(path) <= bytesMax) return false;
  const oldest = Math.max(1, keeping.filesMax - 1);
  rmSync(`${path}.${oldest}`, { force: true });
  for (let number = oldest; number > 1; number -= 1)
    moveIfThere(`${path}.${number - 1}`, `${path}.${number}`);
  renameSync(path, `${path}.1`);
  reopen();
  keepEnd(`${path}.1`, bytesMax);
  return true;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Cuts a file down to the whole lines within its last bytes. */
function keepEnd(path: string, bytes: number): void {
  const size = sizeOf(path);
  if (size <= bytes * 2) return;
  const end = Buffer.alloc(bytes);
  const file = openSync(path, 'r');
  try {
    readSync(file, end, 0, bytes, size - bytes);
  } finally {
    closeSync(file);
  }
  writeFileSync(`${path}.new`, end.subarray(end.indexOf(NEWLINE) + 1));
  renameSync(`${path}.new`, path);
}
