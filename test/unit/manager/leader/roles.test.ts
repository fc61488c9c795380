import test from 'ava';
import type { MemberStatus } from '#manager/consensus/consensus.ts';
import { roleDuties } from '#manager/leader/roles.ts';
import type { Change } from '#manager/store/changes.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { ManagerStatus } from '#proto/types/objects.ts';
import type { NodeRole } from '#proto/types/states.ts';
import { openTestStoreWith } from '#test/support/local-log.ts';

function node(id: string, role: NodeRole, manager?: ManagerStatus): Change {
  return {
    kind: 'putNode',
    node: {
      id: id as NodeId,
      spec: { role, availability: 'active' },
      role,
      status: { state: 'ready' },
      ...(manager === undefined ? {} : { manager }),
    },
  };
}

function member(raftId: number, id: string, reachable = true): MemberStatus {
  const addr = `10.0.0.${raftId}`;
  return {
    member: {
      raftId,
      nodeId: id as NodeId,
      raftAddr: `${addr}:2378`,
      controlAddr: `${addr}:2377`,
      learner: false,
    },
    reachable,
  };
}

function status(raftId: number, leader: boolean): ManagerStatus {
  const addr = `10.0.0.${raftId}`;
  return {
    raftId,
    addr: `${addr}:2377`,
    raftAddr: `${addr}:2378`,
    ...(leader ? { leader } : {}),
    reachability: 'reachable',
  };
}

async function duties(changes: Change[], members: MemberStatus[], selfRaftId = 1) {
  const { store } = await openTestStoreWith(changes);
  return roleDuties(store.view(), members, selfRaftId);
}

test('roles: a new leader says of every member what it is', async (t) => {
  const nodes = [node('a', 'manager'), node('b', 'manager', status(2, true))];
  const { changes, departure } = await duties(nodes, [member(1, 'a'), member(2, 'b')]);
  t.deepEqual(changes, [
    { kind: 'setManagerStatus', nodeId: 'a', manager: status(1, true) },
    { kind: 'setManagerStatus', nodeId: 'b', manager: status(2, false) },
  ] as unknown as Change[]);
  t.is(departure, undefined);
});

test('roles: when everything is as it should be there is nothing to do', async (t) => {
  const nodes = [node('a', 'manager', status(1, true)), node('w', 'worker')];
  t.deepEqual(await duties(nodes, [member(1, 'a')]), { changes: [] });
});

test('roles: a member that does not answer is called unreachable', async (t) => {
  const nodes = [node('a', 'manager', status(1, true)), node('b', 'manager', status(2, false))];
  const { changes } = await duties(nodes, [member(1, 'a'), member(2, 'b', false)]);
  t.like(changes[0], { nodeId: 'b', manager: { reachability: 'unreachable' } });
});

test('roles: a demoted manager leaves the group before it becomes a worker', async (t) => {
  const nodes = [node('a', 'manager', status(1, true)), node('b', 'worker', status(2, false))];
  const before = await duties(nodes, [member(1, 'a'), member(2, 'b')]);
  t.deepEqual(before.departure, { raftId: 2, nodeId: 'b' as NodeId, handOver: false });
  const after = await duties(nodes, [member(1, 'a')]);
  t.deepEqual(after.changes, [{ kind: 'setManagerStatus', nodeId: 'b' as NodeId }]);
});

test('roles: a leader that is demoted hands over first', async (t) => {
  const nodes = [node('a', 'worker', status(1, true)), node('b', 'manager', status(2, false))];
  const { departure } = await duties(nodes, [member(1, 'a'), member(2, 'b')]);
  t.true(departure?.handOver);
});

test('roles: a member whose node was removed leaves the group', async (t) => {
  const { departure } = await duties(
    [node('a', 'manager', status(1, true))],
    [member(1, 'a'), member(9, 'gone')],
  );
  t.is(departure?.raftId, 9);
});
