import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TarReader } from '#agent/core/image/tar/reader.ts';
import { TreeWriter } from '#agent/core/image/tree/tree-writer.ts';
import { scratch } from './support.ts';

const MIB = 1024 * 1024;

/** How many parts, so far apart, and whether there is a hole at the end, by name. */
const FILES: Readonly<Record<string, { parts: number; every: number; size: number }>> = {
  'one-hole': { parts: 1, every: 0, size: MIB },
  'all-hole': { parts: 0, every: 0, size: 3 * MIB },
  'few-holes': { parts: 3, every: 100_000, size: 300_001 },
  'more-than-in-a-header': { parts: 20, every: 64 * 1024, size: 20 * 64 * 1024 },
  'more-than-in-a-block': { parts: 60, every: 32 * 1024, size: 4 * MIB },
  dense: { parts: 1, every: 0, size: 5 },
};

function makeFiles(folder: string): void {
  mkdirSync(folder);
  for (const [name, { parts, every, size }] of Object.entries(FILES)) {
    const file = openSync(join(folder, name), 'w');
    for (let part = 0; part < parts; part++) writeSync(file, `part ${part}`, part * every);
    ftruncateSync(file, size);
    closeSync(file);
  }
}

function unpack(archive: Buffer, root: string, pieceBytes: number): void {
  mkdirSync(root);
  using writer = new TreeWriter({ root, whiteouts: false });
  const reader = new TarReader(writer);
  for (let at = 0; at < archive.length; at += pieceBytes) reader.write(archive.subarray(at, at + pieceBytes));
  reader.end();
  writer.finish();
}

function isTheSame(t: ExecutionContext, made: string, unpacked: string): void {
  for (const name of Object.keys(FILES)) {
    const [was, is] = [readFileSync(join(made, name)), readFileSync(join(unpacked, name))];
    t.true(is.equals(was), name);
    const { blocks } = statSync(join(unpacked, name));
    t.true(blocks <= statSync(join(made, name)).blocks, `${name} has its holes: ${blocks} blocks`);
  }
}

const FORMATS: Readonly<Record<string, readonly string[]>> = {
  'of GNU tar': ['--format=gnu'],
  'of PAX 0.0': ['--format=posix', '--sparse-version=0.0'],
  'of PAX 0.1': ['--format=posix', '--sparse-version=0.1'],
  'of PAX 1.0': ['--format=posix', '--sparse-version=1.0'],
};

for (const [what, flags] of Object.entries(FORMATS)) {
  test(`sparse files: those ${what} are unpacked as they were, with their holes`, (t) => {
    const folder = scratch(t);
    const made = join(folder, 'made');
    makeFiles(made);
    const archive = execFileSync('tar', ['-C', made, '--sparse', ...flags, '-cf', '-', '.'], {
      maxBuffer: 64 * MIB,
    });
    t.true(archive.length < MIB, 'the archive leaves out the holes');
    for (const pieceBytes of [512, 777, archive.length]) {
      const unpacked = join(folder, `unpacked-${pieceBytes}`);
      unpack(archive, unpacked, pieceBytes);
      isTheSame(t, made, unpacked);
    }
  });
}

test('sparse files: one that is larger than the disk, and of which there is little, has room', (t) => {
  const folder = scratch(t);
  const made = join(folder, 'made');
  mkdirSync(made);
  const file = openSync(join(made, 'large'), 'w');
  ftruncateSync(file, 2 ** 42);
  writeSync(file, 'end', 2 ** 42 - 3);
  closeSync(file);
  const archive = execFileSync('tar', ['-C', made, '--sparse', '-cf', '-', '.']);
  unpack(archive, join(folder, 'unpacked'), 10_000);
  t.is(statSync(join(folder, 'unpacked/large')).size, 2 ** 42);
});
