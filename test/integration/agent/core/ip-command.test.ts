import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type IpRequest, ipRequest } from '#agent/core/linux/ip-command.ts';
import { NET_CHANNELS_DEFAULTS, NetChannels } from '#agent/core/linux/net-channels.ts';
import { runProgram } from '#agent/core/linux/net-program.ts';
import { createNamespace, removeNamespace } from '#agent/core/linux/netns.ts';
import { changeNetwork } from '#agent/core/linux/rtnetlink.ts';
import { systemClock } from '#proto/base/clock.ts';

const modules = { clock: systemClock };
const folder = mkdtempSync(join(tmpdir(), 'shoal-test-ip-command-'));
const [ours, theirs, other] = ['ours', 'theirs', 'other'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
const channels = new NetChannels(NET_CHANNELS_DEFAULTS, modules);

test.before(() => {
  for (const netns of [ours, theirs, other]) createNamespace(netns);
});

test.after.always(async () => {
  await channels[Symbol.asyncDispose]();
  for (const netns of [ours, theirs, other]) removeNamespace(netns);
  rmSync(folder, { recursive: true });
});

/** All that the network of a container is made of. */
function commands(outer: string): string[] {
  return [
    `link add eth0 address 02:42:0a:00:00:02 mtu 1450 type veth peer name ${outer} netns ${other} address 02:42:0a:00:00:01 mtu 1450`,
    'link add gw0 address 02:42:0a:00:00:03 type veth peer name gw1 address 02:42:0a:00:00:04',
    'link set dev lo up',
    'link set dev eth0 up',
    'link set dev gw0 mtu 1400 group 7 up',
    'link set dev gw1 up',
    'addr replace 10.9.0.2/24 dev eth0',
    'addr replace 10.9.1.2/32 dev gw0 noprefixroute',
    'neigh replace 10.9.1.1 lladdr 02:42:0a:00:00:01 dev gw0 nud permanent',
    'route replace 10.9.1.1 dev gw0 table main',
    'route replace local 10.9.2.0/28 dev gw0 table local',
    'route replace default via 10.9.1.1 dev gw0 src 10.9.1.2 table main',
    'route replace 10.9.3.0/24 via 10.9.9.9 dev gw0 onlink table 300',
    'route replace 127.0.0.11 dev gw0 src 10.9.1.2 table local',
  ];
}

/** What `ip` shows, without what differs between any two namespaces. */
async function shown(netns: string): Promise<unknown[]> {
  const asked = [
    ['-d', 'addr', 'show'],
    ['-4', 'route', 'show', 'table', 'all'],
    ['neigh', 'show', 'nud', 'permanent'],
  ];
  const texts = await Promise.all(asked.map((words) => channels.query(netns, ['ip', '-j', ...words])));
  return texts.map((text) => JSON.parse(text, (key, value) => (OWN.has(key) ? undefined : value)));
}

const OWN = new Set([
  'ifindex',
  'link_index',
  'link_netnsid',
  'operstate',
  'tentative',
  'flags',
  'linkmode',
  'addrgenmode',
  'inet6_addr_gen_mode',
]);

test.serial('what the kernel is told is what ip would tell it', async (t) => {
  const requests = commands('outer1').map(ipRequest);
  t.false(requests.includes(undefined), 'every command is known');
  const failed = await changeNetwork(ours, requests as IpRequest[]);
  t.false(failed.includes(true), failed.join());
  const input = `${commands('outer2').join('\n')}\n`;
  const { code, stderr } = await runProgram(theirs, ['ip', '-batch', '-'], input, modules);
  t.is(code, 0, stderr);
  t.deepEqual(await shown(ours), await shown(theirs));
  const [addresses] = (await shown(ours)) as [{ addr_info: unknown[] }[]];
  t.true(addresses.length >= 4, 'the devices are there');
});

test.serial(
  'a device has the address and the group that it was given, and its peer is where it belongs',
  async (t) => {
    const ask = async (netns: string, device: string): Promise<Record<string, unknown>> => {
      const [found] = JSON.parse(await channels.query(netns, ['ip', '-j', 'link', 'show', 'dev', device]));
      return found as Record<string, unknown>;
    };
    t.is((await ask(ours, 'eth0'))['address'], '02:42:0a:00:00:02');
    t.is((await ask(other, 'outer1'))['address'], '02:42:0a:00:00:01');
    t.is((await ask(other, 'outer1'))['mtu'], 1450);
    t.is((await ask(ours, 'gw0'))['group'], '7');
    t.true(((await ask(ours, 'gw0'))['flags'] as string[]).includes('UP'));
  },
);

test.serial('a command that fails is told in the words of ip, and the others are done', async (t) => {
  const [, again, , , missing, done] = await channels.runOnce(ours, 'ip', [
    'link set dev lo up',
    'link add eth0 address 02:42:0a:00:00:02 mtu 1450 type veth peer name outer3 mtu 1450',
    'link set dev eth0 up',
    'addr replace 10.9.0.3/24 dev eth0',
    'addr replace 10.9.0.4/24 dev eth9',
    'route replace 10.9.7.0/24 via 10.9.0.9 dev eth0 table main',
  ]);
  t.regex(again ?? '', /File exists/);
  t.regex(missing ?? '', /Cannot find device/);
  t.is(done, undefined);
  const routes = await channels.query(ours, ['ip', '-j', 'route', 'show', '10.9.7.0/24']);
  t.true(routes.includes('10.9.0.9'));
});

test('a command that is not known in full is left to the program', (t) => {
  for (const command of [
    'link add eth0 type macvlan mode bridge',
    'link set dev eth0 type bridge_slave isolated on',
    'addr replace fd00::2/64 dev eth0 nodad',
    'addr replace 127.0.0.2/8 dev lo',
    'route replace default via fd00::1 dev eth0',
    'route del 10.0.0.0/8 table main',
    'link del dev eth0',
    'rule add priority 5 fwmark 1 lookup 300',
  ])
    t.is(ipRequest(command), undefined, command);
});
