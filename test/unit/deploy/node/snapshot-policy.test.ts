import test from 'ava';
import { followSnapshotPolicy } from '#deploy/node/snapshot-policy.ts';
import type { SnapshotPolicy } from '#manager/consensus/consensus.ts';
import { clusterRow, testCa } from '#test/support/certificates.ts';
import { openTestStore } from '#test/support/local-log.ts';

test('snapshots are taken as the settings of the swarm say, also when they change, until this manager stops', async (t) => {
  const { store } = openTestStore();
  const set: SnapshotPolicy[] = [];
  const following = followSnapshotPolicy({
    store,
    consensus: { setSnapshotPolicy: (policy) => void set.push(policy) },
  });
  t.deepEqual(set, [], 'nothing is known yet');
  const cluster = clusterRow(await testCa());
  const put = (changed: Partial<typeof cluster.spec>) =>
    store.update({
      changes: [{ kind: 'putCluster', cluster: { ...cluster, spec: { ...cluster.spec, ...changed } } }],
    });
  await put({ snapshotEveryEntries: 10_000, logEntriesForSlowFollowers: 500, keepOldSnapshots: 0 });
  await put({ snapshotEveryEntries: 50, logEntriesForSlowFollowers: 7, keepOldSnapshots: 3 });
  t.deepEqual(set, [
    { everyEntries: 10_000, entriesForSlowFollowers: 500, filesKept: 2 },
    { everyEntries: 50, entriesForSlowFollowers: 7, filesKept: 4 },
  ]);
  following[Symbol.dispose]();
  await put({ snapshotEveryEntries: 1 });
  t.is(set.length, 2);
});
