import test from 'ava';
import { applyDiff, NOTHING_ASSIGNED } from '#agent/session/assigned.ts';
import { partsOf } from '#manager/dispatcher/parts.ts';
import type { AssignmentDiff, NetworkPeer } from '#proto/types/assignments.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Revision } from '#proto/types/objects.ts';

const EMPTY: AssignmentDiff = {
  complete: false,
  appliesTo: 3,
  version: 9,
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
};

function peers(count: number): NetworkPeer[] {
  return Array.from({ length: count }, (_, i) => ({
    nodeId: `n${i}` as NodeId,
    meshIndex: i,
    dataPathAddr: '',
    addresses: [],
    peerAddr: '',
    up: true,
  }));
}

function revisions(count: number): Revision[] {
  const stored = { version: 1, createdAtMs: 1, updatedAtMs: 1 };
  return Array.from({ length: count }, (_, i) => ({
    ...stored,
    serviceId: `s${i}` as ServiceId,
    specVersion: 1,
    serviceName: `s${i}`,
    task: { container: { image: 'i' } },
  }));
}

test('a small diff is one part', (t) => {
  t.deepEqual(partsOf({ ...EMPTY, putPeers: peers(10) }), [{ ...EMPTY, putPeers: peers(10) }]);
});

test('a large one comes in several that lead to the same, of which none is large', (t) => {
  const diff: AssignmentDiff = {
    ...EMPTY,
    complete: true,
    appliesTo: 0,
    self: { nodeId: 'me' as NodeId, meshPool: '', meshIndex: 4, dataPathPort: 1 },
    putPeers: peers(4_500),
    putRevisions: revisions(250),
    removeServices: ['gone' as ServiceId],
  };
  const parts = partsOf(diff);
  t.true(parts.length > 4);
  t.true(parts.every((part) => part.putPeers.length + 20 * part.putRevisions.length <= 2_000));
  t.deepEqual(
    parts.map(({ complete }) => complete),
    parts.map((_, i) => i === 0),
  );
  let known = NOTHING_ASSIGNED;
  for (const part of parts) known = applyDiff(known, part) ?? NOTHING_ASSIGNED;
  t.deepEqual(known, applyDiff(NOTHING_ASSIGNED, diff));
});
