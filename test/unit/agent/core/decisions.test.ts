import test from 'ava';
import { hostsFile, resolvFile } from '#agent/core/etc-files.ts';
import { healthCheckOf, nextCheckMs, nextHealth, STARTING } from '#agent/core/health-state.ts';
import { planMounts } from '#agent/core/mount-points.ts';
import { checkedContainerName, randomId, randomName } from '#agent/core/names.ts';
import { publishedPorts } from '#agent/core/ports.ts';
import { type ContainerSpec, endedAtMs, type MountPoint, timestamp } from '#agent/core/record.ts';
import { restartDelayMs, restarts, startsWithEngine } from '#agent/core/restart.ts';
import { defaultPools, formatSubnet, overlaps, parseSubnet } from '#agent/core/subnet.ts';
import { seededRandom } from '#proto/base/random.ts';

const ended = (exitCode: number, restartCount = 0, stoppedByUser = false) => ({
  exitCode,
  restartCount,
  stoppedByUser,
});

test('restart: by policy, exit code and count, never what somebody stopped', (t) => {
  t.true(restarts({ Name: 'always' }, ended(0)));
  t.false(restarts({ Name: 'always' }, ended(0, 0, true)));
  t.true(restarts({ Name: 'on-failure' }, ended(1, 99)));
  t.false(restarts({ Name: 'on-failure' }, ended(0)));
  t.true(restarts({ Name: 'on-failure', MaximumRetryCount: 2 }, ended(1, 1)));
  t.false(restarts({ Name: 'on-failure', MaximumRetryCount: 2 }, ended(1, 2)));
  t.false(restarts({ Name: 'no' }, ended(1)));
  t.false(restarts(undefined, ended(1)));
});

test('restart with the engine: always in any case, others as they were left', (t) => {
  const last = { ...ended(0, 0, true), everStarted: true };
  t.true(startsWithEngine({ Name: 'always' }, last));
  t.false(startsWithEngine({ Name: 'unless-stopped' }, last));
  t.false(startsWithEngine({ Name: 'always' }, { ...last, everStarted: false }));
});

test('restart: the wait doubles up to a minute, and begins anew after a good run', (t) => {
  t.is(restartDelayMs(0, 0), 100);
  t.is(restartDelayMs(100, 50), 200);
  t.is(restartDelayMs(50_000, 50), 60_000);
  t.is(restartDelayMs(50_000, 20_000), 100);
});

const check = healthCheckOf(
  { Test: ['CMD-SHELL', 'x y'], Retries: 2, StartPeriod: 1e9, StartInterval: 1e8 },
  null,
);
const result = (ExitCode: number) => ({ Start: '', End: '', ExitCode, Output: '' });

test('health: defaults, shells, and none', (t) => {
  t.deepEqual(check?.command, ['/bin/sh', '-c', 'x y']);
  t.is(check?.intervalMs, 30_000);
  t.is(healthCheckOf({ Test: ['NONE'] }, null), undefined);
  t.is(healthCheckOf({ Test: [] }, null), undefined);
  t.is(healthCheckOf(null, null), undefined);
});

test('health: failures do not count while it starts, then so many in a row do', (t) => {
  if (!check) return t.fail();
  const starting = nextHealth(STARTING, result(1), check, 500);
  t.is(starting.FailingStreak, 0);
  t.is(nextCheckMs(starting, check, 500), 100);
  const first = nextHealth(starting, result(1), check, 2000);
  t.deepEqual([first.Status, first.FailingStreak], ['starting', 1]);
  t.is(nextHealth(first, result(1), check, 3000).Status, 'unhealthy');
  const healthy = nextHealth(first, result(0), check, 3000);
  t.deepEqual([healthy.Status, healthy.FailingStreak], ['healthy', 0]);
  t.is(nextHealth(healthy, result(1), check, 500).FailingStreak, 1);
  const many = Array.from({ length: 9 }).reduce<typeof healthy>(
    (state) => nextHealth(state, result(0), check, 0),
    healthy,
  );
  t.is(many.Log.length, 5);
});

const modules = {
  volume: (name: string | undefined) => ({
    name: name ?? 'anonymous',
    path: `/volumes/${name ?? 'anonymous'}`,
  }),
  mountsOf: (): MountPoint[] => [
    {
      type: 'volume',
      name: 'theirs',
      source: '/volumes/theirs',
      destination: '/theirs',
      mode: '',
      rw: true,
      propagation: '',
    },
  ],
};
const points = (hostConfig: object, Volumes: Record<string, object> = {}) =>
  planMounts({ Volumes }, hostConfig, modules).map(({ mount, copyUp }) => [
    mount.type,
    mount.source,
    mount.destination,
    mount.rw,
    copyUp,
  ]);

