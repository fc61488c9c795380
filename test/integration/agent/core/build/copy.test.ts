// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have placeholders of their own
import { execFileSync } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { xattrsOf } from '#agent/core/image/tree/attributes.ts';
import { tarOf } from '../image/support.ts';
import { buildOf, contextOf, type Files, fileIn, leftovers, openBench } from './support.ts';

const FILES: Files = {
  '.dockerignore': '# a comment\n*.log\n!keep.log\n**/secret\nDockerfile\n',
  'a.txt': { name: '', content: 'a', mode: 0o600, uid: 33, gid: 33 },
  'b.txt': 'b',
  'drop.log': 'x',
  'keep.log': 'x',
  'dir/in': 'in',
  'dir/secret': 'x',
  'dir/deep/secret': 'x',
  'dir/link': { name: '', type: 'symlink', linkName: 'in' },
  'dir/tool': { name: '', content: 'tool', mode: 0o4755, xattrs: { 'user.note': 'kept' } },
};

test('copy: names, patterns and folders; what is ignored is not there', async (t) => {
  const bench = await openBench(t);
  const dockerfile = [
    'FROM busybox',
    'WORKDIR /w',
    'COPY a.txt renamed',
    'COPY a.txt sub/',
    'COPY *.txt all/',
    'COPY d?r/ merged',
    'COPY ["a.txt", "with space/"]',
    'COPY dir/link /linked',
    'COPY . /everything/',
  ].join('\n');
  const { image } = await buildOf(bench, contextOf(dockerfile, FILES));
  for (const [path, content] of Object.entries({
    'w/renamed': 'a',
    'w/sub/a.txt': 'a',
    'w/all/b.txt': 'b',
    'w/merged/in': 'in',
    'w/with space/a.txt': 'a',
    linked: 'in',
    'everything/keep.log': 'x',
    'everything/dir/in': 'in',
  })) {
    t.is(fileIn(bench, image, path), content, path);
  }
  for (const path of ['drop.log', 'dir/secret', 'dir/deep/secret', 'Dockerfile']) {
    t.is(fileIn(bench, image, `everything/${path}`), undefined, path);
  }
});

test('copy: files belong to root or to whom it says, and keep their modes and attributes', async (t) => {
  const bench = await openBench(t);
  const dockerfile = [
    'FROM busybox',
    'COPY a.txt /w/renamed',
    'COPY dir /w/merged',
    'COPY --chown=web:other --chmod=640 a.txt /owned/file',
    'COPY --chown=5:6 dir /owned/dir',
  ].join('\n');
  const { image } = await buildOf(bench, contextOf(dockerfile, FILES));
  const at = (path: string): string => {
    const layer = bench.store.layers(image.id).find((folder) => fileThere(join(folder, path)));
    return join(layer ?? '', path);
  };
  const paths = ['w/renamed', 'owned/file', 'owned/dir/in', 'w/merged/tool'];
  const [renamed, owned, folder, tool] = paths.map((path) => lstatSync(at(path)));
  t.deepEqual([renamed?.uid, renamed?.gid, (renamed?.mode ?? 0) & 0o777], [0, 0, 0o600]);
  t.deepEqual([owned?.uid, owned?.gid, (owned?.mode ?? 0) & 0o777], [101, 200, 0o640]);
  t.deepEqual([folder?.uid, folder?.gid], [5, 6]);
  t.is((tool?.mode ?? 0) & 0o7777, 0o4755);
  t.is(xattrsOf(at('w/merged/tool')).get('user.note')?.toString(), 'kept');
});

function fileThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

test('copy: the destination’s links lead to where they lead for a container', async (t) => {
  const bench = await openBench(t);
  const dockerfile =
    'FROM busybox\nRUN mkdir -p /real /a && ln -s /real /a/link && ln -s ../../../../real /up\nCOPY f /a/link/\nCOPY f /up/g\n';
  const { image } = await buildOf(bench, contextOf(dockerfile, { f: 'f' }));
  t.is(fileIn(bench, image, 'real/f'), 'f');
  t.is(fileIn(bench, image, 'real/g'), 'f');
});

test('add: archives of the context are unpacked, whatever they are compressed with; other files are copied', async (t) => {
  const bench = await openBench(t);
  const inner = tarOf(
    { name: 'in/file', content: 'unpacked', uid: 12 },
    { name: 'in/link', type: 'symlink', linkName: '/etc' },
  );
  const packed = (program: string): Buffer => execFileSync(program, ['-c'], { input: inner });
  const files = {
    'a.tar': inner,
    'b.tgz': packed('gzip'),
    'c.bin': packed('xz'),
    'd.tar.bz2': packed('bzip2'),
    'e.gz': execFileSync('gzip', ['-c'], { input: 'only a file' }),
  };
  const dockerfile = ['a.tar', 'b.tgz', 'c.bin', 'd.tar.bz2', 'e.gz']
    .map((name) => `ADD ${name} /${name}.out/`)
    .join('\n');
  const { image } = await buildOf(
    bench,
    contextOf(`FROM busybox\n${dockerfile}\nCOPY a.tar /kept/\n`, files),
  );
  for (const name of ['a.tar', 'b.tgz', 'c.bin', 'd.tar.bz2']) {
    t.is(fileIn(bench, image, `${name}.out/in/file`), 'unpacked', name);
  }
  t.not(fileIn(bench, image, 'e.gz.out/e.gz'), undefined);
  t.not(fileIn(bench, image, 'kept/a.tar'), undefined);
});

test('add: an archive that leads out of its folder is refused, and nothing is left', async (t) => {
  const bench = await openBench(t);
  const evil = tarOf({ name: '../../../../../../../../tmp/shoal-test-evil', content: 'x' });
  await t.throwsAsync(buildOf(bench, contextOf('FROM busybox\nADD evil.tar /x/\n', { 'evil.tar': evil })), {
    message: /is outside of the directory/,
  });
  t.deepEqual(leftovers(bench), []);
});
