import { lstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { ShoalError } from '#proto/base/errors.ts';
import type { ImageStore } from '../image/image-store.ts';
import { spool } from '../image/spool.ts';
import { pathInRoot } from '../linux/root-path.ts';
import { IgnorePatterns } from './ignore.ts';
import type { Dockerfile } from './language/instructions.ts';
import { readDockerfile } from './language/understand.ts';

const DEFAULT_DOCKERFILE = 'Dockerfile';
const IGNORE_FILE = '.dockerignore';
/** A Dockerfile and a .dockerignore are read whole. */
export const DOCKERFILE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Unpacks a build context into `folder`, without what its `.dockerignore` names, and reads the Dockerfile.
 * INVALID_ARGUMENT with Docker's words for what is wrong with either.
 */
export async function prepareContext(
  archive: AsyncIterable<Uint8Array>,
  opts: { readonly dockerfile?: string },
  folder: string,
  store: ImageStore,
  signal: AbortSignal,
): Promise<Dockerfile> {
  await using file = await spool(store, archive, signal);
  await store.pool.run(
    'extract',
    { archive: file.path, target: folder, owner: { uid: 0, gid: 0 } },
    { signal },
  );
  const dockerfile = await readContextDockerfile(folder, opts.dockerfile);
  const patterns = (await readIn(folder, IGNORE_FILE)) ?? '';
  if (!new IgnorePatterns(patterns).isEmpty)
    await store.pool.run('ignore', { root: folder, patterns }, { signal });
  return dockerfile;
}

async function readContextDockerfile(folder: string, wanted = DEFAULT_DOCKERFILE): Promise<Dockerfile> {
  const names = wanted === DEFAULT_DOCKERFILE ? [wanted, wanted.toLowerCase()] : [wanted];
  for (const name of names) {
    const text = await readIn(folder, name);
    if (text === undefined) continue;
    if (text === '') throw new ShoalError('INVALID_ARGUMENT', `the Dockerfile (${name}) cannot be empty`);
    return readDockerfile(text);
  }
  throw new ShoalError('INVALID_ARGUMENT', `Cannot locate specified Dockerfile: ${wanted}`);
}

/** A file of the context; links lead no further than the context. Undefined when it is not there. */
async function readIn(folder: string, name: string): Promise<string | undefined> {
  const path = pathInRoot(folder, name);
  const size = sizeOf(path);
  if (size === undefined) return undefined;
  if (size > DOCKERFILE_BYTES_MAX) {
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `${name} has ${size} bytes, more than the ${DOCKERFILE_BYTES_MAX} allowed`,
    );
  }
  return await readFile(path, 'utf8');
}

function sizeOf(path: string): number | undefined {
  try {
    const stats = lstatSync(path);
    return stats.isFile() ? stats.size : undefined;
  } catch {
    return undefined;
  }
}
