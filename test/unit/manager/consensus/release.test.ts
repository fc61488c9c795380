import test from 'ava';
import { release } from '#manager/consensus/release.ts';

test('release: a large buffer is gone at once', (t) => {
  const bytes = new Uint8Array(100_000);
  release(bytes);
  t.is(bytes.buffer.byteLength, 0);
});

test('release: what others may look at stays: a part of a buffer, and a small one', (t) => {
  const bytes = new Uint8Array(100_000);
  release(bytes.subarray(1));
  t.is(bytes.length, 100_000);
  const small = new Uint8Array(100);
  release(small);
  t.is(small.length, 100);
});
