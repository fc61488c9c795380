import test from 'ava';
import type { LocalNetwork, PortBinding, SandboxRequest } from '#agent/net/node-network.ts';
import { type ChoiceFacts, chooseSandbox, rewired } from '#agent/net/plan/choose.ts';
import { meetsSocket } from '#agent/net/plan/choose-ports.ts';
import { Cluster, NETWORK } from '#test/support/net/cluster.ts';
import { BRIDGE, idOf, onBridge, onOverlay } from '#test/support/net/plan-input.ts';

function factsOf(more: Partial<ChoiceFacts> = {}): ChoiceFacts {
  return {
    sandboxes: new Map(),
    locals: new Map([[BRIDGE.id, BRIDGE]]),
    isForeign: () => false,
    addresses: ['10.90.0.1'],
    addresses6: ['fd00:90::1'],
    dynamicPorts: [40_000, 40_002],
    lastSlot: 0,
    lastPort: 0,
    ...more,
  };
}

function having(...records: readonly ReturnType<typeof onBridge>[]): Partial<ChoiceFacts> {
  return { sandboxes: new Map(records.map((record) => [record.containerId, record])) };
}

function requestOf(more: Partial<SandboxRequest> = {}): SandboxRequest {
  return {
    containerId: idOf('c'),
    names: ['web'],
    attachments: [{ networkId: BRIDGE.id, aliases: [] }],
    ports: [],
    mesh: false,
    ...more,
  };
}

function port(hostPort: number, more: Partial<PortBinding> = {}): PortBinding {
  return { protocol: 'tcp', containerPort: 80, hostPort, hostIp: '', ...more };
}

test('addresses: the lowest that is free, with a MAC made from it', (t) => {
  const facts = factsOf(having(onBridge('a', '172.18.0.2'), onBridge('b', '172.18.0.4')));
  const [on] = chooseSandbox(requestOf(), facts).attachments;
  t.is(on?.address, '172.18.0.3/16');
  t.is(on?.mac, '02:42:ac:12:00:03');
});

test('addresses: from the range alone, and never one that is kept for others', (t) => {
  const kept = { ...BRIDGE, ipRange: '172.18.5.0/24', reserved: ['172.18.5.0', '172.18.5.1', '172.18.9.9'] };
  const facts = factsOf({ locals: new Map([[BRIDGE.id, kept]]) });
  t.is(chooseSandbox(requestOf(), facts).attachments[0]?.address, '172.18.5.2/16');
  const asking = (address: string) =>
    requestOf({ attachments: [{ networkId: BRIDGE.id, address, aliases: [] }] });
  t.is(chooseSandbox(asking('172.18.7.7'), facts).attachments[0]?.address, '172.18.7.7/16');
  t.throws(() => chooseSandbox(asking('172.18.9.9'), facts), { message: 'Address already in use' });
});

test('ports: of a range the first that is free, and what stands in the way when none is', (t) => {
  const taken = { ...onBridge('a', '172.18.0.2'), ports: [port(8000), port(8001)] };
  const facts = factsOf(having(taken));
  const ranged = (hostPortMax: number) => requestOf({ ports: [port(8000, { hostPortMax })] });
  t.deepEqual(chooseSandbox(ranged(8002), facts).ports, [port(8002)]);
  t.throws(() => chooseSandbox(ranged(8001), facts), { message: /8000 failed: port is already allocated/ });
});

test('ports: published where the network says when nobody else does', (t) => {
  const facts = factsOf({ locals: new Map([[BRIDGE.id, { ...BRIDGE, hostIp: '127.0.0.1' }]]) });
  const hostIps = [port(1), port(2, { hostIp: '0.0.0.0' }), port(3, { hostIp: '10.90.0.1' })];
  const { ports } = chooseSandbox(requestOf({ ports: hostIps }), facts);
  t.deepEqual(
    ports.map(({ hostIp }) => hostIp),
    ['127.0.0.1', '', '10.90.0.1'],
  );
});

