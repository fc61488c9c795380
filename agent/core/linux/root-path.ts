import { lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

const LINKS_MAX = 40;

/**
 * Where a path inside a root file system really is, with every link followed as a process in there would: never
 * outside of the root. Parts that do not exist are taken as they are.
 */
export function pathInRoot(root: string, path: string): string {
  const waiting = path.split('/').reverse();
  const resolved: string[] = [];
  let links = 0;
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const target = linkTarget(join(root, ...resolved, part));
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    links += 1;
    if (links > LINKS_MAX) throw Object.assign(new Error(`${path}: too many links`), { code: 'ELOOP' });
    if (target.startsWith('/')) resolved.length = 0;
    waiting.push(...target.split('/').reverse());
  }
  return join(root, ...resolved);
}

function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
