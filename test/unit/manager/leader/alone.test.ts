import test from 'ava';
import { aloneChanges, nextEpoch } from '#manager/leader/alone.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { clusterRow, testCa } from '#test/support/certificates.ts';
import { openTestStoreWith } from '#test/support/local-log.ts';

const NOW_MS = 1_800_000_000_000;
const SELF = 'm1' as NodeId;

function node(id: string, role: 'manager' | 'worker', isMember: boolean) {
  const manager = { raftId: 1, addr: 'a:1', raftAddr: 'a:2', reachability: 'reachable' } as const;
  return {
    kind: 'putNode',
    node: {
      id: id as NodeId,
      spec: { role, availability: 'active', labels: { kept: 'yes' } },
      role,
      status: { state: 'ready' },
      ...(isMember && { manager }),
    },
  } as const;
}

test('alone: the other managers are none any more, workers are untouched, and the epoch is another', async (t) => {
  const cluster = { kind: 'putCluster', cluster: clusterRow(await testCa()) } as const;
  const rows = [node('m1', 'manager', true), node('m2', 'manager', true), node('w1', 'worker', false)];
  // One that was being demoted when the others were lost.
  const demoted = node('m3', 'worker', true);
  await using at = await openTestStoreWith([cluster, ...rows, demoted]);
  const before = at.store.view();
  await at.store.update({ changes: aloneChanges(before, SELF, NOW_MS) });
  const { cluster: after, nodes } = at.store.view();
  t.is(after?.epoch, NOW_MS / 1_000);
  t.is(after?.id, before.cluster?.id);
  t.deepEqual(after?.joinSecrets, before.cluster?.joinSecrets);
  t.deepEqual(nodes.get(SELF), before.nodes.get(SELF));
  for (const id of ['m2', 'm3'] as NodeId[]) {
    t.is(nodes.get(id)?.spec.role, 'worker');
    t.is(nodes.get(id)?.manager, undefined);
    t.deepEqual(nodes.get(id)?.spec.labels, { kept: 'yes' });
  }
  t.deepEqual(nodes.get('w1' as NodeId), before.nodes.get('w1' as NodeId));
});

test('alone: an epoch is never used twice, whatever the clock says', (t) => {
  t.is(nextEpoch(1, NOW_MS), NOW_MS / 1_000);
  t.is(nextEpoch(NOW_MS / 1_000, NOW_MS), NOW_MS / 1_000 + 1);
  t.is(nextEpoch(7, 0), 8);
  t.is(nextEpoch(2 ** 32 - 1, NOW_MS), 2 ** 32 - 1);
});
