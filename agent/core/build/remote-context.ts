import { ShoalError } from '#proto/base/errors.ts';
import { compressionIn } from '../image/jobs/compression.ts';
import type { ProgressSink } from '../image/progress.ts';
import { isTarHeader } from '../image/tar/reader.ts';
import { headerOf, PLAIN, paddingOf, TAR_END } from '../image/tar/writer.ts';
import { contentAt, webAddress } from '../registry/web.ts';
import { DOCKERFILE_BYTES_MAX } from './context.ts';

const HEAD_BYTES = 512;

/** A build context from elsewhere: an archive of any compression, or a Dockerfile alone. */
export async function* remoteContext(
  source: string,
  progress: ProgressSink,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const url = webAddress(source);
  if (!url) {
    throw new ShoalError(
      'NOT_IMPLEMENTED',
      `building from ${source} is not supported: only http and https addresses are; fetch it and send it with the request`,
    );
  }
  const chunks = contentAt(url, progress, signal);
  const head = await headOf(chunks);
  if (isArchive(head)) {
    yield head;
    yield* chunks;
  } else yield await dockerfileAlone(head, chunks, source);
}

/** At least as much as it takes to tell what it is, where there is as much. */
async function headOf(chunks: AsyncIterator<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let size = 0; size < HEAD_BYTES; ) {
    const next = await chunks.next();
    if (next.done) break;
    parts.push(Buffer.from(next.value));
    size += next.value.length;
  }
  return Buffer.concat(parts);
}

function isArchive(head: Buffer): boolean {
  return compressionIn(head) !== 'none' || isTarHeader(head.subarray(0, HEAD_BYTES));
}

async function dockerfileAlone(
  head: Buffer,
  rest: AsyncIterable<Uint8Array>,
  source: string,
): Promise<Buffer> {
  const parts: Uint8Array[] = [head];
  let size = head.length;
  for await (const chunk of rest) {
    size += chunk.length;
    if (size > DOCKERFILE_BYTES_MAX) break;
    parts.push(Buffer.from(chunk));
  }
  if (size > DOCKERFILE_BYTES_MAX)
    throw new ShoalError('INVALID_ARGUMENT', `${source} is neither an archive nor a Dockerfile`);
  const header = headerOf({ ...PLAIN, name: 'Dockerfile', size });
  return Buffer.concat([header, ...parts, paddingOf(size), TAR_END]);
}
