import test from 'ava';
import {
  bridgeAddress,
  checkDefaults,
  dnsOf,
  type EngineDefaults,
  engineGroup,
  givenPools,
  logConfigOf,
} from '#agent/core/defaults.ts';
import { formatSubnet } from '#agent/core/subnet.ts';

test('logs: the engine’s driver and its options, under what a container says', (t) => {
  const defaults = { logDriver: 'local', logOpts: { 'max-size': '5m', 'max-file': '2' } };
  t.deepEqual(logConfigOf(undefined, defaults), { Type: 'local', Config: defaults.logOpts });
  t.deepEqual(logConfigOf({ Type: '', Config: { 'max-file': '9' } }, defaults).Config, {
    'max-size': '5m',
    'max-file': '9',
  });
  t.deepEqual(logConfigOf({ Type: 'json-file' }, defaults), { Type: 'json-file', Config: {} });
  t.deepEqual(logConfigOf(undefined), { Type: 'json-file', Config: {} });
});

test('nameservers: a container’s own, else the engine’s', (t) => {
  t.deepEqual(dnsOf({ Dns: ['1.1.1.1'] }, { dns: ['9.9.9.9'] }), ['1.1.1.1']);
  for (const Dns of [undefined, null, []])
    t.deepEqual(dnsOf({ Dns } as object, { dns: ['9.9.9.9'] }), ['9.9.9.9']);
  t.deepEqual(dnsOf({}), []);
});

test('control groups: below the parent that was named, by whatever slashes', (t) => {
  t.is(engineGroup({ instance: 'i' }), '/shoal/i');
  for (const cgroupParent of ['a/b', '/a/b/'])
    t.is(engineGroup({ instance: 'i', defaults: { cgroupParent } }), '/a/b/shoal/i');
});

test('pools: cut into subnets in order, one pool after the other; none given is Docker’s', (t) => {
  const addressPools = [
    { base: '10.1.0.0/23', size: 24 },
    { base: '10.9.0.0/24', size: 24 },
  ];
  const subnets = [...(givenPools({ addressPools }) ?? [])].map(formatSubnet);
  t.deepEqual(subnets, ['10.1.0.0/24', '10.1.1.0/24', '10.9.0.0/24']);
  t.is(givenPools({ addressPools: [] }), undefined);
});

test('bridge: its address is the gateway of its subnet', (t) => {
  const { subnet, gateway } = bridgeAddress('192.168.5.7/24');
  t.is(formatSubnet(subnet), '192.168.5.0/24');
  t.is(gateway, '192.168.5.7');
});

const refused: readonly [string, EngineDefaults, RegExp][] = [
  ['a log driver that is not there', { logDriver: 'syslog' }, /no log driver named 'syslog'/],
  ['a nameserver by name', { dns: ['dns.example'] }, /dns\.example is not an IPv4 address/],
  ['a bridge without a host address', { bridge: { cidr: '10.0.0.0/24' } }, /ADDRESS\/PREFIX is expected/],
  ['a bridge without a prefix', { bridge: { cidr: '10.0.0.1' } }, /ADDRESS\/PREFIX is expected/],
  [
    'subnets larger than their pool',
    { addressPools: [{ base: '10.0.0.0/24', size: 16 }] },
    /invalid default address/,
  ],
  ['no bridge', { bridge: { name: 'none' } }, /not supported/],
];

for (const [what, defaults, message] of refused)
  test(`refused before anything is opened: ${what}`, (t) => {
    t.throws(() => checkDefaults(defaults), { message });
  });

test('nothing said is nothing wrong', (t) => {
  t.notThrows(() => checkDefaults({}));
});
