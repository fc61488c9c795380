import { closeSync, openSync } from 'node:fs';
import { ShoalError } from '#proto/base/errors.ts';
import { tryLock } from './sys.ts';

/** Keeps a file locked until disposed, or until the process ends. UNAVAILABLE when another process has it. */
export function tryLockFile(path: string): Disposable {
  const fd = openSync(path, 'a', 0o600);
  if (!tryLock(fd)) {
    closeSync(fd);
    throw new ShoalError('UNAVAILABLE', `${path} is locked: another daemon runs with this data folder`);
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}
