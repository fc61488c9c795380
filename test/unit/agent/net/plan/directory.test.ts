import test from 'ava';
import { Directory } from '#agent/net/plan/directory.ts';
import { makePlan } from '#agent/net/plan/plan.ts';
import type { SandboxRecord } from '#agent/net/plan/sandbox-record.ts';
import type { NetworkState } from '#proto/types/assignments.ts';
import { Cluster, NETWORK } from '#test/support/net/cluster.ts';
import { BRIDGE, inputOf, onBridge, onOverlay } from '#test/support/net/plan-input.ts';

const HERE = onOverlay('a', '10.0.1.11', 1);

function directoryOf(
  state: NetworkState | undefined,
  sandboxes: readonly SandboxRecord[] = [HERE],
  locals = [BRIDGE],
): Directory {
  const input = inputOf(state, sandboxes, locals);
  const { groups, context } = makePlan(input);
  const { mesh } = context;
  return new Directory({
    groups: groups.byService,
    sandboxes: input.sandboxes,
    locals: input.locals,
    ...(mesh === undefined ? {} : { mesh }),
  });
}

function webCluster(mode: 'vip' | 'dnsrr' = 'vip'): Cluster {
  const cluster = new Cluster([1, 2]);
  cluster.service('Web', '10.0.1.200', [], mode);
  for (const node of [1, 2]) {
    const task = {
      id: `t${node}` as never,
      name: `Web.${node}`,
      node,
      address: `10.0.1.${node}1`,
      sandbox: {},
    };
    cluster.endpoint('Web', task, true);
  }
  return cluster;
}

test('services: the name is the virtual address, tasks.name the active tasks, a task is itself even when it leaves', (t) => {
  const cluster = webCluster();
  const leaving = { id: 't3' as never, name: 'Web.3', node: 2, address: '10.0.1.31', sandbox: {} };
  cluster.endpoint('Web', leaving, false);
  const directory = directoryOf(cluster.stateFor(1));
  t.deepEqual(directory.addressesOf(HERE, 'web'), ['10.0.1.200']);
  t.deepEqual(directory.addressesOf(HERE, 'TASKS.WEB'), ['10.0.1.11', '10.0.1.21']);
  t.deepEqual(directory.addressesOf(HERE, 'web.3'), ['10.0.1.31']);
  t.deepEqual(directory.addressesOf(HERE, `web.${NETWORK.name}`), ['10.0.1.200']);
  t.is(directory.addressesOf(HERE, 'nobody'), undefined);
});

test('services: with dnsrr the name is the tasks, and known but empty without any', (t) => {
  const cluster = webCluster('dnsrr');
  t.deepEqual(directoryOf(cluster.stateFor(1)).addressesOf(HERE, 'web'), ['10.0.1.11', '10.0.1.21']);
  for (const endpoint of [...cluster.endpoints.values()])
    cluster.endpoints.set(endpoint.taskId, { ...endpoint, active: false });
  t.deepEqual(directoryOf(cluster.stateFor(1)).addressesOf(HERE, 'web'), []);
});

test('services: another name on a network means the same', (t) => {
  const cluster = webCluster();
  for (const endpoint of [...cluster.endpoints.values()])
    cluster.endpoints.set(endpoint.taskId, {
      ...endpoint,
      networks: endpoint.networks.map((on) => ({ ...on, aliases: ['www'] })),
    });
  t.deepEqual(directoryOf(cluster.stateFor(1)).addressesOf(HERE, 'www'), ['10.0.1.200']);
});

test('askers: known by the mesh address where they have one, else by their own', (t) => {
  const local = onBridge('b', '172.18.0.2');
  const directory = directoryOf(webCluster().stateFor(1), [HERE, local]);
  t.is(directory.asker('100.64.16.16'), HERE);
  t.is(directory.asker('10.0.1.11'), undefined);
  t.is(directory.asker('172.18.0.2'), local);
});

test('bridges: containers know each other by name and alias, but not on the default one', (t) => {
  const pair = [onBridge('b', '172.18.0.2'), onBridge('c', '172.18.0.3')] as const;
  const [asker] = pair;
  t.deepEqual(directoryOf(undefined, pair).addressesOf(asker, 'alias-c'), ['172.18.0.3']);
  t.is(directoryOf(undefined, pair).nameOf(asker, '172.18.0.3'), 'name-c.mine');
  const plain = directoryOf(undefined, pair, [{ ...BRIDGE, name: 'bridge' }]);
  t.is(plain.addressesOf(asker, 'name-c'), undefined);
});

test('links: a name that one container alone calls another by', (t) => {
  const asker = onBridge('b', '172.18.0.2');
  const [on] = asker.attachments;
  if (!on) return t.fail();
  const linked = { ...asker, attachments: [{ ...on, links: { db: 'name-c' } }] };
  const other = onBridge('c', '172.18.0.3');
  const directory = directoryOf(undefined, [linked, other]);
  t.deepEqual(directory.addressesOf(linked, 'DB'), ['172.18.0.3']);
  t.deepEqual(directory.addressesOf(linked, 'db.mine'), ['172.18.0.3']);
  t.is(directory.addressesOf(other, 'db'), undefined);
});

test('addresses: a task’s first name, and the service of a virtual one', (t) => {
  const directory = directoryOf(webCluster().stateFor(1));
  t.is(directory.nameOf(HERE, '10.0.1.21'), 'Web.2.backend');
  t.is(directory.nameOf(HERE, '10.0.1.200'), 'Web.backend');
  t.is(directory.nameOf(HERE, '10.0.1.99'), undefined);
});

test('inside: only containers all of whose networks are internal', (t) => {
  const local = onBridge('b', '172.18.0.2');
  t.false(directoryOf(undefined, [local]).isInside(local));
  t.true(directoryOf(undefined, [local], [{ ...BRIDGE, internal: true }]).isInside(local));
  t.false(directoryOf(undefined, []).isInside({ ...HERE, attachments: [] }), 'the mesh alone leads out');
});
