import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '#agent/core/linux/sys.ts';
import { ShoalError } from '#proto/base/errors.ts';

const FILE = 'daemon.lock';

/**
 * Makes this process the only one that works in a data root, until it is disposed of or the process ends, however it
 * does. CONFLICT, naming the other process, where there is one.
 */
export function lockDataRoot(dataRoot: string): Disposable {
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  const path = join(dataRoot, FILE);
  const handle = openSync(path, 'a+', 0o600);
  if (!tryLock(handle)) {
    closeSync(handle);
    throw new ShoalError('CONFLICT', inUse(dataRoot, path));
  }
  ftruncateSync(handle);
  writeSync(handle, `${process.pid}\n`);
  return { [Symbol.dispose]: () => closeSync(handle) };
}

/** Whether a daemon works in a data root right now. */
export function isInUse(dataRoot: string): boolean {
  let handle: number;
  try {
    handle = openSync(join(dataRoot, FILE), 'r');
  } catch {
    return false;
  }
  try {
    return !tryLock(handle);
  } finally {
    closeSync(handle);
  }
}

function inUse(dataRoot: string, path: string): string {
  const pid = readFileSync(path, 'utf8').trim();
  const who = pid === '' ? 'another shoald' : `another shoald (process ${pid})`;
  return `data root ${dataRoot} is in use by ${who}: stop it first, or give this one a --data-root of its own`;
}
