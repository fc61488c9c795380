import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import { Wake } from '#proto/base/wake.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Consensus, MemberStatus } from '../consensus/consensus.ts';
import type { Store } from '../store/view.ts';
import { Absences } from './absences.ts';
import { type RoleDuties, roleDuties } from './roles.ts';
import { replacement } from './spares.ts';

export interface RoleKeeperModules {
  readonly store: Pick<Store, 'view' | 'update' | 'subscribe'>;
  readonly consensus: Pick<Consensus, 'status' | 'onMembers' | 'removeMember' | 'transferLeadership'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Reachability has no event: it is looked at this often. */
const LOOK_EVERY_MS = 1_000;
/** After a failure (no quorum without the member, say) it is tried again. */
const RETRY_MS = 2_000;

/** Keeps the Raft group what the nodes' roles say, while this manager leads; runs until the signal aborts. */
export async function keepRoles(modules: RoleKeeperModules, signal: AbortSignal): Promise<void> {
  const { store, consensus, clock, log } = modules;
  const wake = new Wake();
  const absences = new Absences();
  using stack = new DisposableStack();
  stack.defer(consensus.onMembers(() => wake.up()));
  stack.defer(
    store.subscribe(({ events }) => {
      if (events.some(({ table }) => table === 'node')) wake.up();
    }),
  );
  while (!signal.aborted) {
    let waitMs = LOOK_EVERY_MS;
    try {
      await doDuties(modules, absences);
    } catch (error) {
      if (signal.aborted) return;
      log.warn('the managers are not yet what their roles say', { err: error });
      waitMs = RETRY_MS;
    }
    await wake.within(waitMs, clock, signal).catch(() => undefined);
  }
}

async function doDuties(modules: RoleKeeperModules, absences: Absences): Promise<void> {
  const { store, consensus, clock } = modules;
  const { self, members } = await consensus.status();
  absences.saw(members, clock.monotonicMs());
  const duties = roleDuties(store.view(), members, self.raftId);
  if (duties.changes.length > 0) await store.update({ changes: duties.changes });
  if (duties.departure !== undefined) await depart(duties.departure, consensus);
  else await maybeReplace(modules, members, absences);
}

/** Gives the place of a manager that is lost to a spare. */
async function maybeReplace(
  { store, clock, log }: RoleKeeperModules,
  members: readonly MemberStatus[],
  absences: Absences,
): Promise<void> {
  const unreachedForMs = (nodeId: NodeId): number => absences.forMs(nodeId, clock.monotonicMs());
  const due = replacement(store.view(), members, clock.wallMs(), unreachedForMs);
  if (due === undefined) return;
  const { lost, spare, expects, changes } = due;
  await store.update({ expects, changes });
  log.warn('a spare takes the place of a manager that is lost', { lost: lost.id, spare: spare.id });
}

async function depart(
  { raftId, handOver }: NonNullable<RoleDuties['departure']>,
  consensus: RoleKeeperModules['consensus'],
): Promise<void> {
  if (handOver) await consensus.transferLeadership();
  else await consensus.removeMember(raftId);
}
