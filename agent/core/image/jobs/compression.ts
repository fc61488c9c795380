import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ShoalError } from '#proto/base/errors.ts';
import { type DecompressProgram, decompressWith } from '../../linux/decompress.ts';

export type Compression = 'none' | 'gzip' | 'zstd' | DecompressProgram;

/** How files of each kind begin. */
const MAGIC: readonly (readonly [Compression, Buffer])[] = [
  ['gzip', Buffer.from([0x1f, 0x8b])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ['bzip2', Buffer.from('BZh')],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
];
const MAGIC_BYTES_MAX = 6;
const CHUNK_BYTES = 256 * 1024;

/** How a file is compressed, by its first bytes. */
export function compressionOf(path: string): Compression {
  const head = Buffer.alloc(MAGIC_BYTES_MAX);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, head, 0, MAGIC_BYTES_MAX, 0);
  } finally {
    closeSync(fd);
  }
  return compressionIn(head);
}

/** The same of something that begins so. */
export function compressionIn(head: Buffer): Compression {
  return MAGIC.find(([, magic]) => head.subarray(0, magic.length).equals(magic))?.[0] ?? 'none';
}

/** The content of a file, whatever it is compressed with. `onRead` is told how many bytes of the file were read. */
export async function* decompressed(
  path: string,
  onRead?: (bytes: number) => void,
): AsyncGenerator<Buffer, void> {
  const compression = compressionOf(path);
  if (compression === 'xz' || compression === 'bzip2') return yield* decompressWith(compression, path);
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  if (onRead) file.on('data', (chunk) => onRead(chunk.length));
  if (compression === 'none') return yield* file as AsyncIterable<Buffer>;
  const inflate =
    compression === 'gzip'
      ? createGunzip({ chunkSize: CHUNK_BYTES })
      : createZstdDecompress({ chunkSize: CHUNK_BYTES });
  const stream = pipeline(file, inflate, () => undefined);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `${compression}: ${(error as Error).message}`, { cause: error });
  } finally {
    file.destroy();
  }
}
