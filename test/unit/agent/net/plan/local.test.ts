import test from 'ava';
import type { LocalNetwork } from '#agent/net/node-network.ts';
import { difference } from '#agent/net/plan/change.ts';
import { type ChoiceFacts, chooseSandbox } from '#agent/net/plan/choose.ts';
import { cidr6Of, maybeNumber6, overlaps6, subnet6Of } from '#agent/net/plan/ipv6.ts';
import { makePlan, type Plan } from '#agent/net/plan/plan.ts';
import type { SandboxRecord } from '#agent/net/plan/sandbox-record.ts';
import { BRIDGE, idOf, inputOf, onBridge } from '#test/support/net/plan-input.ts';

/* Networks of one machine that are more than an IPv4 bridge. */

const SIX: LocalNetwork = { ...BRIDGE, ipv6: { subnet: 'fd00:a::/64', gateway: 'fd00:a::1' } };
const DEVICES: LocalNetwork = {
  ...BRIDGE,
  driver: 'macvlan',
  macvlan: { parent: 'lan0', mode: 'bridge' },
  mtu: 1_400,
};

function factsOf(network: LocalNetwork, ...others: readonly SandboxRecord[]): ChoiceFacts {
  return {
    sandboxes: new Map(others.map((record) => [record.containerId, record])),
    locals: new Map([[network.id, network]]),
    isForeign: () => false,
    addresses: [],
    addresses6: [],
    dynamicPorts: [1, 2],
    lastSlot: 0,
    lastPort: 0,
  };
}

function chosen(
  network: LocalNetwork,
  others: readonly SandboxRecord[] = [],
  address6?: string,
): SandboxRecord {
  const attachment = { networkId: network.id, aliases: [], ...(address6 ? { address6 } : {}) };
  const request = { containerId: idOf('c'), names: ['c'], attachments: [attachment], ports: [], mesh: false };
  return chooseSandbox(request, factsOf(network, ...others));
}

/** What a plan wants to be said to `ip` and to switches in a namespace. */
function commandsOf(plan: Plan, namespace: string): string[] {
  return [...plan.fragments.values()].flatMap((fragment) =>
    (fragment.get(namespace)?.items ?? []).flatMap(({ create, set }) => [
      ...(create ? [create] : []),
      set ?? '',
    ]),
  );
}

test('IPv6 subnets: written as the kernel does, kept apart, and nothing else is one', (t) => {
  t.is(cidr6Of(subnet6Of('FD00:0a::9/64')), 'fd00:a::/64');
  t.true(overlaps6(subnet6Of('fd00::/16'), subnet6Of('fd00:a::/64')));
  t.false(overlaps6(subnet6Of('fd00:b::/64'), subnet6Of('fd00:a::/64')));
  t.is(maybeNumber6('fd00::1/64'), undefined);
  for (const wrong of ['10.0.0.0/8', 'fd00::', 'fd00::/200', 'x/64'])
    t.throws(() => subnet6Of(wrong), { message: `invalid CIDR address: ${wrong}` });
});

test('IPv6 addresses: the lowest that is free, or the one asked for, within the subnet', (t) => {
  const first = chosen(SIX);
  t.deepEqual(first.attachments[0]?.ipv6, { address: 'fd00:a::2/64', gateway: 'fd00:a::1' });
  const other = { ...first, containerId: idOf('e') };
  t.is(chosen(SIX, [other]).attachments[0]?.ipv6?.address, 'fd00:a::3/64');
  t.is(chosen(SIX, [], 'fd00:a::0099').attachments[0]?.ipv6?.address, 'fd00:a::99/64');
  t.throws(() => chosen(SIX, [other], 'fd00:a::2'), { message: 'Address already in use' });
  t.throws(() => chosen(SIX, [], 'fd00:b::2'), {
    message: /no configured subnet contains IP address fd00:b::2/,
  });
  t.throws(() => chosen(BRIDGE, [], 'fd00:a::2'), { message: /no configured subnet contains/ });
  t.is(chosen(BRIDGE).attachments[0]?.ipv6, undefined);
});

test('a bridge with IPv6: addresses on both ends, a way out, and rules of its own', (t) => {
  const plan = makePlan(inputOf(undefined, [chosen(SIX)], [SIX]));
  const node = commandsOf(plan, 'node');
  t.true(node.some((text) => /^addr replace fd00:a::1\/64 dev br-\w+ nodad$/.test(text)));
  t.true(node.some((text) => /^net\/ipv6\/conf\/br-\w+\/disable_ipv6 0$/.test(text)));
  const inside = commandsOf(plan, idOf('c'));
  t.true(inside.includes('addr replace fd00:a::2/64 dev eth0 nodad'));
  t.true(inside.includes('route replace default via fd00:a::1 dev eth0'));
  t.is(plan.fragments.get('node')?.get('node')?.settings?.['net/ipv6/conf/all/forwarding'], 1);
  const closed = makePlan(inputOf(undefined, [chosen(SIX)], [{ ...SIX, internal: true }]));
  t.false(commandsOf(closed, idOf('c')).some((text) => text.startsWith('route replace default')));
});

