import test from 'ava';
import { type ClusterEvent, ClusterEvents } from '#manager/api/events.ts';
import { clusterNetworks } from '#manager/api/networks.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import { nodeState, placeTask } from '#test/support/cluster.ts';
import { ApiLab, DIGEST, node, web } from './lab.ts';

async function listening(): Promise<{
  lab: ApiLab;
  events: ClusterEvents;
  told: () => string[];
  all: ClusterEvent[];
}> {
  const lab = await ApiLab.open();
  const events = new ClusterEvents({ store: lab.opened.store, clock: lab.opened.clock });
  const all: ClusterEvent[] = [];
  events.on((event) => all.push(event));
  let seen = 0;
  const told = (): string[] => {
    const news = all.slice(seen);
    seen = all.length;
    return news.map(({ type, action, attributes }) =>
      [type, action, ...Object.entries(attributes).map(([key, value]) => `${key}=${value}`)].join(' '),
    );
  };
  return { lab, events, told, all };
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

test('nodes and networks', async (t) => {
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

test('the last events are kept, each with a time of its own, so that "since" tells none twice', async (t) => {
  const { lab, events, all } = await listening();
  await using _ = lab;
  for (let at = 0; at < 300; at++) await lab.write(node(`n${at}`));
  const kept = events.since(0n);
  t.is(kept.length, 256);
  t.is(kept.at(-1)?.id, 'n299');
  t.is(new Set(kept.map(({ timeNs }) => timeNs)).size, 256);
  t.deepEqual(events.since(kept[200]!.timeNs).length, 56);
  events[Symbol.dispose]();
  await lab.write(node('late'));
  t.is(all.length, 300);
});
