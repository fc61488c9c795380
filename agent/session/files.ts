import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Read and written by their owner alone: the files hold keys, or say where the cluster is. */
const OWNER_ONLY = 0o600;

/** The form of what this version writes, and the newest it reads. */
const FORMAT = 1;

/**
 * The content of a JSON file; undefined when there is none. What can't be parsed, or was written by a newer version of
 * Shoal, throws, naming the file.
 */
export async function readJson(path: string): Promise<unknown> {
  try {
    return contentOf(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
}

function contentOf(file: unknown): unknown {
  // The first files had their content alone.
  if (typeof file !== 'object' || file === null || !('format' in file)) return file;
  const { format, content } = file as { format: unknown; content?: unknown };
  if (format === FORMAT) return content;
  throw new Error(
    `it has format ${format}, and this Shoal reads format ${FORMAT}: run the version that wrote it`,
  );
}

/** Replaces a file as a whole: whoever reads it, even after a crash at any moment, finds the old or the new content. */
export async function writeJson(path: string, content: unknown): Promise<void> {
  const next = `${path}.new`;
  await rm(next, { force: true });
  await using file = await open(next, 'wx', OWNER_ONLY);
  await file.writeFile(JSON.stringify({ format: FORMAT, content }));
  await file.sync();
  await rename(next, path);
  await syncDirectory(dirname(path));
}

/** Takes a file away, for good; one that is not there is no error. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(`${path}.new`, { force: true });
  await syncDirectory(dirname(path));
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
