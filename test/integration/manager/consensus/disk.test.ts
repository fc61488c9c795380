import { mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type DiskFile, machineDisk } from '#manager/consensus/disk.ts';

const BLOCK_BYTES = 4096;
/** Of file systems that are known to take such writes: ext4, XFS. */
const DIRECT_TYPES = [0xef53, 0x58465342];

function withFile(blocks: number, use: (file: DiskFile, path: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-disk-'));
  const path = join(directory, 'file');
  const file = machineDisk.open(path, 'create');
  try {
    file.write(Buffer.alloc(blocks * BLOCK_BYTES), 0);
    file.sync();
    use(file, path);
  } finally {
    file.close();
    rmSync(directory, { recursive: true });
  }
}

test('blocks that are written through are seen by whoever reads the file', (t) => {
  withFile(80, (file, path) => {
    const expected = Buffer.alloc(80 * BLOCK_BYTES);
    for (const [at, blocks] of [
      [1, 1],
      [70, 2],
      [3, 64],
      [1, 1],
    ] as const) {
      const bytes = Buffer.alloc(blocks * BLOCK_BYTES, at + blocks);
      const done = file.writeThrough?.(bytes, at * BLOCK_BYTES) === true;
      if (DIRECT_TYPES.includes(statfsSync(path).type)) t.true(done);
      if (!done) file.write(bytes, at * BLOCK_BYTES);
      expected.set(bytes, at * BLOCK_BYTES);
      t.true(readFileSync(path).equals(expected));
    }
  });
});

test('what is no whole block, or too much at once, is left to the usual way, and nothing of it is written', (t) => {
  withFile(80, (file, path) => {
    t.not(file.writeThrough?.(Buffer.alloc(100, 1), 0), true);
    t.not(file.writeThrough?.(Buffer.alloc(BLOCK_BYTES, 1), 100), true);
    t.not(file.writeThrough?.(Buffer.alloc(65 * BLOCK_BYTES, 1), 0), true);
    t.true(readFileSync(path).equals(Buffer.alloc(80 * BLOCK_BYTES)));
  });
});

test('a file without a block has no such writes, and takes others', (t) => {
  withFile(0, (file, path) => {
    t.not(file.writeThrough?.(Buffer.alloc(BLOCK_BYTES, 1), 0), true);
    file.write(Buffer.from('words'), 0);
    t.is(readFileSync(path, 'utf8'), 'words');
  });
});
