import test from 'ava';
import fc from 'fast-check';
import { nameOf, type TarEntry } from '#agent/core/image/tar/entry.ts';
import { TarReader } from '#agent/core/image/tar/reader.ts';
import { headerOf, PLAIN, paddingOf, TAR_END } from '#agent/core/image/tar/writer.ts';
import { ShoalError } from '#proto/base/errors.ts';

interface Read {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

/** Reads an archive that comes in pieces of this size. */
function readAll(archive: Buffer, pieceBytes = archive.length || 1): Read[] {
  const found: { entry: TarEntry; parts: Buffer[]; ended: boolean }[] = [];
  const reader = new TarReader({
    entry: (entry) => void found.push({ entry, parts: [], ended: false }),
    data: (bytes) => void found.at(-1)?.parts.push(Buffer.from(bytes)),
    hole: (bytes) => void found.at(-1)?.parts.push(Buffer.alloc(bytes)),
    endEntry: () => {
      const last = found.at(-1);
      if (last) last.ended = true;
    },
  });
  for (let at = 0; at < archive.length; at += pieceBytes) reader.write(archive.subarray(at, at + pieceBytes));
  reader.end();
  return found.map(({ entry, parts, ended }) => {
    if (!ended) throw new Error(`${entry.name} never ended`);
    return { entry, content: Buffer.concat(parts) };
  });
}

function archive(...items: readonly (Partial<TarEntry> & { content?: string })[]): Buffer {
  const parts = items.map(({ content = '', ...entry }) => {
    const bytes = Buffer.from(content);
    return Buffer.concat([
      headerOf({ ...PLAIN, size: bytes.length, ...entry }),
      bytes,
      paddingOf(bytes.length),
    ]);
  });
  return Buffer.concat([...parts, TAR_END]);
}

const name = fc
  .array(fc.stringMatching(/^[^/\0]{1,60}$/), { minLength: 1, maxLength: 5 })
  .map((parts) => nameOf(parts.join('/')));

const entry: fc.Arbitrary<TarEntry & { content: string }> = fc
  .record({
    name,
    type: fc.constantFrom(
      'file' as const,
      'directory' as const,
      'symlink' as const,
      'link' as const,
      'char' as const,
    ),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    mtime: fc.integer({ min: 0, max: 2 ** 33 - 1 }),
    link: name,
    major: fc.integer({ min: 0, max: 4095 }),
    minor: fc.integer({ min: 0, max: 2 ** 20 }),
    xattrs: fc.dictionary(fc.stringMatching(/^user\.[a-z]{1,9}$/), fc.uint8Array({ maxLength: 60 })),
    content: fc.string({ maxLength: 1200 }),
  })
  .map(({ link, xattrs, content, ...rest }) => {
    const isFile = rest.type === 'file';
    const isLink = rest.type === 'symlink' || rest.type === 'link';
    const isDevice = rest.type === 'char';
    return {
      ...rest,
      size: isFile ? Buffer.byteLength(content) : 0,
      content: isFile ? content : '',
      linkName: isLink ? link : '',
      major: isDevice ? rest.major : 0,
      minor: isDevice ? rest.minor : 0,
      xattrs: new Map(
        Object.entries(xattrs)
          .sort()
          .map(([key, value]) => [key, Buffer.from(value)]),
      ),
    };
  });

test('tar: what is written is read again, in pieces of any size', (t) => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 6 }),
      fc.integer({ min: 1, max: 2000 }),
      (entries, pieceBytes) => {
        const read = readAll(archive(...entries), pieceBytes);
        t.deepEqual(
          read.map((item) => ({ ...item.entry, content: item.content.toString() })),
          entries,
        );
      },
    ),
    { numRuns: 300 },
  );
});

test('tar: a name that is no UTF-8 keeps its bytes', (t) => {
  const [read] = readAll(archive({ name: 'bad-\xff\xfe' }));
  t.is(read?.entry.name, 'bad-\xff\xfe');
});

test('tar: GNU long names and large numbers are understood', (t) => {
  const long = `${'d/'.repeat(150)}file`;
  const gnuName = headerOf({ ...PLAIN, name: '././@LongLink', size: long.length + 1 });
  gnuName.write('L', 156);
  resum(gnuName);
  const header = headerOf({ ...PLAIN, name: 'cut', size: 3 });
  header.writeBigUInt64BE(70_000n, 108);
  header[108] = 0x80;
  resum(header);
  const bytes = Buffer.concat([
    gnuName,
    Buffer.from(`${long}\0`),
    paddingOf(long.length + 1),
    header,
    Buffer.from('abc'),
    paddingOf(3),
    TAR_END,
  ]);
  const [read] = readAll(bytes);
  t.is(read?.entry.name, long);
  t.is(read?.entry.uid, 70_000);
  t.is(read?.content.toString(), 'abc');
});