const SIX: LocalNetwork = { ...BRIDGE, ipv6: { subnet: 'fd00:6::/64', gateway: 'fd00:6::1' } };
const withSix = (more: Partial<ChoiceFacts> = {}): ChoiceFacts =>
  factsOf({ locals: new Map([[SIX.id, SIX]]), ...more });
const wherePublished = (ports: readonly PortBinding[], facts: ChoiceFacts): string[] =>
  chooseSandbox(requestOf({ ports }), facts).ports.map(({ hostIp, hostPort }) => `${hostIp} ${hostPort}`);

test('ports: at both families where the container has both, at the same host port', (t) => {
  t.deepEqual(wherePublished([port(8080)], withSix()), [' 8080', ':: 8080']);
  t.deepEqual(wherePublished([port(8080)], factsOf()), [' 8080']);
  t.deepEqual(wherePublished([port(8080, { hostIp: '0.0.0.0' })], withSix()), [' 8080']);
  t.deepEqual(wherePublished([port(8080, { hostIp: '0:0::0' })], withSix()), [':: 8080']);
  t.deepEqual(wherePublished([port(8080, { hostIp: 'FD00:90:0::1' })], withSix()), ['fd00:90::1 8080']);
  const halfTaken = withSix({ isForeign: (one) => one.hostIp === '::' && one.hostPort === 40_000 });
  t.deepEqual(wherePublished([port(0)], halfTaken), [' 40001', ':: 40001']);
});

test('ports: the families are in each other’s way nowhere, and their own are', (t) => {
  const six = { ...onBridge('a', '172.18.0.2'), ports: [port(8080, { hostIp: '::' })] };
  t.deepEqual(wherePublished([port(8080, { hostIp: '0.0.0.0' })], withSix(having(six))), [' 8080']);
  const refusal = (hostIp: string, facts = withSix(having(six))): string | undefined =>
    t.throws(() => wherePublished([port(8080, { hostIp })], facts))?.message;
  t.regex(refusal('') ?? '', /: Bind for :::8080 failed: port is already allocated$/);
  t.regex(refusal('::1') ?? '', /: Bind for ::1:8080 failed: port is already allocated$/);
  t.regex(
    refusal('::1', withSix({ isForeign: () => true })) ?? '',
    /failed to bind host port for \[::1\]:8080:80\/tcp: address already in use$/,
  );
  for (const nowhere of ['fd00:90::2', 'a:b'])
    t.regex(refusal(nowhere) ?? '', /cannot assign requested address$/);
  t.true(meetsSocket(port(53, { hostIp: '::' }), { address: '0'.repeat(32), port: 53 }));
  t.false(meetsSocket(port(53, { hostIp: '::' }), { address: '0.0.0.0', port: 53 }));
});

test('ports: an IPv6 address is refused for a container without IPv6, and why is said', (t) => {
  const wanted = requestOf({ ports: [port(8080, { hostIp: '::1' })] });
  t.throws(() => chooseSandbox(wanted, factsOf()), {
    message: /: cannot map \[::1\]:8080 to an IPv4-only container: put it on a network with IPv6/,
  });
});

test('addresses: a subnet without a free one says so in Docker’s words', (t) => {
  const tiny = { ...BRIDGE, subnet: '172.18.0.0/30' };
  const facts = factsOf({ ...having(onBridge('a', '172.18.0.2')), locals: new Map([[BRIDGE.id, tiny]]) });
  t.throws(() => chooseSandbox(requestOf(), facts), {
    message: `no available IPv4 addresses on this network's address pools: mine (${BRIDGE.id})`,
  });
});

test('slots: the one after the last chosen, and only where there is a gateway interface', (t) => {
  const cluster = new Cluster([1, 2]).stateFor(1);
  const facts = factsOf({ cluster, ...having(onOverlay('a', '10.0.1.11', 8)), lastSlot: 7 });
  const attachments = [{ networkId: NETWORK.id, address: '10.0.1.12', aliases: [] }];
  t.is(chooseSandbox(requestOf({ attachments }), facts).slot, 9);
  t.is(chooseSandbox(requestOf({ mesh: true }), facts).slot, 9);
  t.is(chooseSandbox(requestOf(), facts).slot, undefined);
  t.is(chooseSandbox(requestOf({ mesh: true }), { ...facts, lastSlot: 255 }).slot, 1);
});

