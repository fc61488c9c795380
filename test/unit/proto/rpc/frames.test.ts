import test from 'ava';
import fc from 'fast-check';
import type { ShoalError } from '#proto/base/errors.ts';
import { FrameReader, frameOf } from '#proto/rpc/frames.ts';

/** Cuts bytes into pieces of these sizes, the last one taking what is left. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...pieces, bytes.subarray(at)].filter((piece) => piece.length > 0);
}

test('frames arrive whole and in order, however the stream was cut', (t) => {
  const contents = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
  const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 30 });
  fc.assert(
    fc.property(contents, sizes, (sent, pieces) => {
      const reader = new FrameReader(40);
      const stream = Buffer.concat(sent.map(frameOf));
      const received = cut(stream, pieces).flatMap((piece) => reader.push(piece));
      t.deepEqual(
        received.map((content) => content.toString('hex')),
        sent.map((content) => Buffer.from(content).toString('hex')),
      );
    }),
  );
});

test('a frame that is larger than allowed is refused as soon as its length is known', (t) => {
  const reader = new FrameReader(10);
  reader.push(frameOf(Buffer.alloc(10)));
  const error = t.throws<ShoalError>(() => reader.push(frameOf(Buffer.alloc(11)).subarray(0, 4)));
  t.is(error?.code, 'INVALID_ARGUMENT');
  t.is(error?.message, 'a frame of 11 bytes was announced, and at most 10 are allowed');
});
