import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { formatPlatform, HOST_PLATFORM } from '#agent/core/image/platform.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';
import { patience } from '#test/support/wait-for.ts';

let lab: EngineLab;

test.before(async () => {
  lab = await EngineLab.open('run');
});

test.after.always(async (t) => {
  await lab[Symbol.asyncDispose]();
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
  t.false(existsSync(lab.folder));
});

test('run: output, both streams apart, and the exit code', async (t) => {
  const { code, out, err } = await lab.shell('echo out; echo err >&2; exit 42');
  t.deepEqual({ code, out, err }, { code: 42, out: 'out\n', err: 'err\n' });
});

test('run: a process that a signal ends has 128 more than its number', async (t) => {
  const id = await lab.run({ Cmd: ['sleep', '1000'] });
  await lab.engine.containers.kill(id, 'SIGKILL');
  t.is((await lab.engine.containers.wait(id, 'not-running')).exitCode, 137);
});

test('run: environment of the image and the user, host name, working folder made when it is missing', async (t) => {
  const config = { Env: ['MINE=1'], WorkingDir: '/not/there', Hostname: 'boxy', User: 'daemon' };
  const { out } = await lab.shell('echo $MINE $FROM_IMAGE $HOSTNAME $HOME; pwd; hostname; id', config);
  t.is(out, '1 yes boxy /usr/sbin\n/not/there\nboxy\nuid=1(daemon) gid=1(daemon) groups=1(daemon)\n');
});

test('run: root has the default capabilities, others none in effect; system calls are filtered', async (t) => {
  const look = "grep -E 'CapEff|CapBnd|Seccomp:' /proc/self/status | tr '\\t\\n' '  '";
  t.is((await lab.shell(look)).out, 'CapEff: 00000000a80425fb CapBnd: 00000000a80425fb Seccomp: 2 ');
  t.is(
    (await lab.shell(look, { User: '1000' })).out,
    'CapEff: 0000000000000000 CapBnd: 00000000a80425fb Seccomp: 2 ',
  );
  t.regex(
    (await lab.shell(look, {}, { CapDrop: ['ALL'], CapAdd: ['net_admin'] })).out,
    /CapEff: 0000000000001000/,
  );
  t.regex((await lab.shell(look, {}, { SecurityOpt: ['seccomp=unconfined'] })).out, /Seccomp: 0/);
});

test('run: what the filter forbids fails, what a user profile forbids too', async (t) => {
  const mountIt = 'mkdir -p /m; mount -t tmpfs none /m 2>&1; echo $?';
  t.regex((await lab.shell(mountIt, {}, {})).out, /denied|not permitted/i);
  const profile = JSON.stringify({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }],
  });
  const { out } = await lab.shell('mkdir /x 2>&1', {}, { SecurityOpt: [`seccomp=${profile}`] });
  t.regex(out, /not permitted/);
});

test('run: the machine stays hidden', async (t) => {
  const { out } = await lab.shell(
    'ls /sys/firmware | wc -l; head -c 1 /proc/kcore | wc -c; ls /proc | grep -c "^[0-9]"',
  );
  t.regex(out, /^0\n0\n[234]\n$/);
});

test('run: read-only root, tmpfs with its options, binds that may and may not be written', async (t) => {
  writeFileSync(join(lab.folder, 'shared'), 'of the machine\n');
  const hostConfig = {
    ReadonlyRootfs: true,
    Tmpfs: { '/t': 'size=1m,mode=1770' },
    Binds: [`${lab.folder}/shared:/ro:ro`, `${lab.folder}:/rw`],
  };
  const { out } = await lab.shell(
    'touch /x 2>&1; stat -c %a /t; grep " /t " /proc/mounts | grep -o "size=1024k"; cat /ro; (echo no > /ro) 2>/dev/null || echo refused; echo new > /rw/made; echo done',
    {},
    hostConfig,
  );
  t.is(out, 'touch: /x: Read-only file system\n1770\nsize=1024k\nof the machine\nrefused\ndone\n');
  t.is(readFileSync(join(lab.folder, 'made'), 'utf8'), 'new\n');
});

test('run: a new volume starts with what the image has there, and keeps what is written', async (t) => {
  const hostConfig = { Binds: ['kept:/data'] };
  t.is(
    (await lab.shell('cat /data/from-image; echo more > /data/more', {}, hostConfig)).out,
    'content of the image\n',
  );
  t.is((await lab.shell('cat /data/more', {}, hostConfig)).out, 'more\n');
});

