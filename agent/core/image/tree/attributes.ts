import { chmodSync, lchownSync, lstatSync, lutimesSync, type Stats } from 'node:fs';
import { getXattr, listXattrs, SyscallError, setXattr } from '../../linux/sys.ts';
import { pathOf } from '../tar/entry.ts';

/** What overlayfs keeps for itself is no part of a file, and nobody may hand it in from outside. */
const OVERLAY_PRIVATE = /^(trusted|user)\.overlay\./;
const OPAQUE = 'trusted.overlay.opaque';
/** Belongs to the machine's own policy, not to the file. */
const MACHINE_PRIVATE = 'security.selinux';

/** Extended attributes that travel with a file. */
export function xattrsOf(path: string): Map<string, Buffer> {
  const bytes = pathOf(path);
  const found = new Map<string, Buffer>();
  for (const name of listXattrs(bytes)) {
    if (!travels(name)) continue;
    const value = getXattr(bytes, name);
    if (value !== undefined) found.set(name, Buffer.from(value));
  }
  return found;
}

function travels(name: string): boolean {
  return !OVERLAY_PRIVATE.test(name) && name !== MACHINE_PRIVATE;
}

/** Sets those that may come from outside; what the file system can't keep is left out, as Docker does. */
export function setXattrs(path: string, xattrs: ReadonlyMap<string, Buffer>): void {
  for (const [name, value] of xattrs) {
    if (!travels(name)) continue;
    try {
      setXattr(pathOf(path), name, value);
    } catch (error) {
      if (!(error instanceof SyscallError && ['EOPNOTSUPP', 'EPERM'].includes(error.code))) throw error;
    }
  }
}

/** The folder hides what layers below have in it. */
export function setOpaque(path: string): void {
  setXattr(pathOf(path), OPAQUE, Buffer.from('y'));
}

export function isOpaque(path: string): boolean {
  return getXattr(pathOf(path), OPAQUE)?.toString() === 'y';
}

/** A character device 0:0 says that a name of the layers below is gone. */
export function isWhiteout(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0;
}

/** Undefined when there is nothing by that name, or when what leads to it is no folder. */
export function lstatIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(pathOf(path));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Owner, mode and extended attributes of one file or folder to another; not its times. */
export function copyAttributes(from: string, to: string): void {
  const stats = lstatSync(pathOf(from));
  lchownSync(pathOf(to), stats.uid, stats.gid);
  if (!stats.isSymbolicLink()) chmodSync(pathOf(to), stats.mode & 0o7777);
  setXattrs(to, xattrsOf(from));
}

const SECONDS_MAX = 2 ** 34 - 1;

/** Times outside of what file systems keep are brought to the nearest they do. */
export function setTime(path: string, seconds: number): void {
  const kept = timeKept(seconds);
  lutimesSync(pathOf(path), kept, kept);
}

export function timeKept(seconds: number): number {
  return Math.min(Math.max(seconds, 0), SECONDS_MAX);
}