test('mounts: binds, volumes, tmpfs, those of others, those that the image wants', (t) => {
  const hostConfig = {
    Binds: ['/etc:/host:ro', 'named:/named', 'plain:/plain:nocopy'],
    Mounts: [{ Type: 'tmpfs', Target: '/t' }],
    VolumesFrom: ['other:ro'],
    Tmpfs: { '/u': 'size=1m' },
  };
  t.deepEqual(points(hostConfig, { '/own': {}, '/named': {} }), [
    ['volume', '/volumes/theirs', '/theirs', false, false],
    ['bind', '/etc', '/host', false, false],
    ['volume', '/volumes/named', '/named', true, true],
    ['volume', '/volumes/plain', '/plain', true, false],
    ['tmpfs', '', '/t', true, false],
    ['tmpfs', '', '/u', true, false],
    ['volume', '/volumes/anonymous', '/own', true, true],
  ]);
});

test('mounts: a path alone is a volume of its own, and kinds of mounts have options of their own', (t) => {
  t.deepEqual(points({ Binds: ['/data'] }), [['volume', '/volumes/anonymous', '/data', true, true]]);
  const mounting = (mount: object) => () => points({ Mounts: [mount] });
  t.throws(mounting({ Type: 'bind', Source: '/etc' }), { message: /field Target must not be empty/ });
  t.throws(mounting({ Type: 'tmpfs', Source: 'x', Target: '/t' }), { message: /field Source must not be/ });
  t.throws(mounting({ Type: 'bind', Source: '/etc', Target: '/t', VolumeOptions: {} }), {
    message: 'invalid mount config for type "bind": field VolumeOptions must not be specified',
  });
});

test('mounts: what can not be is refused in words that clients know', (t) => {
  const bind = (source: string) => ({ Mounts: [{ Type: 'bind', Source: source, Target: '/m' }] });
  t.throws(() => points(bind('/no/such')), { message: /bind source path does not exist: \/no\/such/ });
  t.throws(() => points(bind('relative')), { message: /mount path must be absolute/ });
  t.throws(() => points({ Binds: ['/etc:/m', '/usr:/m'] }), { message: 'Duplicate mount point: /m' });
  t.throws(() => points({ Binds: ['/etc:/m:fast'] }), { message: 'invalid mode: fast' });
  t.throws(() => points({ Binds: ['/etc:/'] }), { message: /destination can't be '\/'/ });
  t.throws(
    () =>
      points({ Mounts: [{ Type: 'volume', Source: 'v', Target: '/m', VolumeOptions: { Subpath: '../x' } }] }),
    {
      message: /invalid volume subpath/,
    },
  );
});

test('ports: as bound, as exposed, with any host port for none', (t) => {
  const hostConfig = {
    PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }, {}], '53/udp': null },
  };
  t.deepEqual(publishedPorts({}, hostConfig), [
    { protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostPort: 8080 },
    { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 0 },
  ]);
  const exposed = { ExposedPorts: { '80/tcp': {}, '90/tcp': {} } };
  t.is(publishedPorts(exposed, { ...hostConfig, PublishAllPorts: true }).length, 3);
  t.throws(() => publishedPorts({}, { PortBindings: { '0/tcp': [{}] } }), {
    message: /invalid port specification/,
  });
  const ranged = (HostPort: string) => publishedPorts({}, { PortBindings: { '1/tcp': [{ HostPort }] } })[0];
  t.like(ranged('80-82'), { hostPort: 80, hostPortMax: 82 });
  t.deepEqual(ranged('80-80'), { protocol: 'tcp', containerPort: 1, hostIp: '', hostPort: 80 });
  for (const wrong of ['82-80', '0-5', '-5', '5-', 'x'])
    t.throws(() => ranged(wrong), { message: `invalid host port: ${wrong}` });
  t.throws(() => publishedPorts({}, { PortBindings: { '1/ip': [{}] } }), { message: 'invalid protocol: ip' });
  t.throws(() => publishedPorts({}, { PortBindings: { '1/tcp': [{ HostPort: '99999' }] } }), {
    message: /invalid host port/,
  });
});

