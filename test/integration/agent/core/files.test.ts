import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import test from 'ava';
import { EngineLab, traces } from '#test/support/engine-lab.ts';
import { patience } from '#test/support/wait-for.ts';

let lab: EngineLab;

test.before(async () => {
  lab = await EngineLab.open('files');
});

test.after.always(async (t) => {
  await lab[Symbol.asyncDispose]();
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
});

/** The names in an archive, as GNU tar sees them. */
async function namesIn(archive: AsyncIterable<Buffer>): Promise<string[]> {
  const input = await buffer(Readable.from(archive));
  return execFileSync('tar', ['-tf', '-'], { input, stdio: ['pipe', 'pipe', 'ignore'] })
    .toString()
    .trim()
    .split('\n');
}

function tarOf(folder: string, ...args: string[]): AsyncIterable<Uint8Array> {
  return Readable.from([execFileSync('tar', ['-C', folder, '-cf', '-', ...args])]);
}

async function shell(id: string, line: string): Promise<string> {
  const { containers, execs } = lab.engine;
  const run = execs.probe(containers.find(id), ['sh', '-c', line], 1000, patience());
  return (await run).output;
}

test('out: a folder with all below it, named as asked; a file; what it is', async (t) => {
  const id = await lab.run({ Cmd: ['sleep', '1000'] }, { Tmpfs: { '/memory': '' } });
  await shell(id, 'mkdir -p /a/b; echo x > /a/b/f; ln -s b/f /a/link; echo y > /memory/seen');
  const { files } = lab.engine;
  t.deepEqual(await namesIn((await files.read(id, '/a')).archive), ['a/', 'a/b/', 'a/b/f', 'a/link']);
  t.deepEqual(await namesIn((await files.read(id, '/a/.')).archive), ['./', './b/', './b/f', './link']);
  t.deepEqual(await namesIn((await files.read(id, '/memory/seen')).archive), ['seen']);
  const stat = await files.stat(id, '/a/link');
  t.is(stat.linkTarget, '/a/b/f');
  t.is(stat.mode, 2 ** 27 + 0o777);
  t.is((await files.stat(id, '/a')).mode, 2 ** 31 + 0o755);
  await t.throwsAsync(files.stat(id, '/nosuch'), {
    message: /Could not find the file \/nosuch in container/,
  });
});

test('in: into a running container, into one that does not run, and into its volumes', async (t) => {
  const { files, containers } = lab.engine;
  const source = join(lab.folder, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'f'), 'from the machine\n');
  const id = await lab.run({ Cmd: ['sleep', '1000'] });
  await files.write(id, '/opt', tarOf(source, 'f'), { keepKinds: true });
  t.is(await shell(id, 'cat /opt/f'), 'from the machine\n');
  const stopped = await lab.create({ Cmd: ['cat', '/opt/f', '/vol/f'] }, { Binds: ['filled:/vol'] });
  await files.write(stopped, '/opt', tarOf(source, 'f'), { keepKinds: true });
  await files.write(stopped, '/vol', tarOf(source, '-z', 'f'), { keepKinds: true });
  await containers.start(stopped);
  await containers.wait(stopped, 'not-running');
  t.is((await lab.said(stopped)).out, 'from the machine\nfrom the machine\n');
  await t.throwsAsync(files.write(id, '/opt/f', tarOf(source, 'f'), { keepKinds: true }), {
    message: /not a directory/,
  });
  mkdirSync(join(source, 'd/f'), { recursive: true });
  await t.throwsAsync(files.write(id, '/opt', tarOf(join(source, 'd'), 'f'), { keepKinds: true }), {
    message: /cannot overwrite non-directory "f" with directory/,
  });
});

test('out: all of a running container, but what the kernel shows of itself; a slash follows a link', async (t) => {
  const { files } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'] }, {}, 'whole');
  await shell(id, 'mkdir /a; echo x > /a/f; ln -s /a /link');
  t.is((await files.stat(id, '/')).mode, 2 ** 31 + 0o755);
  const names = await namesIn((await files.read(id, '/.')).archive);
  t.true(names.includes('./a/f') && names.includes('./proc/') && names.includes('./.dockerenv'));
  t.deepEqual(
    names.filter((name) => /^\.\/(proc|sys|dev)\/./.test(name)),
    [],
  );
  t.deepEqual(await namesIn((await files.read(id, '/link')).archive), ['link']);
  t.deepEqual(await namesIn((await files.read(id, '/link/')).archive), ['link/', 'link/f']);
  await t.throwsAsync(files.stat('whole', '/a/f/'), { message: /find the file \/a\/f\/ in container whole/ });
});

test('in: into the root; what is mounted read-only stays as it is, a volume of a read-only container does not', async (t) => {
  const { files } = lab.engine;
  const source = join(lab.folder, 'into-root');
  mkdirSync(source);
  writeFileSync(join(source, 'f'), 'x');
  const put = (id: string, path: string): Promise<void> =>
    files.write(id, path, tarOf(source, 'f'), { keepKinds: true });
  const open = await lab.run({ Cmd: ['sleep', '1000'] }, { Binds: ['fixed:/fixed:ro'] });
  await put(open, '/');
  t.is(await shell(open, 'cat /f'), 'x');
  await t.throwsAsync(put(open, '/fixed'), { message: 'mounted volume is marked read-only' });
  const closed = await lab.create({ Cmd: ['true'] }, { ReadonlyRootfs: true, Binds: ['open:/open'] });
  await t.throwsAsync(put(closed, '/tmp'), { message: 'container rootfs is marked read-only' });
  await t.notThrowsAsync(put(closed, '/open'));
});

test('in and out: links lead nowhere but into the container', async (t) => {
  const { files } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'] });
  const evil = join(lab.folder, 'evil');
  mkdirSync(evil);
  symlinkSync(lab.folder, join(evil, 'out'));
  await files.write(id, '/tmp', tarOf(evil, 'out'), { keepKinds: true });
  await t.throwsAsync(files.read(id, `/tmp/out/evil/.`), { message: /Could not find/ });
  await t.throwsAsync(files.write(id, '/tmp/out', tarOf(evil, 'out'), { keepKinds: true }), {
    message: /Could not find/,
  });
});

test('changes: added, modified, deleted, and nothing that the runtime made', async (t) => {
  const id = await lab.run({
    Cmd: ['sh', '-c', 'echo x > /new; echo x >> /etc/passwd; rm /data/from-image'],
  });
  await lab.engine.containers.wait(id, 'not-running');
  t.deepEqual(lab.engine.files.changes(id), [
    { Path: '/data', Kind: 0 },
    { Path: '/data/from-image', Kind: 2 },
    { Path: '/etc', Kind: 0 },
    { Path: '/etc/passwd', Kind: 0 },
    { Path: '/new', Kind: 1 },
  ]);
});

test('export: every file of the image and the container, nothing that is mounted', async (t) => {
  const id = await lab.run({ Cmd: ['sleep', '1000'] }, { Tmpfs: { '/memory': '' } });
  await shell(id, 'echo x > /made; echo y > /memory/no');
  const names = await namesIn(await lab.engine.files.export(id));
  for (const name of ['made', 'bin/busybox', 'etc/passwd']) t.true(names.includes(name), name);
  t.false(names.includes('memory/no'));
});
