import test from 'ava';
import { flowsTo, leaversOf } from '#agent/net/plan/leavers.ts';
import { makePlan } from '#agent/net/plan/plan.ts';
import { Cluster } from '#test/support/net/cluster.ts';
import { inputOf, onBridge, onOverlay } from '#test/support/net/plan-input.ts';

const HERE = onOverlay('a', '10.0.1.11', 1);
const TASK = {
  id: 't2' as never,
  name: 'web.2',
  node: 2,
  address: '10.0.1.21',
  sandbox: { meshAddr: '100.64.32.16' },
};

function clusterWith(active: boolean): Cluster {
  const cluster = new Cluster([1, 2]);
  cluster.service('web', '10.0.1.200', []);
  cluster.endpoint('web', TASK, active);
  return cluster;
}

const { context } = makePlan(inputOf(clusterWith(true).stateFor(1), [HERE]));

function leaving(before: Cluster, after: Cluster): string[] {
  return leaversOf(before.stateFor(1), after.stateFor(1), context).map(
    ({ namespace, protocol, addresses }) => `${namespace} ${protocol} ${[...addresses].join()}`,
  );
}

test('a task that is not balanced to any more: its UDP flows are forgotten, its connections live', (t) => {
  t.deepEqual(leaving(clusterWith(true), clusterWith(false)), [
    'net-net1 udp 10.0.1.21',
    'node udp 100.64.32.16',
  ]);
});

test('a task that is gone: everything is forgotten, TCP at the bucket of this node', (t) => {
  const after = clusterWith(true);
  after.endpoints.clear();
  t.deepEqual(leaving(clusterWith(false), after), [
    'net-net1 udp 10.0.1.21',
    'node udp 100.64.32.16',
    'net-net1 tcp 10.0.1.21',
    'node tcp 100.64.32.17',
  ]);
});

test('an address that another task has now is kept', (t) => {
  const after = clusterWith(true);
  after.endpoints.clear();
  after.endpoint('web', { ...TASK, id: 't3' as never });
  t.deepEqual(leaving(clusterWith(true), after), []);
});

test('nothing left, nothing to forget', (t) => {
  t.deepEqual(leaving(clusterWith(true), clusterWith(true)), []);
});

test('flows to a container of this node: on its network, and at all of its mesh addresses', (t) => {
  const flows = flowsTo(HERE, 'tcp', context);
  t.deepEqual(
    flows.map(({ namespace, addresses }) => `${namespace} ${addresses.size}`),
    ['net-net1 1', 'node 16'],
  );
  const local = flowsTo(onBridge('b', '172.18.0.2'), 'udp', context);
  t.deepEqual([...(local[0]?.addresses ?? [])], ['172.18.0.2']);
});
