import test from 'ava';
import { type KernelText, readNode, readRouter } from '#agent/net/plan/kernel.ts';
import { instanceNames } from '#agent/net/plan/names.ts';

/* As iproute2 6.1 prints it, without what is not read. */

const VXLAN = {
  ifname: 'vx0',
  flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
  mtu: 1450,
  group: 'default',
  linkinfo: { info_kind: 'vxlan', info_data: { id: 4097, local: '10.90.0.1', port: 4789 } },
};
const LOOPBACK = { ifname: 'lo', flags: ['LOOPBACK', 'UP', 'LOWER_UP'], mtu: 65536, group: 'default' };

function textOf(parts: Partial<Record<keyof KernelText, readonly object[]>>): KernelText {
  const text = (key: keyof KernelText): string => JSON.stringify(parts[key] ?? []);
  return {
    links: text('links'),
    addresses: text('addresses'),
    routes: text('routes'),
    neighbours: text('neighbours'),
    forwarding: text('forwarding'),
    rules: text('rules'),
  };
}

test('a router: everything that we made, in the plan’s own spelling', (t) => {
  const items = readRouter(
    textOf({
      links: [LOOPBACK, VXLAN],
      addresses: [
        {
          ifname: 'lo',
          addr_info: [
            { local: '127.0.0.1', prefixlen: 8 },
            { family: 'inet6', local: '::1', prefixlen: 128, scope: 'host' },
            { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link' },
            { local: '10.0.1.1', prefixlen: 32 },
          ],
        },
        {},
      ],
      routes: [
        { dst: '10.0.1.21', gateway: '169.254.0.2', dev: 'vx0', flags: ['onlink'] },
        { type: 'local', dst: '10.0.1.200', dev: 'lo', table: 'local', scope: 'host', flags: [] },
        { type: 'local', dst: '10.0.1.1', dev: 'lo', table: 'local', protocol: 'kernel', flags: [] },
        { type: 'broadcast', dst: '127.255.255.255', dev: 'lo', table: 'local', flags: [] },
      ],
      neighbours: [{ dst: '169.254.0.2', dev: 'vx0', lladdr: '02:5a:0a:5a:00:02', state: ['PERMANENT'] }],
      forwarding: [
        { mac: '02:5a:0a:5a:00:02', ifname: 'vx0', dst: '10.90.0.2', flags: ['self'], state: 'permanent' },
        { mac: '33:33:00:00:00:01', ifname: 'vx0', flags: ['self'], state: 'permanent' },
      ],
    }),
  );
  t.deepEqual(
    items.map((item) => `${item.key} = ${item.value}`),
    [
      'link lo = up',
      'link vx0 = vxlan 4097 10.90.0.1 4789 mtu 1450 group 0 up',
      'addr lo 10.0.1.1/32 = ',
      'route main 10.0.1.21 = via 169.254.0.2 dev vx0 onlink',
      'route local 10.0.1.200 = dev lo',
      'neigh vx0 169.254.0.2 = 02:5a:0a:5a:00:02',
      'fdb vx0 02:5a:0a:5a:00:02 = 10.90.0.2',
    ],
  );
});

test('the node: links of our groups, ports of our bridges, and our rules; nothing of anybody else', (t) => {
  const bridge = {
    ...LOOPBACK,
    ifname: 'shoal0',
    group: '77',
    mtu: 1500,
    flags: ['UP'],
    linkinfo: { info_kind: 'bridge' },
  };
  const port = {
    ...bridge,
    ifname: 'vabc-0',
    group: 'default',
    master: 'shoal0',
    linkinfo: { info_kind: 'veth' },
  };
  const foreign = { ...bridge, ifname: 'docker0', group: 'default' };
  const items = readNode(
    textOf({
      links: [LOOPBACK, bridge, port, foreign, { ...port, ifname: 'veth1', master: 'docker0' }],
      addresses: [{ ifname: 'docker0', addr_info: [{ local: '172.17.0.1', prefixlen: 16 }] }],
      rules: [
        { priority: 0, src: 'all', table: 'local' },
        { priority: 9000, not: null, fwmark: '0x5a000000', fwmask: '0xfffff000', goto: 9002 },
        { priority: 9001, fwmark: '0x5a000002', table: '1509949442' },
        { priority: 9001, fwmark: '0x77', table: '7' },
        { priority: 9002, nop: null },
      ],
    }),
    instanceNames(''),
  );
  t.deepEqual(
    items.map((item) => item.key),
    [
      'link shoal0',
      'link vabc-0',
      'rule 9000 not fwmark 0x5a000000/0xfffff000 goto 9002',
      'rule 9001 fwmark 0x5a000002 lookup 1509949442',
      'rule 9002 nop',
    ],
  );
});

test('a link that is down is not as it should be', (t) => {
  const [down] = readRouter(textOf({ links: [{ ...VXLAN, flags: ['BROADCAST'] }] }));
  t.is(down?.value, 'down');
});