test('run: limits bind', async (t) => {
  const hostConfig = { Memory: 64 * 1024 * 1024, NanoCpus: 5e8, PidsLimit: 33 };
  const files = [
    '/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes',
    '/sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us',
    '/sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max',
  ];
  const { out } = await lab.shell(`cat ${files.join(' ')} 2>/dev/null; true`, {}, hostConfig);
  t.regex(out, /^67108864\n50000.*\n33\n$/);
});

test('run: too much memory is noted as such', async (t) => {
  const hostConfig = { Memory: 16 * 1024 * 1024, MemorySwap: 16 * 1024 * 1024 };
  const id = await lab.run({ Cmd: ['sh', '-c', 'head -c 200000000 /dev/zero | tail'] }, hostConfig);
  const exit = await lab.engine.containers.wait(id, 'not-running');
  t.true(exit.oomKilled);
});

test('run: namespaces of the machine or of another container', async (t) => {
  const other = await lab.run({ Cmd: ['sleep', '1000'], Hostname: 'first' }, { IpcMode: 'shareable' });
  const join = `container:${other}`;
  const shared = await lab.shell(
    'ps | grep -c "[s]leep 1000"; hostname',
    {},
    { PidMode: join, NetworkMode: join },
  );
  t.is(shared.out, '1\nfirst\n');
  const { execs } = lab.engine;
  await execs.probe(
    lab.engine.containers.find(other),
    ['sh', '-c', 'echo seen > /dev/shm/f'],
    100,
    patience(),
  );
  t.is((await lab.shell('cat /dev/shm/f', {}, { IpcMode: join })).out, 'seen\n');
  t.regex((await lab.shell('[ $$ -gt 1 ] && echo host', {}, { PidMode: 'host' })).out, /host/);
});

test('shared memory that others may join goes with the container, which can be started again', async (t) => {
  const id = await lab.run({ Cmd: ['sleep', '1000'] }, { IpcMode: 'shareable' });
  await lab.engine.containers.restart(id, { graceMs: 0 });
  t.true(lab.engine.containers.find(id).isRunning);
  await lab.engine.containers.remove(id, { force: true });
  t.false(traces(lab.instance).some((trace) => trace.includes(id)));
});

test('start: a command that is not there is 127, one that may not be run 126, with words that clients know', async (t) => {
  const failing = async (command: string): Promise<[string, number]> => {
    const id = await lab.create({ Cmd: [command] });
    const error = await t.throwsAsync(lab.engine.containers.start(id), {
      code: 'INVALID_ARGUMENT',
    } as object);
    return [error?.message ?? '', lab.engine.containers.summary(id).state.ExitCode];
  };
  const [missing, missingCode] = await failing('nosuch');
  t.regex(missing, /exec: "nosuch": executable file not found in \$PATH/);
  t.is(missingCode, 127);
  const [denied, deniedCode] = await failing('/etc/passwd');
  t.regex(denied, /permission denied/);
  t.is(deniedCode, 126);
  const [folder, folderCode] = await failing('/etc');
  t.regex(folder, /permission denied/);
  t.is(folderCode, 126);
});

test('start: an unknown user is said by name, and nothing is left half-made', async (t) => {
  const id = await lab.create({ Cmd: ['true'], User: 'nosuch' });
  await t.throwsAsync(lab.engine.containers.start(id), { message: /unable to find user nosuch/ });
  t.is(lab.engine.containers.summary(id).state.Status, 'created');
  t.false(existsSync(lab.engine.parts.runtime.bundle(id)));
});

test('create: no such image, no command, a taken name', async (t) => {
  const { containers } = lab.engine;
  const request = { config: { Image: 'absent' }, hostConfig: {}, endpoints: {} };
  await t.throwsAsync(containers.create('x1', request), { message: 'No such image: absent:latest' });
  await lab.create({ Cmd: ['true'] }, {}, 'taken');
  await t.throwsAsync(lab.create({ Cmd: ['true'] }, {}, 'taken'), {
    message: /Conflict. The container name "\/taken" is already in use by container "[0-9a-f]{64}"/,
  });
  await t.throwsAsync(lab.create({ Entrypoint: [''], Cmd: [] }), { message: /no command specified/ });
});

test('create: an image of another platform than the one asked for is as good as absent', async (t) => {
  const { containers } = lab.engine;
  const request = { config: { Image: 'busybox' }, hostConfig: {}, endpoints: {} };
  await t.throwsAsync(containers.create('foreign', { ...request, platform: 'linux/s390x' }), {
    code: 'NOT_FOUND',
    message:
      /was found but its platform \(linux\/\w+\) does not match the specified platform \(linux\/s390x\)/,
  });
  const own = formatPlatform(HOST_PLATFORM);
  const { id } = await containers.create('own', { ...request, platform: own });
  t.is(containers.find('own').id, id);
});
