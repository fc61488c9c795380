import { createHash, type Hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { TarReader } from '../tar/reader.ts';
import { archiveOf } from '../tree/tree-reader.ts';
import { TreeWriter, type TreeWriterOpts } from '../tree/tree-writer.ts';
import { decompressed } from './compression.ts';
import type { JobContext, JobTable, PackResult } from './jobs.ts';

/** The fastest level: a layer is compressed once while somebody waits, and mostly travels a local network. */
const GZIP = { level: 1, chunkSize: 256 * 1024 } as const;

async function untar(
  archive: string,
  opts: TreeWriterOpts,
  context: JobContext,
): Promise<{ diffId: string; contentBytes: number }> {
  using writer = new TreeWriter(opts);
  const reader = new TarReader(writer);
  const hash = createHash('sha256');
  let read = 0;
  const onRead = (bytes: number): void => {
    read += bytes;
    context.progress(read);
  };
  for await (const chunk of decompressed(archive, onRead)) {
    context.check();
    hash.update(chunk);
    reader.write(chunk);
  }
  reader.end();
  writer.finish();
  return { diffId: `sha256:${hash.digest('hex')}`, contentBytes: writer.contentBytes };
}

/** Writes chunks to a gzip file, with the digests of both forms. */
async function compressTo(
  target: string,
  chunks: AsyncIterable<Buffer>,
  context: JobContext,
): Promise<PackResult> {
  const plain = createHash('sha256');
  const packed = createHash('sha256');
  await pipeline(
    hashed(chunks, plain, context),
    createGzip(GZIP),
    (output: AsyncIterable<Buffer>) => hashed(output, packed, context),
    createWriteStream(target, { flush: true }),
  );
  const { size } = await stat(target);
  return { diffId: `sha256:${plain.digest('hex')}`, digest: `sha256:${packed.digest('hex')}`, size };
}

async function* hashed(
  chunks: AsyncIterable<Buffer>,
  hash: Hash,
  context: JobContext,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    context.check();
    hash.update(chunk);
    yield chunk;
  }
}

/** The reader reuses its buffer, and streams keep what they are given. */
async function* copied(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

export const archiveJobs: Pick<JobTable, 'unpack' | 'pack' | 'compress' | 'extract' | 'remove'> = {
  unpack: ({ blob, target, lowers }, context) =>
    untar(blob, { root: target, lowers, whiteouts: true }, context),

  async pack({ tree, target, whiteouts }, context) {
    let contentBytes = 0;
    const onFile = (bytes: number): void => {
      contentBytes += bytes;
    };
    const packed = await compressTo(target, copied(archiveOf(tree, { whiteouts, onFile })), context);
    return { ...packed, contentBytes };
  },

  compress: ({ archive, target }, context) => compressTo(target, decompressed(archive), context),

  async extract({ archive, target, owner }, context) {
    await mkdir(target, { recursive: true });
    const opts = { root: target, whiteouts: false, ...(owner === undefined ? {} : { owner }) };
    const { contentBytes } = await untar(archive, opts, context);
    return { contentBytes };
  },

  async remove({ path }) {
    await rm(path, { recursive: true, force: true });
    return undefined;
  },
};
