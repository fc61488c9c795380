import test from 'ava';
import type { ClusterId, NetworkId } from '#proto/types/ids.ts';
import type { Cluster, ManagerStatus, Network, Node, NodeDescription } from '#proto/types/objects.ts';
import { N1, NET1, putNetwork, putNode, Sandbox } from '../fixtures.ts';

const description: NodeDescription = {
  hostname: 'h',
  platform: { architecture: 'x86_64', os: 'linux' },
  resources: { nanoCpus: 1, memoryBytes: 2 },
  engine: { version: '1' },
  peerAddr: 'a:1',
  dataPathAddr: 'a',
};
const manager: ManagerStatus = { raftId: 1, addr: 'a:1', raftAddr: 'a:2', reachability: 'reachable' };

function nodeOf(box: Sandbox): Node {
  return box.tables.nodes.get(N1) as Node;
}

test('putNode: creates, then replaces; when it was created is kept', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1));
  box.apply({ kind: 'putNode', node: { ...putNode(N1).node, meshIndex: 4 } });
  const { version, createdAtMs, updatedAtMs, meshIndex } = nodeOf(box);
  t.deepEqual([version, createdAtMs, updatedAtMs, meshIndex], [2, 1000, 2000, 4]);
});

test('nodes: each writer changes its own part', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1));
  box.apply({ kind: 'allocateNode', nodeId: N1, meshIndex: 3 });
  box.apply({ kind: 'setNodeStatus', nodeId: N1, status: { state: 'ready', addr: '10.0.0.1' }, description });
  box.apply({ kind: 'setManagerStatus', nodeId: N1, manager });
  box.apply({ kind: 'setNodeRole', nodeId: N1, role: 'manager', certificateExpiresAtMs: 9 });
  box.apply({ kind: 'setNodeStatus', nodeId: N1, status: { state: 'down' } });
  const { version: _, createdAtMs: __, updatedAtMs: ___, ...node } = nodeOf(box);
  t.deepEqual(node, {
    ...putNode(N1).node,
    role: 'manager',
    status: { state: 'down' },
    description,
    manager,
    meshIndex: 3,
    certificateExpiresAtMs: 9,
  });
});

test('setNodeSpec: leaves what others said alone, and says when the spec was changed', (t) => {
  const box = new Sandbox();
  const spec = { role: 'worker', availability: 'drain' } as const;
  t.deepEqual(box.apply({ kind: 'setNodeSpec', nodeId: N1, spec }), [], 'the node is not there');
  box.apply(putNode(N1));
  t.is(nodeOf(box).specVersion, undefined);
  box.apply({ kind: 'setNodeStatus', nodeId: N1, status: { state: 'ready' }, description });
  box.apply({ kind: 'setNodeSpec', nodeId: N1, spec });
  box.apply({ kind: 'setNodeStatus', nodeId: N1, status: { state: 'down' } });
  t.like(nodeOf(box), { spec, description, status: { state: 'down' }, specVersion: 4, version: 5 });
  const { version: _, createdAtMs: __, updatedAtMs: ___, ...node } = nodeOf(box);
  box.apply({ kind: 'putNode', node: { ...node, meshIndex: 7 } });
  t.is(nodeOf(box).specVersion, 4);
  box.apply({ kind: 'putNode', node: { ...node, spec: { ...spec, role: 'manager' } } });
  t.is(nodeOf(box).specVersion, 7);
});

test('setManagerStatus: absent takes the manager away', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1), { kind: 'setManagerStatus', nodeId: N1, manager });
  box.apply({ kind: 'setManagerStatus', nodeId: N1 });
  t.false('manager' in nodeOf(box));
});

test('nodes: what changes nothing writes nothing', (t) => {
  const box = new Sandbox();
  const changes = [
    { kind: 'setNodeStatus', nodeId: N1, status: { state: 'ready', addr: 'a' }, description },
    { kind: 'setManagerStatus', nodeId: N1, manager },
    { kind: 'setNodeRole', nodeId: N1, role: 'manager', certificateExpiresAtMs: 9 },
    { kind: 'allocateNode', nodeId: N1, meshIndex: 3 },
  ] as const;
  t.deepEqual(box.apply(...changes), [], 'the node is not there');
  box.apply(putNode(N1), ...changes);
  t.deepEqual(box.apply(...structuredClone(changes)), []);
  t.is(nodeOf(box).version, 2);
});

test('delete: a node and a network go at once', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1), putNetwork(NET1, 'net'));
  box.apply({ kind: 'delete', table: 'node', id: N1 }, { kind: 'delete', table: 'network', id: NET1 });
  t.is(box.tables.nodes.size + box.tables.networks.size, 0);
  t.is(box.tables.networks.byName('net'), undefined);
});

test('putNetwork: a name is one network’s, unless that is asked to go', (t) => {
  const box = new Sandbox();
  box.apply(putNetwork(NET1, 'net'));
  const other = putNetwork('net2' as NetworkId, 'net');
  t.is(box.refusal([other]), 'CONFLICT');
  box.apply({ kind: 'putNetwork', network: { ...putNetwork(NET1, 'net').network, pendingDelete: true } });
  box.apply(other);
  t.is(box.tables.networks.byName('net')?.id, other.network.id);
});

test('allocateNetwork: fills in what was chosen; an absent VXLAN id stays as it was', (t) => {
  const box = new Sandbox();
  const ipam = [{ subnet: '10.0.1.0/24', gateway: '10.0.1.1' }];
  t.deepEqual(box.apply({ kind: 'allocateNetwork', networkId: NET1, ipam }), []);
  box.apply(putNetwork(NET1, 'net'), { kind: 'allocateNetwork', networkId: NET1, vni: 4097, ipam: [] });
  box.apply({ kind: 'allocateNetwork', networkId: NET1, ipam });
  const network = box.tables.networks.get(NET1) as Network;
  t.deepEqual([network.vni, network.ipam], [4097, ipam]);
  t.deepEqual(box.apply({ kind: 'allocateNetwork', networkId: NET1, vni: 4097, ipam: [...ipam] }), []);
});

test('putCluster: is the cluster of the view', (t) => {
  const box = new Sandbox();
  t.is(box.view().cluster, undefined);
  const cluster = { id: 'c' as ClusterId, epoch: 1 } as Cluster;
  box.apply({ kind: 'putCluster', cluster });
  t.is(box.view().cluster?.epoch, 1);
  t.is(box.view().cluster?.version, 1);
});
