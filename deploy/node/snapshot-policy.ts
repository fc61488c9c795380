import type { KeepsFiles, SnapshotPolicy } from '#manager/consensus/consensus.ts';
import { DEFAULT_LIMITS } from '#manager/consensus/opts.ts';
import type { Store } from '#manager/store/view.ts';
import type { ClusterSpec } from '#proto/types/specs.ts';

export interface SnapshotPolicyModules {
  readonly store: Pick<Store, 'view' | 'subscribe'>;
  readonly consensus: Pick<KeepsFiles, 'setSnapshotPolicy'>;
}

/** Has this manager take snapshots as the cluster's settings say, now and whenever they change; until it is disposed. */
export function followSnapshotPolicy({ store, consensus }: SnapshotPolicyModules): Disposable {
  const follow = (): void => {
    const { cluster } = store.view();
    if (cluster !== undefined) consensus.setSnapshotPolicy(policyOf(cluster.spec));
  };
  const unfollow = store.subscribe(({ events }) => {
    if (events.some(({ table }) => table === 'cluster')) follow();
  });
  follow();
  return { [Symbol.dispose]: unfollow };
}

/** One older snapshot stays in any case: should the newest be damaged, something is there to look into. */
function policyOf(spec: ClusterSpec): SnapshotPolicy {
  const { snapshotEveryEntries, logEntriesForSlowFollowers, keepOldSnapshots } = spec;
  return {
    everyEntries: snapshotEveryEntries,
    entriesForSlowFollowers: logEntriesForSlowFollowers,
    filesKept: Math.max(DEFAULT_LIMITS.snapshotsKept, 1 + keepOldSnapshots),
  };
}
