import test from 'ava';
import type { ServiceId } from '#proto/types/ids.ts';
import type { NetworkSpec } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { networkRow } from '../leader/rows.ts';
import { World } from '../leader/world.ts';

const ATTACHED = { container: { image: 'web:1' }, networks: [{ target: 'net-back', aliases: ['w'] }] };

function cluster(replicas: number, spec: Partial<NetworkSpec> = {}): { world: World; web: ServiceId } {
  const world = new World();
  world.node('a');
  world.commit([{ kind: 'putNetwork', network: networkRow('back', spec) }]);
  const web = world.service('web', { task: ATTACHED, mode: { kind: 'replicated', replicas } });
  world.settle();
  return { world, web };
}

const addresses = (world: World, web: ServiceId): string[] =>
  world.running(web).map((task) => task.networks[0]?.addresses[0] ?? '');

const subnet = (text: string, more = {}): Partial<NetworkSpec> => ({
  ipam: { configs: [{ subnet: text, ...more }] },
});

test('addresses: every task has its own on each network, with the aliases that were asked for', (t) => {
  const { world, web } = cluster(3);
  t.deepEqual(addresses(world, web), ['10.0.1.3/24', '10.0.1.4/24', '10.0.1.5/24']);
  t.deepEqual(world.running(web)[0]?.networks[0]?.aliases, ['w']);
});

test('addresses: a new task gets one that was not used lately', (t) => {
  const { world, web } = cluster(1);
  world.image(web, 'web:2');
  world.advance(60_000);
  world.image(web, 'web:3');
  world.advance(60_000);
  t.deepEqual(addresses(world, web), ['10.0.1.5/24']);
});

test('addresses: when the search comes round, it passes what was used lately', (t) => {
  const { world, web } = cluster(1, subnet('10.7.0.0/28'));
  for (const task of world.running(web)) world.report(task, { state: TaskState.Failed });
  world.advance(10_000);
  const other = world.service('other', { task: { ...ATTACHED, container: { image: 'other:1' } } });
  world.settle();
  t.deepEqual(addresses(world, web), ['10.7.0.4/28']);
  t.deepEqual(addresses(world, other), ['10.7.0.6/28']);
  for (let round = 2; round < 11; round++) {
    world.image(other, `other:${round}`);
    world.advance(60_000);
  }
  // Behind .14 the search begins anew: .3 was the failed task's, .4 is taken, .5 the other service's virtual address.
  t.deepEqual(addresses(world, other), ['10.7.0.6/28']);
});

test('addresses: what was used lately is given when nothing else is left', (t) => {
  const { world, web } = cluster(1, subnet('10.7.0.0/29'));
  const seen = new Set(addresses(world, web));
  for (let round = 2; round < 8; round++) {
    world.image(web, `web:${round}`);
    world.advance(60_000);
    for (const address of addresses(world, web)) seen.add(address);
  }
  t.deepEqual([...seen].sort(), ['10.7.0.3/29', '10.7.0.4/29', '10.7.0.5/29', '10.7.0.6/29']);
});

test('addresses: a full network keeps tasks waiting with the reason, and goes on when one is free', (t) => {
  const { world, web } = cluster(6, subnet('10.7.0.0/29'));
  t.is(world.running(web).length, 4);
  const waiting = world.tasks(web).filter(({ status }) => status.state === TaskState.New);
  t.deepEqual(
    waiting.map(({ status }) => status.error),
    Array<string>(2).fill("network 'back' (net-back) has no free address in 10.7.0.0/29"),
  );
  world.scale(web, 4);
  world.settle();
  t.is(world.running(web).length, 4);
  t.is(world.tasks(web).length, 4);
});

test('addresses: a task that must wait for one network keeps none of another', (t) => {
  const { world } = cluster(4, subnet('10.7.0.0/29'));
  world.commit([{ kind: 'putNetwork', network: networkRow('front', subnet('10.8.0.0/29')) }]);
  const networks = [{ target: 'net-front' }, { target: 'net-back' }];
  const both = world.service('both', {
    task: { container: { image: 'both:1' }, networks },
    endpoint: { mode: 'dnsrr' },
    mode: { kind: 'replicated', replicas: 9 },
  });
  world.settle();
  t.deepEqual(
    new Set(world.tasks(both).map(({ status }) => status.error)),
    new Set(["network 'back' (net-back) has no free address in 10.7.0.0/29"]),
  );
});

test('addresses: an update goes through on a full network', (t) => {
  const { world, web } = cluster(4, subnet('10.7.0.0/29'));
  world.image(web, 'web:2');
  world.advance(120_000);
  t.is(new Set(addresses(world, web)).size, 4);
  t.true(world.running(web).every((task) => world.imageOf(task) === 'web:2'));
});

test('addresses: they come from the range, past gateway and auxiliary addresses', (t) => {
  const config = { range: '10.7.0.8/29', gateway: '10.7.0.9', auxiliary: { printer: '10.7.0.11' } };
  const { world, web } = cluster(2, subnet('10.7.0.0/24', config));
  t.deepEqual(world.get(web).endpoint?.vips[0]?.addr, '10.7.0.8/24');
  t.deepEqual(addresses(world, web), ['10.7.0.10/24', '10.7.0.12/24']);
});

test('addresses: a node that is down keeps those of its tasks, until they are over', (t) => {
  const { world, web } = cluster(1, subnet('10.7.0.0/29'));
  world.nodeState('a', 'down');
  world.node('b');
  world.settle();
  t.deepEqual(addresses(world, web), ['10.7.0.4/29']);
  world.scale(web, 3);
  world.settle();
  t.deepEqual(addresses(world, web).sort(), ['10.7.0.4/29', '10.7.0.5/29', '10.7.0.6/29']);
  world.scale(web, 4);
  world.settle();
  t.is(world.running(web).length, 3);
  world.advance(24 * 3_600_000);
  t.is(world.running(web).length, 4);
});

test('addresses: a task whose network is gone says so', (t) => {
  const { world } = cluster(0);
  const lost = world.service('lost', {
    task: { container: { image: 'x' }, networks: [{ target: 'nowhere' }] },
  });
  world.settle();
  t.is(world.tasks(lost)[0]?.status.error, 'network nowhere not found');
});