test('slots: kept while a network comes, and given back with the last overlay network', (t) => {
  const cluster = new Cluster([1, 2]).stateFor(1);
  const facts = factsOf({ cluster, lastSlot: 4 });
  const before = onBridge('a', '172.18.0.2');
  const joined = rewired(before, { add: { networkId: NETWORK.id, address: '10.0.1.9', aliases: [] } }, facts);
  t.is(joined.slot, 5);
  t.is(joined.attachments[1]?.number, 1);
  t.is(rewired(joined, { remove: NETWORK.id }, facts).slot, undefined);
});

test('ports: taken by a container, by a service of the cluster, or by a process of the node', (t) => {
  const holder = { ...onBridge('a', '172.18.0.2'), ports: [port(8080)] };
  const cluster = new Cluster([1]);
  cluster.service('web', '10.0.1.200', [{ publishedPort: 8081 }]);
  const facts = factsOf({
    ...having(holder),
    cluster: cluster.stateFor(1),
    isForeign: (one) => one.hostPort === 8082,
  });
  const prefix = `driver failed programming external connectivity on endpoint web (${idOf('c')}): `;
  const refusal = (wanted: PortBinding): string | undefined =>
    t.throws(() => chooseSandbox(requestOf({ ports: [wanted] }), facts))?.message;
  t.is(refusal(port(8080)), `${prefix}Bind for 0.0.0.0:8080 failed: port is already allocated`);
  t.is(
    refusal(port(8080, { hostIp: '127.0.0.1' })),
    `${prefix}Bind for 127.0.0.1:8080 failed: port is already allocated`,
  );
  t.is(refusal(port(8081)), `${prefix}Bind for 0.0.0.0:8081 failed: port is already allocated`);
  t.is(
    refusal(port(8082)),
    `${prefix}failed to bind host port for 0.0.0.0:8082:80/tcp: address already in use`,
  );
  t.notThrows(() => chooseSandbox(requestOf({ ports: [port(8080, { protocol: 'udp' })] }), facts));
});

test('ports: a free one is the next of the range that nobody has, the same request included', (t) => {
  const facts = factsOf({ isForeign: (one) => one.hostPort === 40_001 });
  const { ports } = chooseSandbox(requestOf({ ports: [port(0), port(0)] }), facts);
  t.deepEqual(
    ports.map((one) => one.hostPort),
    [40_000, 40_002],
  );
  const next = chooseSandbox(requestOf({ ports: [port(0)] }), { ...facts, lastPort: 40_002 });
  t.is(next.ports[0]?.hostPort, 40_000);
  t.throws(() => chooseSandbox(requestOf({ ports: [port(0), port(0), port(0)] }), facts), {
    message: 'all ports are allocated',
  });
});

test('ports: resolvers at loopback addresses of their own are in nobody’s way', (t) => {
  t.false(meetsSocket(port(53), { address: '127.0.0.53', port: 53 }));
  t.true(meetsSocket(port(53), { address: '127.0.0.1', port: 53 }));
  t.true(meetsSocket(port(53), { address: '0'.repeat(32), port: 53 }));
  t.true(meetsSocket(port(53, { hostIp: '10.90.0.1' }), { address: '0.0.0.0', port: 53 }));
  t.false(meetsSocket(port(53, { hostIp: '10.90.0.1' }), { address: '10.90.0.2', port: 53 }));
});

test('what is no address or no MAC is refused before it gets near a command', (t) => {
  const facts = factsOf({ cluster: new Cluster([1]).stateFor(1) });
  const choose = (attachment: object) => (): unknown =>
    chooseSandbox(requestOf({ attachments: [{ networkId: BRIDGE.id, aliases: [], ...attachment }] }), facts);
  t.throws(choose({ mac: 'ff dev lo' }), { message: 'invalid MAC address ff dev lo' });
  t.throws(choose({ address: '172.18.0.5; x' }), { message: /no configured subnet contains/ });
  t.throws(choose({ networkId: NETWORK.id, address: 'x' }), { message: 'invalid IPv4 address: x' });
});
