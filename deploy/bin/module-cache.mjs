import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The checkout, or wherever Shoal is installed. */
export const REPO = join(import.meta.dirname, '..', '..');

/** Where modules without types are kept: beside the code, or where that can't be written to. The first that has one wins. */
export const CACHES = [join(REPO, 'node_modules/.cache/shoald'), '/var/cache/shoal/modules'];

/** The name says what is in it, so that no file is ever out of date. */
export function cacheName(source) {
  return `${hash('sha256', `${process.version}\n${source}`)}.mjs`;
}

/** A file's text; undefined where there is none. */
export function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
