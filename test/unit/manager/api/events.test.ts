import test from 'ava';
import { type ClusterEvent, ClusterEvents } from '#manager/api/events.ts';
import { clusterNetworks } from '#manager/api/networks.ts';
import type { Change } from '#manager/store/changes.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import { nodeState, placeTask } from '#test/support/cluster.ts';
import { ApiLab, DIGEST, node, web } from './lab.ts';

async function listening(...before: readonly Change[]): Promise<{
  lab: ApiLab;
  events: ClusterEvents;
  told: () => string[];
}> {
  const lab = await ApiLab.open();
  if (before.length > 0) await lab.write(...before);
  const all: ClusterEvent[] = [];
  const { store, clock } = lab.opened;
  const events = new ClusterEvents({ store, clock, tell: (event) => all.push(event) });
  await events.started;
  let seen = 0;
  const told = (): string[] => {
    const news = all.slice(seen);
    seen = all.length;
    return news.map(({ type, action, attributes }) =>
      [type, action, ...Object.entries(attributes).map(([key, value]) => `${key}=${value}`)].join(' '),
    );
  };
  return { lab, events, told };
}

test('services: made, changed with how it was and is, and removed when asked to go', async (t) => {
  const { lab, told } = await listening();
  await using _ = lab;
  await lab.write(node('n1'));
  told();
  const id = (await lab.create(web())) as ServiceId;
  t.deepEqual(told(), ['service create name=web']);
  const { spec } = lab.view.services.get(id)!;
  const container = { ...spec.task.container, image: 'nginx:2' };
  const scaled = {
    ...spec,
    mode: { kind: 'replicated', replicas: 5 },
    task: { ...spec.task, container },
  } as const;
  await lab.write({ kind: 'putService', service: { id, spec: scaled } });
  t.deepEqual(told(), [
    `service update name=web image.old=nginx:1@${DIGEST} image.new=nginx:2 replicas.old=1 replicas.new=5`,
  ]);
  const update = { state: 'updating', startedAtMs: 1, message: '', targetVersion: 1 } as const;
  await lab.write({ kind: 'setUpdateStatus', serviceId: id, update });
  t.deepEqual(told(), ['service update name=web updatestate.new=updating']);
  const task = await placeTask(lab.opened, { service: id, slot: 1, node: 'n1' });
  t.deepEqual(told(), [], 'tasks are not told of');
  await lab.control.services.remove('web');
  t.deepEqual(told(), ['service remove name=web']);
  await lab.write({ kind: 'delete', table: 'task', id: task }, { kind: 'delete', table: 'service', id });
  t.deepEqual(told(), [], 'that it is cleared away is no news');
});

test('nodes and networks, but for those that every node has itself', async (t) => {
  const { lab, told } = await listening();
  await using _ = lab;
  await lab.write(node('n1', { hostname: 'one' }));
  await lab.write(nodeState('n1', 'down'));
  const row = lab.view.nodes.get('n1' as NodeId)!;
  const { version, createdAtMs, updatedAtMs, ...unstored } = row;
  t.true(version > 0 && createdAtMs <= updatedAtMs);
  await lab.write({
    kind: 'putNode',
    node: { ...unstored, spec: { ...row.spec, availability: 'drain', role: 'manager' } },
  });
  await lab.write({ kind: 'delete', table: 'node', id: 'n1' });
  const host = [...lab.view.networks.all()].find(({ spec }) => spec.name === 'host')!;
  await lab.write({ kind: 'putNetwork', network: { id: host.id, spec: host.spec } });
  await clusterNetworks(lab.modules).create({ Name: 'front' });
  await clusterNetworks(lab.modules).remove('front');
  t.deepEqual(told(), [
    'node create name=one',
    'node update name=one state.old=ready state.new=down',
    'node update name=one availability.old=active availability.new=drain role.old=worker role.new=manager',
    'node remove name=one',
    'network create name=front',
    'network remove name=front',
  ]);
});

test('what was there before is no news, and after the end nothing is told', async (t) => {
  const { lab, events, told } = await listening(node('old'));
  await using _ = lab;
  t.deepEqual(told(), []);
  await lab.write(node('n1'));
  await events[Symbol.asyncDispose]();
  await lab.write(node('late'));
  t.is(told().length, 1);
});
