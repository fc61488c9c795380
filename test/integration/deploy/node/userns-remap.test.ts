import { chmodSync, copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { run } from '#deploy/local/run.ts';
import { DockerCli } from '#test/support/docker-cli.ts';
import { LoneDaemon } from '#test/support/lone-daemon.ts';
import { patience, waitFor } from '#test/support/wait-for.ts';

/* A real daemon with --userns-remap, by the real docker CLI. */

const USER = 'shoaluserns';
/** The machine's id of the containers' root. */
const ROOT = 1_900_000;
const FLAGS = ['--userns-remap', USER];
const DOCKERFILE = `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin; mkdir -p /etc /data /tmp /www"]
RUN echo root:x:0:0:root:/:/bin/sh > /etc/passwd; echo www:x:33:33:www:/:/bin/sh >> /etc/passwd
RUN echo built > /data/built; chown 33:34 /data/built; cat /proc/self/uid_map
COPY --chown=35:36 Dockerfile /data/copied
RUN echo served > /www/index.html
CMD ["sleep", "1000"]
`;
const OWNERS = 'cd /data; stat -c "%n %u:%g" *';

const daemon = new LoneDaemon('userns');
const cli = new DockerCli('userns');

test.before(async () => {
  await run(['userdel', USER]).catch(() => undefined);
  await run(['useradd', '--system', '--user-group', '--no-create-home', '--shell', '/bin/false', USER]);
  const ids = `${ROOT}-${ROOT + 65_535}`;
  await run(['usermod', '--add-subuids', ids, '--add-subgids', ids, USER]);
  await daemon.up(patience(), () => FLAGS);
  const context = join(daemon.folder, 'context');
  mkdirSync(context);
  copyFileSync('/bin/busybox', join(context, 'busybox'));
  writeFileSync(join(context, 'Dockerfile'), DOCKERFILE);
  const built = await docker('build', '-t', 'box', context);
  if (!built.includes(String(ROOT))) throw new Error(`the build ran as somebody else: ${built}`);
});

test.after.always(async () => {
  await daemon.down();
  await run(['userdel', USER]).catch(() => undefined);
  cli[Symbol.dispose]();
});

/** What docker prints; throws when it fails. */
async function docker(...args: string[]): Promise<string> {
  const { code, out, err } = await cli.run(daemon.socket, args);
  if (code !== 0) throw new Error(`docker ${args.join(' ')}: ${err}`);
  return out.trim();
}

async function refused(...args: string[]): Promise<string> {
  const { code, err } = await cli.run(daemon.socket, args);
  return code === 0 ? 'not refused' : err;
}

const sh = (line: string, ...flags: string[]): Promise<string> =>
  docker('run', '--rm', ...flags, 'box', 'sh', '-c', line);

/** A folder of the machine that belongs to its root. */
function hostFolder(name: string): string {
  const folder = join(daemon.folder, name);
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  return folder;
}

test.serial('root in a container is a subordinate user outside, and changes nothing there', async (t) => {
  t.is(await sh('id -u; cat /proc/self/uid_map | tr -s " "'), `0\n 0 ${ROOT} 65536`);
  const folder = hostFolder('theirs');
  t.is(
    await sh('touch /m/mine 2>/dev/null || echo denied; stat -c %u /m', '-v', `${folder}:/m`),
    'denied\n65534',
  );
  const id = await docker('run', '-d', 'box');
  t.regex(await docker('top', id), new RegExp(`^${ROOT} +\\d+ .*sleep 1000$`, 'm'));
  await docker('rm', '-f', id);
});

test.serial('the null device stays with the machine, however a container is started', async (t) => {
  for (const flags of [[], ['-t'], ['-i'], ['-u', 'www'], ['--log-driver', 'none']]) {
    await docker('run', '--rm', ...flags, 'box', 'true');
    const { uid, gid } = statSync('/dev/null');
    t.deepEqual([uid, gid], [0, 0], flags.join(' '));
  }
});

test.serial('its streams can be opened by name, by whoever it runs as', async (t) => {
  t.is(await sh('cat /dev/stdin; echo said > /dev/stdout'), 'said');
  t.is(await sh('echo said > /dev/stdout', '-u', 'www'), 'said');
  const id = await docker('run', '-d', 'box');
  t.is(await docker('exec', id, 'sh', '-c', 'echo said > /dev/stdout; id -u'), 'said\n0');
  t.is(await docker('exec', '-u', 'www', id, 'sh', '-c', 'echo said > /dev/stdout; id -u'), 'said\n33');
  t.is(await docker('exec', '-t', id, 'tty'), '/dev/pts/0');
  await docker('rm', '-f', id);
});

test.serial('images hold the owners that they would hold without', async (t) => {
  const owners = 'built 33:34\ncopied 35:36';
  t.is(await sh(OWNERS), owners);
  t.is(await sh(OWNERS, '--userns', 'host'), owners);
  const id = await docker(
    'run',
    '-d',
    'box',
    'sh',
    '-c',
    'rm /data/copied; touch /data/new; chown 37 /data/new',
  );
  await docker('wait', id);
  t.is(await docker('diff', id), 'C /data\nD /data/copied\nA /data/new');
  await docker('commit', id, 'changed');
  await docker('rm', id);
  const changed = 'built 33:34\nnew 37:0';
  t.is(await docker('run', '--rm', 'changed', 'sh', '-c', OWNERS), changed);
  t.is(await docker('run', '--rm', '--userns', 'host', 'changed', 'sh', '-c', OWNERS), changed);
});

test.serial('volumes begin with what the image has, and belong to every container alike', async (t) => {
  const owners = 'built 33:34\ncopied 35:36';
  t.is(await sh(OWNERS, '-v', 'kept:/data'), owners);
  await sh('echo more >> /data/built; touch /data/own', '-v', 'kept:/data');
  for (const flags of [[], ['--userns', 'host']])
    t.is(await sh(OWNERS, ...flags, '-v', 'kept:/data'), `${owners}\nown 0:0`);
  t.is(await sh('touch /t/x; stat -c %u /t/x', '--tmpfs', '/t:uid=33', '-u', 'www'), '33');
});

test.serial('files are copied in and out with the owners that the container sees', async (t) => {
  const id = await docker('run', '-d', '-v', '/vol', 'box');
  const file = join(daemon.folder, 'copied');
  writeFileSync(file, 'in\n');
  await run(['chown', '40:41', file]);
  for (const phase of ['running', 'stopped']) {
    for (const place of ['tmp', 'vol']) await docker('cp', '-a', file, `${id}:/${place}/${phase}`);
    const archive = join(daemon.folder, 'archive');
    await run(['sh', '-c', `docker -H unix://${daemon.socket} cp ${id}:/data - > ${archive}`]);
    const listed = await run(['tar', 'tvf', archive, '--numeric-owner']);
    t.regex(listed, /33\/34 .*data\/built\n.*35\/36 .*data\/copied/);
    await docker('stop', '-t', '0', id);
  }
  await docker('start', id);
  const look = 'stat -c "%n %u:%g" /tmp/* /vol/*';
  const places = ['/tmp/running', '/tmp/stopped', '/vol/running', '/vol/stopped'];
  t.is(await docker('exec', id, 'sh', '-c', look), places.map((path) => `${path} 40:41`).join('\n'));
  await run(['chown', '70000', file]);
  t.regex(
    await refused('cp', '-a', file, `${id}:/tmp/odd`),
    /Container ID 70000 cannot be mapped to a host ID/,
  );
  await docker('rm', '-f', '-v', id);
});

test.serial('a network of its own that its root may change, with ports published', async (t) => {
  const id = await docker('run', '-d', '-p', '18080:80', 'box', 'httpd', '-f', '-p', '80', '-h', '/www');
  const answer = (): Promise<string> => fetch(`http://${daemon.address}:18080/`).then((got) => got.text());
  t.is(await waitFor('an answer', () => answer().catch(() => undefined)), 'served\n');
  t.is(
    await sh('wget -qO- 127.0.0.1; ls /sys/class/net | tr "\\n" " "', '--network', `container:${id}`),
    'served\neth0 lo',
  );
  t.is(await sh('wget -qO- 127.0.0.1', '--userns', 'host', '--network', `container:${id}`), 'served');
  t.regex(await sh('ps', '--pid', `container:${id}`), /1 root +httpd/);
  t.regex(await sh('ip link set eth0 mtu 1400; ip link show eth0', '--cap-add', 'NET_ADMIN'), /mtu 1400/);
  t.is(await sh('ping -c 1 127.0.0.1 >/dev/null && cat /proc/sys/net/ipv4/ping_group_range'), '0\t65535');
  await docker('rm', '-f', id);
});

test.serial('containers find each other by name on a network that a user made', async (t) => {
  await docker('network', 'create', 'named');
  const server = ['httpd', '-f', '-p', '80', '-h', '/www'];
  const id = await docker('run', '-d', '--name', 'server', '--network', 'named', 'box', ...server);
  t.is(await sh('wget -qO- server', '--network', 'named'), 'served');
  await docker('network', 'connect', 'bridge', id);
  t.regex(await docker('exec', id, 'sh', '-c', 'echo "#" >> /etc/hosts; ip addr show eth1'), /inet 172/);
  await docker('rm', '-f', id);
  await docker('network', 'rm', 'named');
});

test.serial('devices, limits, health checks and --init are as ever; no node can be made', async (t) => {
  t.is(await sh('echo x > /dev/void && echo written', '--device', '/dev/null:/dev/void'), 'written');
  t.is(await sh('mknod /tmp/n c 1 3 2>/dev/null || echo denied'), 'denied');
  t.is(
    await sh(
      'touch /x 2>/dev/null || echo denied; touch /tmp/y && echo written',
      '--read-only',
      '--tmpfs',
      '/tmp',
    ),
    'denied\nwritten',
  );
  t.regex(await sh('ps', '--init', '--memory', '32m'), /docker-init/);
  t.is(await sh('echo 1.2.3.4 mine >> /etc/hosts && tail -n 1 /etc/hosts'), '1.2.3.4 mine');
  const id = await docker(
    'run',
    '-d',
    '--health-cmd',
    'test $(id -u) = 0',
    '--health-interval',
    '200ms',
    'box',
  );
  const health = (): Promise<string> => docker('inspect', '-f', '{{.State.Health.Status}}', id);
  t.is(
    await waitFor('a check', async () => ((await health()) === 'starting' ? undefined : await health())),
    'healthy',
  );
  await docker('rm', '-f', id);
});

test.serial('what can not be is refused in Docker’s words, and --userns=host is without', async (t) => {
  const words: [string[], RegExp][] = [
    [['--privileged'], /privileged mode is incompatible with user namespaces\. {2}You must run/],
    [['--network', 'host'], /cannot share the host's network namespace when user namespaces are enabled/],
    [['--pid', 'host'], /cannot share the host PID namespace when user namespaces are enabled/],
  ];
  for (const [flags, message] of words) {
    t.regex(await refused('run', '--rm', ...flags, 'box', 'true'), message);
    t.regex(await sh('cat /proc/self/uid_map', ...flags, '--userns', 'host'), /^ *0 +0 +4294967295$/);
  }
  const context = join(daemon.folder, 'context');
  t.regex(await refused('build', '--no-cache', '--network', 'host', context), words[1]?.[1] as RegExp);
  const id = await docker('run', '-d', '--userns', 'host', 'box');
  t.regex(await refused('run', '--rm', '--network', `container:${id}`, 'box', 'true'), /takes --userns=host/);
  await docker('rm', '-f', id);
  t.regex(
    await docker('info', '-f', '{{.SecurityOptions}} {{.DockerRootDir}}'),
    new RegExp(`name=userns .*/${ROOT}\\.${ROOT}$`),
  );
});

test.serial('tasks of services run in it as well', async (t) => {
  await docker('swarm', 'init', '--advertise-addr', '127.0.0.1', '--listen-addr', '127.0.0.1:2377');
  await docker('network', 'create', '-d', 'overlay', 'wide');
  const flags = ['--detach', '--name', 'web', '--network', 'wide', '-p', '18081:80', '--replicas', '2'];
  await docker('service', 'create', ...flags, 'box', 'httpd', '-f', '-p', '80', '-h', '/www');
  const answer = (): Promise<string> => fetch(`http://${daemon.address}:18081/`).then((got) => got.text());
  t.is(await waitFor('an answer', () => answer().catch(() => undefined)), 'served\n');
  const [id = ''] = (await docker('ps', '-q', '-f', 'name=web')).split('\n');
  t.is(
    await docker('exec', id, 'sh', '-c', 'wget -qO- web; cat /proc/self/uid_map | tr -s " "'),
    `served\n 0 ${ROOT} 65536`,
  );
  await docker('swarm', 'leave', '--force');
});

test.serial('containers outlive the daemon; what it has with and without the flag is apart', async (t) => {
  const id = await docker('run', '-d', '--name', 'lasting', 'box');
  await daemon.end('SIGKILL');
  await daemon.start(patience());
  t.is(await docker('exec', id, 'id', '-u'), '0');
  await daemon.end('SIGTERM');
  await daemon.start(patience(), []);
  t.is(await docker('ps', '-aq'), '');
  t.is(await docker('images', '-q'), '');
  const pid = readFileSync(join(daemon.folder, 'pid'), 'utf8');
  t.is(Number(pid), daemon.pid);
  await daemon.end('SIGTERM');
  await daemon.start(patience(), FLAGS);
  t.is(await docker('ps', '--format', '{{.Names}}'), 'lasting');
  t.is(await docker('exec', id, 'id', '-u'), '0');
  t.is(await sh(OWNERS), 'built 33:34\ncopied 35:36');
});
