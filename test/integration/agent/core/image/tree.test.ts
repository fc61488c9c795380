import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TarReader } from '#agent/core/image/tar/reader.ts';
import { isOpaque, isWhiteout } from '#agent/core/image/tree/attributes.ts';
import { archiveOf } from '#agent/core/image/tree/tree-reader.ts';
import { TreeWriter, type TreeWriterOpts } from '#agent/core/image/tree/tree-writer.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { describeTree, type Item, scratch, tarOf } from './support.ts';

function unpack(archive: Buffer, opts: TreeWriterOpts): void {
  mkdirSync(opts.root, { recursive: true });
  using writer = new TreeWriter(opts);
  const reader = new TarReader(writer);
  for (let at = 0; at < archive.length; at += 10_000) reader.write(archive.subarray(at, at + 10_000));
  reader.end();
  writer.finish();
}

function pack(tree: string, whiteouts: boolean): Buffer {
  return Buffer.concat(Array.from(archiveOf(tree, { whiteouts }), (piece) => Buffer.from(piece)));
}

const CAPABILITY = '\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00';

/** Everything a layer may hold. */
const EVERYTHING: readonly Item[] = [
  { name: '.', type: 'directory', mode: 0o755, mtime: 1_600_000_000 },
  { name: 'bin', type: 'directory', mode: 0o755, mtime: 1_500_000_000 },
  {
    name: 'bin/ping',
    mode: 0o755,
    content: 'ping',
    mtime: 1_400_000_000,
    xattrs: { 'security.capability': CAPABILITY },
  },
  { name: 'bin/ping4', type: 'link', linkName: 'bin/ping', mode: 0o755, mtime: 1_400_000_000 },
  { name: 'bin/su', mode: 0o4755, content: 'su', uid: 0, gid: 42, mtime: 1_400_000_001 },
  { name: 'bin/sh', type: 'symlink', linkName: '/bin/dash', mode: 0o777, mtime: 1_400_000_002 },
  { name: 'tmp', type: 'directory', mode: 0o1777, mtime: 1_400_000_003 },
  { name: 'dev', type: 'directory', mode: 0o755, mtime: 1_400_000_004 },
  { name: 'dev/null', type: 'char', mode: 0o666, major: 1, minor: 3, mtime: 1_400_000_005 },
  { name: 'dev/disk', type: 'block', mode: 0o660, gid: 6, major: 259, minor: 300, mtime: 1_400_000_006 },
  { name: 'dev/pipe', type: 'fifo', mode: 0o600, mtime: 1_400_000_007 },
  { name: `${'long/'.repeat(30)}name`, content: 'deep', mtime: 1_400_000_008 },
  { name: 'bytes-\xff\xfe', content: 'no UTF-8', uid: 3_000_000, gid: 70_000, mtime: 1_400_000_009 },
  { name: 'noted', content: '', mtime: 1_400_000_010, xattrs: { 'user.note': 'a=b\n\xff' } },
  { name: 'private', type: 'directory', mode: 0o000, uid: 5, gid: 5, mtime: 1_400_000_011 },
];

test('trees: a layer is unpacked as GNU tar unpacks it, to the last attribute', (t) => {
  const dir = scratch(t);
  const archive = tarOf(...EVERYTHING);
  writeFileSync(join(dir, 'a.tar'), archive);
  unpack(archive, { root: join(dir, 'ours'), whiteouts: true });
  mkdirSync(join(dir, 'gnu'));
  const flags = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '--delay-directory-restore'];
  execFileSync('tar', ['-xpf', 'a.tar', ...flags, '-C', 'gnu'], { cwd: dir });
  // Folders that the archive leaves out get the time they were made at.
  const comparable = (tree: string): string[] =>
    describeTree(join(dir, tree)).filter((line) => !line.startsWith('/long'));
  t.deepEqual(comparable('ours'), comparable('gnu'));
  t.is(readFileSync(join(dir, 'ours', 'long/'.repeat(30), 'name'), 'utf8'), 'deep');
});

test('trees: what is packed is unpacked the same, here and by GNU tar', (t) => {
  const dir = scratch(t);
  unpack(tarOf(...EVERYTHING), { root: join(dir, 'one'), whiteouts: true });
  const archive = pack(join(dir, 'one'), true);
  t.deepEqual(archive, pack(join(dir, 'one'), true), 'the same tree gives the same bytes');
  unpack(archive, { root: join(dir, 'two'), whiteouts: true });
  const inner = (tree: string): string[] => describeTree(join(dir, tree)).slice(1);
  t.deepEqual(inner('two'), inner('one'));
  writeFileSync(join(dir, 'a.tar'), archive);
  mkdirSync(join(dir, 'gnu'));
  const flags = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '--delay-directory-restore'];
  execFileSync('tar', ['-xpf', 'a.tar', ...flags, '-C', 'gnu'], { cwd: dir });
  t.deepEqual(inner('gnu'), inner('one'));
});

