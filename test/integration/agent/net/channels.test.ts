import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { forgetFlows } from '#agent/core/linux/conntrack.ts';
import { NET_CHANNELS_DEFAULTS, NetChannels } from '#agent/core/linux/net-channels.ts';
import {
  createNamespace,
  isNamespace,
  namespaceFiles,
  readSetting,
  removeNamespace,
  setSettings,
} from '#agent/core/linux/netns.ts';
import { canBind, openSockets } from '#agent/core/linux/procnet.ts';
import { inNetworkNamespace } from '#agent/core/linux/sys.ts';
import { systemClock } from '#proto/base/clock.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/* Programs that change namespaces, and namespaces themselves, against the real kernel. */

interface Place extends AsyncDisposable {
  readonly netns: string;
  readonly directory: string;
}

/** A namespace of this test's own. */
function place(): Place {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-test-channels-'));
  const netns = join(directory, 'ns');
  createNamespace(netns);
  return {
    netns,
    directory,
    [Symbol.asyncDispose]: async () => {
      removeNamespace(netns);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function channelsOf(clock: Pick<typeof systemClock, 'timer'> = systemClock, more = {}): NetChannels {
  return new NetChannels({ ...NET_CHANNELS_DEFAULTS, ...more }, { clock });
}

test('ip: what fails is told for each command, and the others are carried out', async (t) => {
  await using at = place();
  await using channels = channelsOf();
  const errors = await channels.run(at.netns, 'ip', [
    'link set dev lo up',
    'link set dev nothing up',
    'addr add 10.9.9.9/32 dev lo',
    'route add 10.8.0.0/16 via 192.0.2.1',
  ]);
  t.deepEqual(
    errors.map((error) => error !== undefined),
    [false, true, false, true],
  );
  t.regex(errors[1] as string, /Cannot find device "nothing"/);
  t.regex(await channels.query(at.netns, ['ip', 'addr']), /10\.9\.9\.9/);
  t.deepEqual(await channels.run(at.netns, 'ip', ['addr del 10.9.9.9/32 dev lo']), [undefined]);
});

test('bridge and one-shot ip tell failures alike', async (t) => {
  await using at = place();
  await using channels = channelsOf();
  const fdb = 'fdb add 02:00:00:00:00:01 dev nothing dst 192.0.2.1 self';
  t.regex((await channels.run(at.netns, 'bridge', [fdb]))[0] as string, /nothing/);
  const errors = await channels.runOnce(at.netns, 'ip', ['link set dev nothing up', 'link set dev lo up']);
  t.regex(errors[0] as string, /Cannot find device/);
  t.is(errors[1], undefined);
});

test('nft: a command is a transaction, all of it or nothing', async (t) => {
  await using at = place();
  await using channels = channelsOf();
  const errors = await channels.run(at.netns, 'nft', [
    'add table ip here; add set ip here s { type ipv4_addr; }',
    'add element ip here s { 10.0.0.1 }; add rule ip here nochain accept',
    'add element ip here s { 10.0.0.2 }',
  ]);
  t.is(errors[0], undefined);
  t.regex(errors[1] as string, /No such file or directory/);
  t.is(errors[2], undefined);
  const list = await channels.query(at.netns, ['nft', 'list', 'ruleset']);
  t.true(list.includes('10.0.0.2') && !list.includes('10.0.0.1'));
  t.is(await channels.load(at.netns, 'add element ip here s { 10.0.0.3 }\n'), undefined);
  t.regex((await channels.load(at.netns, 'add element ip here nothing { 10.0.0.3 }\n')) as string, /No such/);
});

test('a program that dies fails its request, and the next one has a new program', async (t) => {
  await using at = place();
  await using channels = channelsOf();
  // What is no prefix ends ip at once, whatever was to come.
  await t.throwsAsync(channels.run(at.netns, 'ip', ['addr add nonsense dev lo', 'link set dev lo up']), {
    message: /any valid prefix is expected/,
  });
  t.deepEqual(await channels.run(at.netns, 'ip', ['link set dev lo up']), [undefined]);
});

test('a program that is idle ends, one that is released too, and the namespace with them', async (t) => {
  await using at = place();
  const clock = new VirtualClock();
  await using channels = channelsOf(clock);
  await channels.run(at.netns, 'ip', ['link set dev lo up']);
  await clock.advance(NET_CHANNELS_DEFAULTS.idleMs);
  t.deepEqual(await channels.run(at.netns, 'ip', ['link set dev lo up']), [undefined]);
  await channels.release(at.netns);
  t.deepEqual(processesIn(at.netns), []);
});

/** Processes in a namespace, besides none. */
function processesIn(netns: string): string[] {
  const inode = execFileSync('stat', ['-L', '-c', '%i', netns]).toString().trim();
  const all = execFileSync('lsns', ['-t', 'net', '-n', '-o', 'NS,PID']).toString().trim().split('\n');
  return all.filter((line) => line.trim().startsWith(`${inode} `) && !line.trim().endsWith(' 0'));
}

test('more requests than may wait are refused', async (t) => {
  await using at = place();
  await using channels = channelsOf(systemClock, { waitingMax: 1 });
  const first = channels.run(at.netns, 'ip', ['link set dev lo up']);
  const second = channels.run(at.netns, 'ip', ['link set dev lo up']);
  await t.throwsAsync(channels.run(at.netns, 'ip', ['link set dev lo up']), {
    code: 'RESOURCE_EXHAUSTED',
  } as object);
  t.deepEqual(await Promise.all([first, second]), [[undefined], [undefined]]);
});

test('more programs than are kept: the one idle longest ends', async (t) => {
  await using at = place();
  await using channels = channelsOf(systemClock, { keptMax: 1 });
  await channels.run(at.netns, 'ip', ['link set dev lo up']);
  await channels.run(at.netns, 'nft', ['add table ip here']);
  t.deepEqual(await channels.run(at.netns, 'ip', ['link set dev lo up']), [undefined]);
});

test('a namespace lives in its file alone, and its hash tables of sockets are its own', async (t) => {
  await using at = place();
  t.true(isNamespace(at.netns));
  t.deepEqual(namespaceFiles(at.directory), ['ns']);
  t.throws(() => createNamespace(at.netns), { code: 'EEXIST' });
  setSettings(at.netns, { 'net/ipv4/ip_forward': 1 });
  t.is(readSetting(at.netns, 'net/ipv4/ip_forward'), 1);
  t.is(Math.abs(readSetting(at.netns, 'net/ipv4/tcp_ehash_entries') ?? 0), 4096);
  t.throws(() => setSettings(at.netns, { 'net/ipv4/nothing': 1 }), { code: 'ENOENT' });
  removeNamespace(at.netns);
  t.false(isNamespace(at.netns));
  removeNamespace(at.netns);
});

test('a port is free, taken, or taken at one address', async (t) => {
  await using at = place();
  await using channels = channelsOf();
  await channels.run(at.netns, 'ip', ['link set dev lo up']);
  const bind = (protocol: 'tcp' | 'udp', address: string): boolean =>
    inNetworkNamespace(at.netns, () => canBind(protocol, address, 4_000));
  t.true(bind('tcp', '0.0.0.0') && bind('udp', '127.0.0.1'));
  t.false(bind('tcp', '192.0.2.1'), 'nobody’s address');
  const rows = inNetworkNamespace(at.netns, () => readFileSync('/proc/thread-self/net/tcp', 'utf8'));
  t.is(rows.trim().split('\n').length, 1);
  t.true(Array.isArray(openSockets('self', 'tcp')));
});

test('flows are forgotten by who answers them', async (t) => {
  await using at = place();
  await using channels = channelsOf();
  await channels.run(at.netns, 'ip', ['link set dev lo up']);
  const add = (source: string, port: number): void => {
    const tuple = [
      '-p',
      'udp',
      '-s',
      '10.0.0.9',
      '-d',
      '10.0.0.200',
      '--sport',
      String(port),
      '--dport',
      '80',
    ];
    const ends = ['--reply-port-src', '80', '--reply-port-dst', String(port)];
    const reply = ['-r', source, '-q', '10.0.0.9', ...ends, '-t', '60'];
    execFileSync('nsenter', [`--net=${at.netns}`, 'conntrack', '-I', ...tuple, ...reply], {
      stdio: 'ignore',
    });
  };
  add('10.0.0.1', 1_000);
  add('10.0.0.1', 1_001);
  add('10.0.0.2', 1_002);
  add('10.0.0.3', 1_003);
  const clock = { clock: systemClock };
  t.is(await forgetFlows(at.netns, 'tcp', new Set(['10.0.0.1']), clock), 0);
  t.is(await forgetFlows(at.netns, 'udp', new Set(['10.0.0.1']), clock), 2);
  t.is(await forgetFlows(at.netns, 'udp', new Set(['10.0.0.1', '10.0.0.2']), clock), 1);
  const left = await channels.query(at.netns, ['conntrack', '-L']);
  t.true(left.includes('src=10.0.0.3 ') && !left.includes('src=10.0.0.2 '));
});
