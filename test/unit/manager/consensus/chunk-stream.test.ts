import test from 'ava';
import fc from 'fast-check';
import { toChunks, toPieces } from '#manager/consensus/chunk-stream.ts';

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

test('chunks come out as they went in, however the stream between was cut', async (t) => {
  const chunk = fc.uint8Array({ maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fc.array(chunk), fc.array(fc.nat({ max: 30 })), async (chunks, sizes) => {
      const stream = Buffer.concat(await collect(toPieces(chunks)));
      const back = await collect(toChunks(cut(stream, sizes)));
      t.deepEqual(
        back.map((bytes) => Buffer.from(bytes).toString('hex')),
        chunks.map((bytes) => Buffer.from(bytes).toString('hex')),
      );
    }),
    { numRuns: 200, seed: 11 },
  );
});

test('large chunks make pieces of their own, small ones travel together', async (t) => {
  const small = Array.from({ length: 100 }, () => new Uint8Array(10));
  t.is((await collect(toPieces([...small, new Uint8Array(300_000), ...small]))).length, 2);
});

test('a stream that ends within a chunk is refused', async (t) => {
  const stream = Buffer.concat(await collect(toPieces([new Uint8Array(10)])));
  await t.throwsAsync(collect(toChunks(cut(stream.subarray(0, 9), []))), {
    message: /ends in the middle of a chunk/,
  });
});
