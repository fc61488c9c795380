import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseMountInfo } from '#agent/core/linux/mounts.ts';
import { isAlive, processRef, signalProcess } from '#agent/core/linux/process.ts';
import { pathInRoot } from '#agent/core/linux/root-path.ts';
import { runtimeFailure } from '#agent/core/linux/runtime-failure.ts';
import { signalNumber } from '#agent/core/linux/signals.ts';
import { quoted } from '#agent/core/linux/spawner.ts';

test('mounts: targets with spaces, file system, options, propagation', (t) => {
  const text =
    '36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 - ext3 /dev/root rw,errors=continue\n' +
    '31 23 0:28 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu,cpuacct\n32 1 0:1 / /x rw master:1 - tmpfs t rw\n';
  t.deepEqual(parseMountInfo(text), [
    {
      root: '/mnt1',
      target: '/mnt 2',
      type: 'ext3',
      source: '/dev/root',
      superOptions: ['rw', 'errors=continue'],
      propagation: 'shared',
    },
    {
      root: '/',
      target: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      superOptions: ['rw', 'cpu', 'cpuacct'],
      propagation: 'private',
    },
    { root: '/', target: '/x', type: 'tmpfs', source: 't', superOptions: ['rw'], propagation: 'slave' },
  ]);
});

test('paths in a root never lead out of it, whatever links say', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'shoal-test-root-'));
  try {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    symlinkSync('/etc', join(root, 'absolute'));
    symlinkSync('../../../..', join(root, 'a/up'));
    symlinkSync('loop', join(root, 'loop'));
    t.is(pathInRoot(root, '/a/./b/../b'), join(root, 'a/b'));
    t.is(pathInRoot(root, '/absolute/passwd'), join(root, 'etc/passwd'));
    t.is(pathInRoot(root, '/a/up/x'), join(root, 'x'));
    t.is(pathInRoot(root, '/not/there'), join(root, 'not/there'));
    t.throws(() => pathInRoot(root, '/loop'), { code: 'ELOOP' } as object);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('signals: names with and without SIG, numbers, real-time ones; nothing else', (t) => {
  t.is(signalNumber('SIGTERM'), 15);
  t.is(signalNumber('kill'), 9);
  t.is(signalNumber('12'), 12);
  t.is(signalNumber('RTMIN+3'), 37);
  for (const wrong of ['', 'NOSIG', '0', '65', 'RTMIN+99', '-1'])
    t.throws(() => signalNumber(wrong), { message: `invalid signal: ${wrong}` });
});

test('words of a shell line mean themselves', (t) => {
  t.is(quoted('/a/b-c_d.e'), '/a/b-c_d.e');
  t.is(quoted("it's $HOME"), `'it'\\''s $HOME'`);
  t.is(quoted(''), "''");
});

test('a process is told from a later one with its number', (t) => {
  const own = processRef(process.pid);
  t.true(own !== undefined && isAlive(own));
  t.false(isAlive({ pid: process.pid, startTime: 1 }));
  t.false(signalProcess({ pid: process.pid, startTime: 1 }, 9));
  t.is(processRef(2 ** 22), undefined);
});

test("what crun says becomes Docker's words and exit codes", (t) => {
  const of = (said: string) => runtimeFailure('create', said, 'cmd');
  t.is(of('executable file `cmd` not found in $PATH: No such file or directory').exitCode, 127);
  t.regex(
    of('executable file `cmd` not found in $PATH: No such').message,
    /exec: "cmd": executable file not found in \$PATH/,
  );
  t.regex(
    of('executable file `/a/b` not found in $PATH: No such').message,
    /stat \/a\/b: no such file or directory/,
  );
  t.is(of('open executable: Permission denied').exitCode, 126);
  t.is(of('open executable: Operation not permitted').exitCode, 126);
  t.is(of('something else').exitCode, 128);
  t.regex(runtimeFailure('exec', 'chdir `/x`: No such file', 'cmd').message, /^OCI runtime exec failed: /);
});