test('trees: whiteouts and opaque folders become what overlayfs reads, and whiteouts again when packed', (t) => {
  const dir = scratch(t);
  const base = join(dir, 'base');
  unpack(
    tarOf({ name: 'etc/a', content: 'a' }, { name: 'etc/b', content: 'b' }, { name: 'opt/x', content: 'x' }),
    {
      root: base,
      whiteouts: true,
    },
  );
  const layer = tarOf(
    { name: 'etc/.wh.a' },
    { name: 'opt', type: 'directory', mode: 0o750 },
    { name: 'opt/.wh..wh..opq' },
    { name: 'opt/y', content: 'y' },
    { name: '.wh..wh.aufs', content: '' },
  );
  const top = join(dir, 'top');
  unpack(layer, { root: top, lowers: [base], whiteouts: true });
  t.true(isWhiteout(lstatSync(join(top, 'etc/a'))));
  t.true(isOpaque(join(top, 'opt')));
  t.deepEqual(readdirSync(top).sort(), ['etc', 'opt']);
  const names = execFileSync('tar', ['-tf', '-'], { input: pack(top, true) })
    .toString()
    .trim()
    .split('\n');
  t.deepEqual(names, ['etc/', 'etc/.wh.a', 'opt/', 'opt/.wh..wh..opq', 'opt/y']);
});

test('trees: a layer that hides a name and has it again hides all that was below it', (t) => {
  const dir = scratch(t);
  const base = join(dir, 'base');
  unpack(tarOf({ name: 'd/old', content: '' }, { name: 'e/old', content: '' }), {
    root: base,
    whiteouts: true,
  });
  const layer = tarOf(
    { name: '.wh.d' },
    { name: 'd', type: 'directory', mode: 0o755 },
    { name: 'e', type: 'directory', mode: 0o755 },
    { name: '.wh.e' },
  );
  unpack(layer, { root: join(dir, 'top'), lowers: [base], whiteouts: true });
  t.true(isOpaque(join(dir, 'top/d')));
  t.true(isOpaque(join(dir, 'top/e')));
});

test('trees: folders that a layer leaves out keep the attributes they have below', (t) => {
  const dir = scratch(t);
  const base = join(dir, 'base');
  unpack(
    tarOf(
      { name: '.', type: 'directory', mode: 0o700, uid: 9 },
      { name: 'var', type: 'directory', mode: 0o2775, uid: 7, gid: 8, xattrs: { 'user.note': 'kept' } },
    ),
    { root: base, whiteouts: true },
  );
  const top = join(dir, 'top');
  unpack(tarOf({ name: 'var/new/file', content: '' }), { root: top, lowers: [base], whiteouts: true });
  const [root, folder, made] = [top, join(top, 'var'), join(top, 'var/new')].map((path) => lstatSync(path));
  t.is((root?.mode ?? 0) & 0o7777, 0o700);
  t.is(root?.uid, 9);
  t.is((folder?.mode ?? 0) & 0o7777, 0o2775);
  t.deepEqual([folder?.uid, folder?.gid], [7, 8]);
  t.regex(describeTree(top).join('\n'), /\/var .*user\.note=/);
  t.is((made?.mode ?? 0) & 0o7777, 0o755);
});

test('trees: a hard link to a file of a layer below brings that file along', (t) => {
  const dir = scratch(t);
  const base = join(dir, 'base');
  unpack(tarOf({ name: 'bin/a', mode: 0o4711, content: 'program', mtime: 1_400_000_000 }), {
    root: base,
    whiteouts: true,
  });
  const top = join(dir, 'top');
  unpack(tarOf({ name: 'bin/b', type: 'link', linkName: 'bin/a' }), {
    root: top,
    lowers: [base],
    whiteouts: true,
  });
  const [a, b] = [lstatSync(join(top, 'bin/a')), lstatSync(join(top, 'bin/b'))];
  t.is(a.ino, b.ino);
  t.is(a.mode & 0o7777, 0o4711);
  t.is(readFileSync(join(top, 'bin/b'), 'utf8'), 'program');
});

test('trees: later entries replace earlier ones, whatever they are', (t) => {
  const root = join(scratch(t), 'tree');
  unpack(
    tarOf(
      { name: 'a', content: 'file' },
      { name: 'a', type: 'directory', mode: 0o755 },
      { name: 'a/in', content: 'in' },
      { name: 'b', type: 'directory', mode: 0o755 },
      { name: 'b/in', content: 'in' },
      { name: 'b', content: 'now a file' },
      { name: 'c', type: 'symlink', linkName: 'a' },
      { name: 'c', content: 'no longer a link' },
    ),
    { root, whiteouts: true },
  );
  t.is(readFileSync(join(root, 'a/in'), 'utf8'), 'in');
  t.is(readFileSync(join(root, 'b'), 'utf8'), 'now a file');
  t.is(readFileSync(join(root, 'c'), 'utf8'), 'no longer a link');
});