test('tar: an archive may end right after the content of its last file', (t) => {
  const bytes = archive({ name: 'a', content: 'x' }, { name: 'b', content: 'yz' });
  for (const length of [3 * 512 + 2, 4 * 512]) {
    const [, last] = readAll(bytes.subarray(0, length));
    t.is(last?.content.toString(), 'yz');
  }
});

test('tar: files of more than 8 GiB say so in an extended header', (t) => {
  const header = headerOf({ ...PLAIN, name: 'big', size: 9 * 2 ** 30 });
  t.is(header.length, 512 * 3);
  t.regex(header.toString('latin1'), /size=9663676416\n/);
});

function resum(header: Buffer): void {
  header.fill(0x20, 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}

const HOSTILE: Readonly<Record<string, Buffer>> = {
  'no archive': Buffer.from('this is no archive at all, but it is long enough to be a header'.repeat(20)),
  'broken off in a header': archive({ name: 'a' }).subarray(0, 300),
  'broken off in the content': archive({ name: 'a', content: 'x'.repeat(600) }).subarray(0, 700),
  'huge extended header': extended('x', 2 ** 31, ''),
  'name with a zero byte': extended('x', 14, '14 path=ab\0cd\n'),
  'owner out of range': extended('x', 18, '18 uid=9999999999\n'),
  'extended headers without end': Buffer.concat(
    Array.from({ length: 9 }, () => extended('x', 11, '11 path=ab\n').subarray(0, 1024)),
  ),
  'huge long name': extended('L', 2 ** 31, ''),
  'record length too large': extended('x', 20, '99 path=a\n'),
  'record length zero': extended('x', 20, '0 path=a\n'),
  'record without end': extended('x', 9, '9 path=ab'),
  'record length no number': extended('x', 12, 'xx path=abc\n'),
  'negative size': negativeSize(),
  'size no number': archive({ name: 'a', xattrs: new Map() }).fill('9', 124, 135),
  'sparse file of an unknown version': sparsePax({ major: '2', minor: '0', realsize: '600' }, ''),
  'sparse file whose parts overlap': sparsePax({ size: '600', map: '0,10,5,10' }, 'x'.repeat(20)),
  'sparse file with parts behind its end': sparsePax({ size: '600', map: '595,10' }, 'x'.repeat(10)),
  'sparse file with less than its map says': sparsePax({ size: '600', map: '0,10,20,10' }, 'x'.repeat(15)),
  'sparse file with more than its map says': sparsePax({ size: '600', map: '0,10' }, 'x'.repeat(11)),
  'sparse file whose map is no numbers': sparsePax({ size: '600', map: '0,ten' }, ''),
  'sparse file with half a pair': sparsePax({ size: '600', map: '0,10,20' }, 'x'.repeat(10)),
  'sparse file with a map without end': sparsePax(
    { major: '1', minor: '0', realsize: '600' },
    '9'.repeat(600),
  ),
  'sparse file with a map of too many': sparsePax({ major: '1', minor: '0', realsize: '600' }, '99999999\n'),
  'sparse file without all of its map': sparsePax({ major: '1', minor: '0', realsize: '600' }, '2\n0\n10\n'),
  'sparse file broken off in its map': oldSparse(true).subarray(0, 600),
  'sparse file without its size': extended('x', 22, '22 GNU.sparse.major=1\n'),
};

/** A file with these records of `GNU.sparse`, and this stored of it. */
function sparsePax(records: Readonly<Record<string, string>>, stored: string): Buffer {
  const body = Object.entries(records)
    .map(([key, value]) => `GNU.sparse.${key}=${value}\n`)
    .map((record) => `${record.length + 3} ${record}`)
    .join('');
  return Buffer.concat([
    extended('x', body.length, body).subarray(0, 1024),
    archive({ name: 'sparse', content: stored }),
  ]);
}

/** A file of type S of 1000 bytes, with a block of its map behind the header or without. */
function oldSparse(hasMore: boolean): Buffer {
  const bytes = Buffer.concat([archive({ name: 'old', content: 'abc' }).subarray(0, 512)]);
  bytes.write('S', 156);
  bytes.fill(0, 345, 500);
  bytes.write('00000000012\0' + '00000000003\0', 386, 'latin1');
  bytes[482] = hasMore ? 1 : 0;
  bytes.write('00000001750\0', 483, 'latin1');
  resum(bytes);
  const more = hasMore ? Buffer.alloc(512) : Buffer.alloc(0);
  return Buffer.concat([bytes, more, Buffer.from('abc'), paddingOf(3), TAR_END]);
}

test('tar: a sparse file is as large as it was, and what an archive has of it is where it was', (t) => {
  const whole = Buffer.alloc(1000);
  whole.write('abc', 10);
  for (const bytes of [oldSparse(false), oldSparse(true)]) {
    for (const pieceBytes of [1, 100, bytes.length]) {
      const [read] = readAll(bytes, pieceBytes);
      t.true(read?.content.equals(whole));
      t.is(read?.entry.size, 1000);
      t.is(read?.entry.storedSize, 3);
    }
  }
});

test('tar: a sparse file has its own name, not that of the place it is kept in', (t) => {
  const map = '1\n10\n3\n'.padEnd(512, '\0');
  const bytes = sparsePax({ major: '1', minor: '0', realsize: '600', name: 'real/name' }, `${map}abc`);
  const [read] = readAll(bytes, 100);
  t.is(read?.entry.name, 'real/name');
  t.is(read?.content.length, 600);
  t.is(read?.content.toString('latin1', 10, 13), 'abc');
});

function extended(flag: string, size: number, body: string): Buffer {
  const header = headerOf({ ...PLAIN, name: 'x', size: Math.min(size, 2 ** 32) });
  header.write(flag, 156);
  resum(header);
  return Buffer.concat([
    header,
    Buffer.from(body),
    Buffer.alloc(size < 512 ? 512 - body.length : 0),
    archive({ name: 'after' }),
  ]);
}

function negativeSize(): Buffer {
  const bytes = archive({ name: 'a' });
  bytes.fill(0xff, 124, 136);
  resum(bytes);
  return bytes;
}

for (const [what, bytes] of Object.entries(HOSTILE)) {
  test(`tar: ${what} is refused with a clear error`, (t) => {
    t.throws(() => readAll(bytes, 512), { instanceOf: ShoalError, message: /^archive\/tar: / });
  });
}

test('tar: no bytes make the reader fail in another way than it says', (t) => {
  const damaged = fc
    .tuple(
      fc.array(entry, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
    )
    .map(([entries, hits]) => {
      const bytes = archive(...entries);
      for (const [at, value] of hits) bytes[at % bytes.length] = value;
      // With a right sum the reader believes what the rest of a header says.
      if (hits.length % 2 === 0) resum(bytes);
      return bytes;
    });
  fc.assert(
    fc.property(damaged, (bytes) => {
      try {
        readAll(bytes, 333);
      } catch (error) {
        t.true(error instanceof ShoalError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test('tar: no damage to a sparse file makes the reader fail in another way, or give more than the file has', (t) => {
  const map = '2\n0\n5\n100\n7\n'.padEnd(512, '\0');
  const pax1 = { major: '1', minor: '0', realsize: '600', name: 'n' };
  const whole = [
    oldSparse(false),
    oldSparse(true),
    sparsePax({ size: '600', map: '0,10,20,5' }, 'x'.repeat(15)),
    sparsePax(pax1, `${map}${'x'.repeat(12)}`),
  ];
  const hits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
  let unharmed = 0;
  fc.assert(
    fc.property(fc.constantFrom(...whole), hits, (archived, damage) => {
      const bytes = Buffer.from(archived);
      for (const [at, value] of damage) bytes[at % bytes.length] = value;
      for (const at of [0, 512, 1024]) if (bytes[at] !== 0) resum(bytes.subarray(at));
      let [left, isFull] = [0, true];
      const reader = new TarReader({
        entry: ({ size }) => {
          isFull = left === 0;
          left = size;
        },
        data: (part) => {
          left -= part.length;
        },
        hole: (length) => {
          left -= length;
        },
        endEntry: () => t.is(left, 0),
      });
      try {
        for (let at = 0; at < bytes.length; at += 300) reader.write(bytes.subarray(at, at + 300));
        reader.end();
        unharmed += 1;
      } catch (error) {
        if (!(error instanceof ShoalError)) throw error;
      }
      return isFull;
    }),
    { numRuns: 2_000 },
  );
  t.true(unharmed > 100, `${unharmed} were read`);
});
