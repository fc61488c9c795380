import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readCgroupLayout } from '#agent/core/linux/cgroup-layout.ts';
import { DockerCli } from '#test/support/docker-cli.ts';
import { LoneDaemon } from '#test/support/lone-daemon.ts';
import { patience, waitFor } from '#test/support/wait-for.ts';

/* The daemon and the real docker on a machine with control groups of version 2 alone: what a user does in an hour. */

const daemon = new LoneDaemon('vm');
const cli = new DockerCli('vm');
const folder = mkdtempSync(join(tmpdir(), 'shoal-test-vm-'));

test.before(async () => {
  await daemon.up(patience());
});

test.after.always(async () => {
  await daemon.down();
  cli[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** What a docker command said; throws when it fails. */
async function docker(...args: string[]): Promise<string> {
  const { code, out, err } = await cli.run(daemon.socket, args);
  if (code !== 0) throw new Error(`docker ${args.join(' ')}: ${err}`);
  return out.trim();
}

test.serial('the daemon says which control groups there are', async (t) => {
  t.is(await docker('info', '--format', '{{.CgroupVersion}} {{.CgroupDriver}}'), '2 cgroupfs');
  t.is(readCgroupLayout().version, 2);
});

test.serial('an image is built, its steps in groups that go', async (t) => {
  const context = join(folder, 'context');
  mkdirSync(context);
  copyFileSync('/bin/busybox', join(context, 'busybox'));
  const lines = [
    'FROM scratch',
    'COPY busybox /bin/busybox',
    'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
    'ENV PATH=/bin',
  ];
  writeFileSync(join(context, 'Dockerfile'), lines.join('\n'));
  await docker('build', '-q', '--memory', '256m', '-t', 'box', context);
  t.is(await docker('run', '--rm', 'box', 'echo', 'built'), 'built');
});

test.serial('run, exec, stats, update, pause, stop: and nothing is left', async (t) => {
  const before = await daemon.footprint();
  await docker('run', '-d', '--name', 'one', '--memory', '64m', '--pids-limit', '30', 'box', 'sleep', '1000');
  t.is(await docker('exec', 'one', 'cat', '/sys/fs/cgroup/memory.max'), String(64 * 2 ** 20));
  const stats = await docker('stats', '--no-stream', '--format', '{{.Name}} {{.MemUsage}} {{.PIDs}}', 'one');
  t.regex(stats, /^one [\d.]+[kKM]i?B \/ 64MiB 1$/);
  await docker('update', '--memory', '96m', '--memory-swap', '96m', '--cpus', '0.5', 'one');
  t.is(await docker('exec', 'one', 'cat', '/sys/fs/cgroup/cpu.max'), '50000 100000');
  t.is(await docker('exec', 'one', 'cat', '/sys/fs/cgroup/memory.swap.max'), '0');
  await docker('pause', 'one');
  t.is(await docker('inspect', '-f', '{{.State.Status}}', 'one'), 'paused');
  await docker('unpause', 'one');
  await docker('stop', '-t', '0', 'one');
  await docker('rm', 'one');
  await waitFor('the way it was before', async () => {
    const now = new Set(await daemon.footprint());
    return [...now].every((thing) => before.includes(thing));
  });
  t.pass();
});

test.serial(
  'devices: those of the rules and no others, since the kernel filters them by a program',
  async (t) => {
    const open = 'head -c 1 /dev/kmsg >/dev/null 2>&1; echo $?; head -c 1 /dev/zero | wc -c';
    const node = 'mknod /dev/kmsg c 1 11 2>/dev/null;';
    t.is(await docker('run', '--rm', 'box', 'sh', '-c', `${node} ${open}`), '1\n1');
  },
);

test.serial('too much memory is told, by inspect and as an event', async (t) => {
  const since = String(Math.floor(Date.now() / 1000) - 1);
  const run = [
    'run',
    '--name',
    'greedy',
    '--memory',
    '16m',
    '--memory-swap',
    '16m',
    'box',
    'tail',
    '/dev/zero',
  ];
  const { code } = await cli.run(daemon.socket, run);
  t.is(code, 137);
  t.is(await docker('inspect', '-f', '{{.State.OOMKilled}}', 'greedy'), 'true');
  const until = String(Math.floor(Date.now() / 1000) + 1);
  const filters = ['--filter', 'event=oom', '--format', '{{.Action}} {{.Actor.Attributes.name}}'];
  t.is(await docker('events', '--since', since, '--until', until, ...filters), 'oom greedy');
  await docker('rm', 'greedy');
});
