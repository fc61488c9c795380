import test from 'ava';
import { checkAddressing } from '#manager/allocator/networks.ts';
import type { NetworkId } from '#proto/types/ids.ts';
import type { NetworkSpec } from '#proto/types/specs.ts';
import { clusterRow, networkRow } from '../leader/rows.ts';
import { World } from '../leader/world.ts';

function subnets(world: World): Record<string, string | undefined> {
  return Object.fromEntries(
    [...world.view.networks.all()].map(({ spec, ipam }) => [spec.name, ipam?.[0]?.subnet]),
  );
}

function put(world: World, name: string, spec: Partial<NetworkSpec> = {}): void {
  world.commit([{ kind: 'putNetwork', network: networkRow(name, spec) }]);
  world.settle();
}

const asked = (subnet: string, more = {}): Partial<NetworkSpec> => ({
  ipam: { configs: [{ subnet, ...more }] },
});

test('networks: each overlay network gets the next free subnet of the pool, its first address as gateway', (t) => {
  const world = new World();
  for (const name of ['one', 'two']) put(world, name);
  t.deepEqual(subnets(world), {
    host: undefined,
    ingress: '10.0.0.0/24',
    one: '10.0.1.0/24',
    two: '10.0.2.0/24',
  });
  t.is(world.view.networks.byName('two')?.ipam?.[0]?.gateway, '10.0.2.1');
});

test('networks: VXLAN ids begin at 4097, and the smallest free one is given', (t) => {
  const world = new World();
  for (const name of ['one', 'two', 'three']) put(world, name);
  const vnis = (): (number | undefined)[] =>
    ['ingress', 'one', 'two', 'three', 'four'].map((name) => world.view.networks.byName(name)?.vni);
  t.deepEqual(vnis(), [4097, 4098, 4099, 4100, undefined]);
  world.commit([{ kind: 'delete', table: 'network', id: 'net-one' }]);
  put(world, 'four');
  t.deepEqual(vnis(), [4097, undefined, 4099, 4100, 4098]);
  t.is(subnets(world)['four'], '10.0.1.0/24');
});

test('networks: those of nodes themselves get neither subnet nor id', (t) => {
  const world = new World();
  put(world, 'none', { driver: 'null' });
  t.like(world.view.networks.byName('none'), { vni: undefined, ipam: undefined });
});

test('networks: a subnet that was asked for is given, with its gateway and all the rest of it', (t) => {
  const world = new World();
  put(
    world,
    'mine',
    asked('172.20.0.0/16', { gateway: '172.20.0.9', range: '172.20.5.0/24', auxiliary: { x: '172.20.5.1' } }),
  );
  t.deepEqual(world.view.networks.byName('mine')?.ipam, [
    {
      subnet: '172.20.0.0/16',
      gateway: '172.20.0.9',
      range: '172.20.5.0/24',
      auxiliary: { x: '172.20.5.1' },
    },
  ]);
});

test('networks: those that are cut from the pool keep clear of those that were asked for', (t) => {
  const world = new World();
  put(world, 'mine', asked('10.0.1.128/25'));
  put(world, 'wide', asked('10.0.2.0/23'));
  put(world, 'next');
  t.is(subnets(world)['next'], '10.0.4.0/24');
});

test('networks: the next pool is used when one is full, and what finds none waits', (t) => {
  const world = new World();
  const cluster = { ...clusterRow(), addressPools: ['10.0.0.0/23', '192.168.0.0/24'] };
  world.commit([{ kind: 'putCluster', cluster }]);
  for (const name of ['one', 'two', 'three']) put(world, name);
  t.deepEqual(subnets(world), {
    host: undefined,
    ingress: '10.0.0.0/24',
    one: '10.0.1.0/24',
    two: '192.168.0.0/24',
    three: undefined,
  });
  world.node('a');
  const web = world.service('web', {
    task: { container: { image: 'web:1' }, networks: [{ target: 'net-three' }] },
  });
  world.settle();
  t.is(
    world.tasks(web)[0]?.status.error,
    "network 'three' (net-three) has no addresses: the cluster's address pools are exhausted",
  );
  world.commit([{ kind: 'delete', table: 'network', id: 'net-one' }]);
  world.settle();
  t.is(world.running(web).length, 1);
});

test('networks: the pool of mesh addresses is left alone', (t) => {
  const world = new World();
  world.commit([
    { kind: 'putCluster', cluster: { ...clusterRow(), addressPools: ['100.64.0.0/10', '10.9.0.0/16'] } },
  ]);
  put(world, 'one');
  t.is(subnets(world)['one'], '10.9.0.0/24');
});

test('networks: what overlaps is refused with the reason', (t) => {
  const world = new World();
  put(world, 'mine', asked('172.20.0.0/16'));
  const check = (spec: Partial<NetworkSpec>, id?: NetworkId) => (): void =>
    checkAddressing(world.view, { name: 'new', driver: 'overlay', ...spec }, id);
  t.throws(check(asked('172.20.3.0/24')), {
    code: 'INVALID_ARGUMENT',
    message:
      'invalid pool request: Pool overlaps with other one on this address space: ' +
      "172.20.3.0/24 and 172.20.0.0/16 of network 'mine' (net-mine)",
  });
  t.throws(check(asked('100.65.0.0/16')), { message: /mesh addresses/ });
  t.notThrows(check(asked('172.21.0.0/16')));
  t.notThrows(check({ driver: 'bridge', ...asked('172.20.3.0/24') }));
  t.notThrows(check(asked('172.20.0.0/16'), 'net-mine' as NetworkId));
});

for (const [config, message] of [
  [{ subnet: '10.1.0.0/33' }, 'ipam configuration: invalid subnet 10.1.0.0/33'],
  [{ subnet: 'nonsense' }, 'ipam configuration: invalid subnet nonsense'],
  [{ subnet: '10.1.0.0/30' }, 'ipam configuration: subnet 10.1.0.0/30 is too small, at most /29 is expected'],
  [{ subnet: '10.1.0.0/24', range: '10.2.0.0/25' }, 'ipam configuration: invalid range 10.2.0.0/25'],
  [{ subnet: '10.1.0.0/24', gateway: '10.2.0.1' }, 'no matching subnet for gateway 10.2.0.1'],
  [{ subnet: '10.1.0.0/24', gateway: 'here' }, 'ipam configuration: invalid gateway here'],
] as const) {
  test(`networks: ${JSON.stringify(config)} is refused`, (t) => {
    const spec = { name: 'new', driver: 'overlay', ipam: { configs: [config] } };
    t.throws(() => checkAddressing(new World().view, spec), { code: 'INVALID_ARGUMENT', message });
  });
}

test('nodes: each gets the smallest index that is free', (t) => {
  const world = new World();
  for (const name of ['a', 'b', 'c']) world.node(name);
  world.settle();
  const indexes = (): (number | undefined)[] => [...world.view.nodes.all()].map((node) => node.meshIndex);
  t.deepEqual(indexes(), [1, 2, 3]);
  world.removeNode('b');
  world.node('d');
  world.settle();
  t.deepEqual(indexes(), [1, 3, 2]);
});

test('nodes: no more get an index than the pool has addresses for', (t) => {
  const world = new World();
  world.commit([{ kind: 'putCluster', cluster: { ...clusterRow(), meshPool: '100.64.0.0/19' } }]);
  for (const name of ['a', 'b']) world.node(name);
  world.settle();
  t.deepEqual(
    [...world.view.nodes.all()].map((node) => node.meshIndex),
    [1, undefined],
  );
});
