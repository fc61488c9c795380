import { ShoalError } from '#proto/base/errors.ts';

/*
 * The state machine's chunks as a plain stream of bytes, which disk and wire may cut wherever they like, and back:
 * each chunk is preceded by its length (u32).
 */

const LENGTH_BYTES = 4;
/** Small chunks travel together in pieces of about this much. */
const PIECE_BYTES = 256 * 1024;

/** The pieces of a stream that carries these chunks; each is a buffer of its own. */
export async function* toPieces(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, chunk.length, true);
    waiting.push(length, chunk);
    bytes += LENGTH_BYTES + chunk.length;
    if (bytes < PIECE_BYTES) continue;
    yield joined(waiting, bytes);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield joined(waiting, bytes);
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The chunks that a stream carries. Throws when it ends within one. */
export async function* toChunks(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    parts.push(piece);
    bytes += piece.length;
    if (bytes < LENGTH_BYTES || bytes < needed(parts)) continue;
    let rest = joined(parts, bytes);
    for (let length = nextLength(rest); length !== undefined; length = nextLength(rest)) {
      yield rest.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      rest = rest.subarray(LENGTH_BYTES + length);
    }
    parts = [rest];
    bytes = rest.length;
  }
  if (bytes > 0) throw new ShoalError('INTERNAL', 'the snapshot ends in the middle of a chunk');
}

/** How many bytes the first chunk takes, as far as its length is in the first part. */
function needed(parts: readonly Uint8Array[]): number {
  const first = parts[0] as Uint8Array;
  return first.length < LENGTH_BYTES ? 0 : LENGTH_BYTES + lengthAt(first);
}

function nextLength(rest: Uint8Array): number | undefined {
  if (rest.length < LENGTH_BYTES) return undefined;
  const length = lengthAt(rest);
  return rest.length < LENGTH_BYTES + length ? undefined : length;
}

function lengthAt(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
}
