import test from 'ava';
import { applyDiff, NOTHING_ASSIGNED } from '#agent/session/assigned.ts';
import type { AssignmentDiff, NetworkPeer } from '#proto/types/assignments.ts';
import type { NodeId } from '#proto/types/ids.ts';

function diff(more: Partial<AssignmentDiff>): AssignmentDiff {
  return {
    complete: false,
    appliesTo: 0,
    version: 1,
    putTasks: [],
    removeTasks: [],
    putRevisions: [],
    removeRevisions: [],
    putPeers: [],
    removePeers: [],
    putNetworks: [],
    removeNetworks: [],
    putServices: [],
    removeServices: [],
    putEndpoints: [],
    removeEndpoints: [],
    ...more,
  };
}

function peer(name: string, up = true): NetworkPeer {
  return { nodeId: name as NodeId, meshIndex: 1, dataPathAddr: '', addresses: [], peerAddr: '', up };
}

test('puts replace by key, removals take away, and what is not named stays as it was', (t) => {
  const first = applyDiff(NOTHING_ASSIGNED, diff({ complete: true, putPeers: [peer('a'), peer('b')] }));
  const second = applyDiff(
    first ?? NOTHING_ASSIGNED,
    diff({
      appliesTo: 1,
      version: 4,
      putPeers: [peer('b', false)],
      removePeers: ['a' as NodeId, 'z' as NodeId],
    }),
  );
  t.deepEqual([...(second?.peers ?? [])], [['b' as NodeId, peer('b', false)]]);
  t.is(second?.version, 4);
  t.is(second?.services, first?.services);
  t.is(first?.peers.size, 2);
});

test('a complete one replaces everything, whatever it was before', (t) => {
  const first = applyDiff(NOTHING_ASSIGNED, diff({ complete: true, version: 9, putPeers: [peer('a')] }));
  const second = applyDiff(
    first ?? NOTHING_ASSIGNED,
    diff({ complete: true, version: 3, putPeers: [peer('b')] }),
  );
  t.deepEqual([...(second?.peers.keys() ?? [])], ['b' as NodeId]);
});

test('one that continues another state is a gap', (t) => {
  const first = applyDiff(NOTHING_ASSIGNED, diff({ complete: true, version: 9 }));
  t.is(applyDiff(first ?? NOTHING_ASSIGNED, diff({ appliesTo: 8, version: 10 })), undefined);
  t.is(applyDiff(first ?? NOTHING_ASSIGNED, diff({ appliesTo: 10, version: 11 })), undefined);
});