test('trees: links on the way to a name are followed inside the tree', (t) => {
  const root = join(scratch(t), 'tree');
  unpack(
    tarOf(
      { name: 'usr/lib', type: 'directory', mode: 0o755 },
      { name: 'lib', type: 'symlink', linkName: 'usr/lib' },
      { name: 'abs', type: 'symlink', linkName: '/usr/lib' },
      { name: 'up', type: 'symlink', linkName: '../../../../usr' },
      { name: 'lib/one', content: '1' },
      { name: 'abs/two', content: '2' },
      { name: 'up/lib/three', content: '3' },
    ),
    { root, whiteouts: true },
  );
  t.deepEqual(readdirSync(join(root, 'usr/lib')).sort(), ['one', 'three', 'two']);
});

/** Archives that try to reach `outside`, a folder beside the tree. */
function attacks(outside: string): Readonly<Record<string, readonly Item[]>> {
  return {
    'a name that goes up': [{ name: '../outside/hit', content: 'x' }],
    'a name that goes up further in': [{ name: 'a/../../outside/hit', content: 'x' }],
    'a whiteout of the parent': [{ name: 'd', type: 'directory', mode: 0o755 }, { name: 'd/.wh...' }],
    'a hard link that goes up': [{ name: 'in', type: 'link', linkName: '../outside/secret' }],
    'a hard link to a folder': [
      { name: 'd', type: 'directory', mode: 0o755 },
      { name: 'in', type: 'link', linkName: 'd' },
    ],
    'a hard link to what is not there': [{ name: 'in', type: 'link', linkName: join(outside, 'secret') }],
    'links without end': [
      { name: 'a', type: 'symlink', linkName: 'b' },
      { name: 'b', type: 'symlink', linkName: 'a' },
      { name: 'a/hit', content: 'x' },
    ],
    'a folder that is a file': [
      { name: 'f', content: '' },
      { name: 'f/hit', content: 'x' },
    ],
    'a name longer than any file system has': [{ name: 'n'.repeat(5000), content: 'x' }],
  };
}

function besides(t: ExecutionContext): { root: string; outside: string } {
  const dir = scratch(t);
  const outside = join(dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 });
  return { root: join(dir, 'tree'), outside };
}

for (const what of Object.keys(attacks(''))) {
  test(`trees: ${what} is refused, and nothing outside is touched`, (t) => {
    const { root, outside } = besides(t);
    const before = describeTree(outside);
    const error = t.throws(() =>
      unpack(tarOf(...(attacks(outside)[what] ?? [])), { root, whiteouts: true, lowers: [outside] }),
    );
    t.true(
      error instanceof ShoalError || (error as NodeJS.ErrnoException).code === 'ENAMETOOLONG',
      String(error),
    );
    t.deepEqual(describeTree(outside), before);
  });
}

test('trees: links out of the tree may be there, but nothing is ever written through them', (t) => {
  const { root, outside } = besides(t);
  const before = describeTree(outside);
  const items: Item[] = [
    { name: 'out', type: 'symlink', linkName: outside },
    { name: 'out/hit', content: 'x' },
    { name: 'rel', type: 'symlink', linkName: '../outside' },
    { name: 'rel/hit', content: 'x' },
    { name: 'file', type: 'symlink', linkName: join(outside, 'secret') },
    { name: 'file', content: 'overwritten' },
    { name: 'mode', type: 'symlink', linkName: join(outside, 'secret'), mode: 0o777, uid: 5 },
    { name: 'dir', type: 'symlink', linkName: outside },
    { name: 'dir', type: 'directory', mode: 0o777, uid: 5 },
    { name: 'out/null', type: 'char', major: 1, minor: 3 },
  ];
  unpack(tarOf(...items), { root, whiteouts: true });
  t.deepEqual(describeTree(outside), before);
  t.true(existsSync(join(root, outside, 'hit')), 'inside the tree it went where the link leads');
});

test('trees: a layer below can not lead a hard link to files of the machine', (t) => {
  const { root, outside } = besides(t);
  const base = `${root}-base`;
  mkdirSync(base);
  symlinkSync(outside, join(base, 'way'));
  const layer = tarOf({ name: 'stolen', type: 'link', linkName: 'way/secret' });
  t.throws(() => unpack(layer, { root, lowers: [base], whiteouts: true }), { instanceOf: ShoalError });
  t.false(existsSync(join(root, 'way/secret')));
});

test('trees: attributes that belong to overlayfs are not taken from archives', (t) => {
  const root = join(scratch(t), 'tree');
  const xattrs = {
    'trusted.overlay.redirect': '/etc',
    'trusted.overlay.opaque': 'y',
    'trusted.other': 'kept',
  };
  unpack(tarOf({ name: 'd', type: 'directory', mode: 0o755, xattrs }), { root, whiteouts: true });
  t.false(isOpaque(join(root, 'd')));
  t.deepEqual(
    describeTree(root)
      .join('\n')
      .match(/trusted\.\w+(\.\w+)?=/g),
    ['trusted.other='],
  );
});
