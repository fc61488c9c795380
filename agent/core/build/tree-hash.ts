import { createHash, type Hash } from 'node:crypto';
import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { join, normalize } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import type { JobContext } from '../image/jobs/jobs.ts';
import { patternOf } from '../image/pattern.ts';
import { nameOf, type TarEntry } from '../image/tar/entry.ts';
import { contentOf, entryOf, itemsOf, typeOf } from '../image/tree/tree-reader.ts';
import { pathInRoot } from '../linux/root-path.ts';

export interface HashSource {
  /** A build context, or the root of an image. */
  readonly root: string;
  /** As written in the Dockerfile; may be a pattern. */
  readonly path: string;
  readonly isContext: boolean;
}

export interface HashArgs {
  readonly sources: readonly HashSource[];
}

/** One file or folder that is to be copied, and the hash of all that copying it brings. */
export interface HashedSource {
  /** Relative to its root. */
  readonly path: string;
  readonly root: string;
  /** `file:…` or `dir:…`. */
  readonly hash: string;
}

export interface HashResult {
  readonly found: readonly HashedSource[];
}

/**
 * Finds what the sources of a COPY mean, and hashes it: names, kinds, modes, capabilities and content, not owners and
 * times, which copying sets anew. NOT_FOUND with Docker's words for what is not there.
 */
export function hashSources({ sources }: HashArgs, context: JobContext): HashResult {
  const found = sources.flatMap((source) => pathsOf(source).map((path) => hashOne(source, path, context)));
  if (found.length === 0) throw new ShoalError('INVALID_ARGUMENT', 'no source files were specified');
  return { found };
}

function pathsOf({ root, path }: HashSource): string[] {
  const wanted = insideOf(path);
  if (!/[*?[]/.test(wanted)) return [wanted];
  const regex = patternOf(wanted);
  if (!regex) throw new ShoalError('INVALID_ARGUMENT', `syntax error in pattern: ${path}`);
  return matching(root, '', wanted.split('/').length, regex).sort();
}

/** Paths of exactly so many parts that match: a pattern never reaches across a slash. */
function matching(root: string, prefix: string, depth: number, regex: RegExp): string[] {
  const entries = readdirSync(join(root, prefix), { withFileTypes: true });
  return entries.flatMap((entry) => {
    const path = prefix + entry.name;
    if (depth === 1) return regex.test(path) ? [path] : [];
    return entry.isDirectory() ? matching(root, `${path}/`, depth - 1, regex) : [];
  });
}

/** Relative, and cleaned of `.` and `..`; what leads out is refused. */
function insideOf(path: string): string {
  const cleaned = normalize(path.replace(/^\/+/, '')).replace(/\/+$/, '');
  if (cleaned === '..' || cleaned.startsWith('../')) {
    throw new ShoalError('INVALID_ARGUMENT', `forbidden path outside the build context: ${path} ()`);
  }
  return cleaned === '.' ? '' : cleaned;
}

function hashOne({ root, isContext }: HashSource, path: string, context: JobContext): HashedSource {
  const real = pathInRoot(root, path);
  const stats = statIfThere(real);
  if (!stats) {
    const reason = `stat ${path}: file does not exist`;
    const where = isContext ? 'file not found in build context or excluded by .dockerignore: ' : '';
    throw new ShoalError('NOT_FOUND', where + reason);
  }
  const name = nameOf(real);
  const hash = createHash('sha256');
  if (stats.isDirectory()) {
    for (const item of itemsOf(name, { whiteouts: false })) addItem(hash, item.entry, item.path, context);
    return { root, path, hash: `dir:${hash.digest('hex')}` };
  }
  const entry = entryOf('', name, stats, typeOf(stats));
  addItem(hash, entry, name, context);
  return { root, path, hash: `file:${hash.digest('hex')}` };
}

function statIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function addItem(hash: Hash, entry: TarEntry, path: string, context: JobContext): void {
  context.check();
  const { name, type, mode, size, linkName, major, minor } = entry;
  const capability = entry.xattrs.get('security.capability')?.toString('hex') ?? '';
  hash.update(`${JSON.stringify([name, type, mode, size, linkName, major, minor, capability])}\n`);
  if (type !== 'file') return;
  for (const piece of contentOf(path, size)) {
    context.check();
    hash.update(piece);
  }
}