test('a published port of IPv6 is one rule in the table for it; nothing is, where no bridge leads to it', (t) => {
  const ports = [
    { protocol: 'tcp' as const, containerPort: 80, hostPort: 8080, hostIp: '' },
    { protocol: 'udp' as const, containerPort: 53, hostPort: 5353, hostIp: '::' },
    { protocol: 'tcp' as const, containerPort: 80, hostPort: 8081, hostIp: '::1' },
  ];
  const fragment = (network: LocalNetwork) =>
    makePlan(inputOf(undefined, [{ ...chosen(SIX), ports }], [network]))
      .fragments.get(`sandbox:${idOf('c')}`)
      ?.get('node');
  const of6 = <T extends { family?: string }>(all: readonly T[] = []): T[] =>
    all.filter(({ family }) => family === 'ip6');
  const published = fragment(SIX);
  t.is(published?.elements.length, 3);
  t.deepEqual(
    of6(published?.elements).map(({ set, key }) => `${set} ${key}`),
    ['ports udp . 5353', 'ports_ip ::1 . tcp . 8081'],
  );
  t.deepEqual(
    of6(published?.chains).flatMap(({ rules }) => rules),
    ['meta l4proto udp dnat to [fd00:a::2]:53', 'meta l4proto tcp dnat to [fd00:a::2]:80'],
  );
  t.deepEqual(fragment({ ...SIX, internal: true })?.elements, []);
});

test('the rules for IPv6 come with the first network that has it, and go with the last', (t) => {
  const without = makePlan(inputOf(undefined, [], [BRIDGE]));
  const withIt = makePlan(inputOf(undefined, [], [SIX]), without);
  const script = (before: Plan, after: Plan): string => {
    const table = difference(before.fragments, after.fragments, new Map(), 'shoal').namespaces.get(
      'node',
    )?.table;
    return table && 'replace' in table ? table.replace : '';
  };
  t.regex(script(without, withIt), /table ip6 shoal \{[\s\S]*masquerade/);
  const gone = script(withIt, makePlan(inputOf(undefined, [], [BRIDGE]), withIt));
  t.regex(gone, /delete table ip6 shoal\n/);
  t.notRegex(gone, /table ip6 shoal \{/);
});

test('macvlan: the container’s device is on one of the node, and nothing of it is on the node itself', (t) => {
  const record = {
    ...chosen(DEVICES),
    ports: [{ protocol: 'tcp', containerPort: 1, hostPort: 2, hostIp: '' }],
  };
  const plan = makePlan(inputOf(undefined, [record as SandboxRecord], [DEVICES]));
  const inside = commandsOf(plan, idOf('c'));
  const create =
    /^link add link lan0 name vc{10}-0 address 02:\S+ netns \S+\/c{64} type macvlan mode bridge$/;
  t.true(inside.some((text) => create.test(text)));
  const named = inside.indexOf('link set dev vcccccccccc-0 name eth0');
  t.true(named >= 0 && named < inside.indexOf('link set dev eth0 mtu 1400 group 0 up'));
  t.true(inside.includes('route replace default via 172.18.0.1 dev eth0 table main'));
  t.false(inside.some((text) => text.includes('127.0.0.11')));
  const sandbox = plan.fragments.get(`sandbox:${idOf('c')}`)?.get('node');
  t.deepEqual([sandbox?.items, sandbox?.elements], [[], []]);
});

test('of a macvlan network and a bridge, the bridge leads to the resolver', (t) => {
  const bridge = { ...BRIDGE, id: idOf('f'), name: 'second' };
  const on = onBridge('c', '172.18.0.9', bridge).attachments[0];
  const record = chosen(DEVICES);
  if (!on) return t.fail();
  const both = { ...record, attachments: [...record.attachments, { ...on, number: 1 }] };
  const inside = commandsOf(makePlan(inputOf(undefined, [both], [DEVICES, bridge])), idOf('c'));
  t.true(inside.some((text) => text.includes('127.0.0.11 dev eth1')));
});

test('containers of a network that keeps them apart are ports of their bridge that do not meet', (t) => {
  const commands = (network: LocalNetwork): string[] =>
    commandsOf(makePlan(inputOf(undefined, [chosen(network)], [network])), 'node');
  const isolated = /^link set dev v\S+ type bridge_slave isolated on$/;
  t.true(commands({ ...BRIDGE, apart: true }).some((text) => isolated.test(text)));
  t.false(commands(BRIDGE).some((text) => isolated.test(text)));
});

test('a network that is routed keeps its addresses on the way out', (t) => {
  const elements = (network: LocalNetwork): string[] =>
    [...makePlan(inputOf(undefined, [], [network])).fragments.values()].flatMap((fragment) =>
      (fragment.get('node')?.elements ?? []).flatMap(({ set, key }) => (set === 'routed' ? [key] : [])),
    );
  t.deepEqual(elements({ ...BRIDGE, routed: true, bridgeName: 'br0' }), ['"br0"']);
  t.deepEqual(elements(BRIDGE), []);
});