const spec = (hostConfig: object, config: object = {}) =>
  ({ hostConfig, config: { Hostname: 'box', ...config } }) as unknown as ContainerSpec;

test('hosts file: localhost, what was added, the container itself', (t) => {
  const network = { host: false, addresses: ['10.0.0.2'], gateway: '10.0.0.1' };
  const text = hostsFile(
    spec({ ExtraHosts: ['foo:1.2.3.4', 'gw:host-gateway', 'six=[::2]'] }, { Domainname: 'dom' }),
    network,
    '',
  );
  t.true(text.startsWith('127.0.0.1\tlocalhost\n'));
  t.true(text.endsWith('1.2.3.4\tfoo\n10.0.0.1\tgw\n::2\tsix\n10.0.0.2\tbox.dom box\n'));
  t.is(hostsFile(spec({}), { host: true, addresses: [] }, '9.9.9.9 it\n'), '9.9.9.9 it\n');
});

test('hosts file: a hostname of several parts is also known by its first', (t) => {
  const network = {
    host: false,
    addresses: ['10.0.0.2'],
    links: [{ address: '10.0.0.3', names: ['db', 'x'] }],
  };
  const text = hostsFile(spec({}, { Hostname: 'a.b.c' }), network, '');
  t.true(text.endsWith('10.0.0.3\tdb x\n10.0.0.2\ta.b.c a\n'));
});

test("resolver: the machine's, without what is out of reach, the user's, or our own", (t) => {
  const machine = 'nameserver 127.0.0.53\nnameserver 1.1.1.1\nsearch a b\noptions edns0\n';
  const network = { host: false, addresses: [] };
  t.is(resolvFile(spec({}), network, machine), 'nameserver 1.1.1.1\nsearch a b\noptions edns0\n');
  t.is(resolvFile(spec({}), { ...network, host: true }, machine), machine);
  t.is(resolvFile(spec({}), network, ''), 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n');
  t.is(
    resolvFile(spec({ Dns: ['9.9.9.9'], DnsSearch: ['.'] }), network, machine),
    'nameserver 9.9.9.9\noptions edns0\n',
  );
  t.is(
    resolvFile(spec({}), { ...network, nameserver: '127.0.0.11' }, ''),
    'nameserver 127.0.0.11\noptions ndots:0\n',
  );
});

test('names: random ones are free, ids are hexadecimal, wrong ones are refused', (t) => {
  const random = seededRandom(1);
  const taken = new Set<string>();
  for (let count = 0; count < 5000; count += 1) {
    const name = randomName(random, (word) => taken.has(word));
    t.false(taken.has(name));
    taken.add(checkedContainerName(name));
  }
  t.regex(randomId(random), /^[0-9a-f]{64}$/);
  t.is(checkedContainerName('/a.b-c_d'), 'a.b-c_d');
  for (const wrong of ['b@d', '-x', 'x', ''])
    t.throws(() => checkedContainerName(wrong), { message: /Invalid container name/ });
});

test('subnets: what overlaps, what is none, and the pools in their order', (t) => {
  const of = (cidr: string) => parseSubnet(cidr) ?? { base: -1, prefix: 32 };
  t.true(overlaps(of('10.0.0.0/8'), of('10.9.0.0/16')));
  t.false(overlaps(of('10.0.0.0/24'), of('10.0.1.0/24')));
  t.is(formatSubnet(of('10.1.2.3/16')), '10.1.0.0/16');
  for (const wrong of ['10.0.0.0', '10.0.0/8', '10.0.0.0/33', '256.0.0.0/8'])
    t.is(parseSubnet(wrong), undefined);
  t.deepEqual([...defaultPools()].slice(0, 2).map(formatSubnet), ['172.17.0.0/16', '172.18.0.0/16']);
  t.is([...defaultPools()].length, 31);
});

test('timestamps: RFC 3339 without zeros at the end', (t) => {
  t.is(timestamp(0), '1970-01-01T00:00:00Z');
  t.is(timestamp(1500), '1970-01-01T00:00:01.5Z');
  t.is(timestamp(1.25), '1970-01-01T00:00:00.00125Z');
});

test('timestamps: nothing ends before it started, whatever its exit file says', (t) => {
  const startedAt = timestamp(1_700_000_000_165);
  t.is(endedAtMs(1_700_000_000_163.76, { startedAt }), 1_700_000_000_165);
  t.is(endedAtMs(1_700_000_000_166.5, { startedAt }), 1_700_000_000_166.5);
});
