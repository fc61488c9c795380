import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { KnownUses } from '#scheduler/place.ts';
import type { KnownAddresses } from '../allocator/address-book.ts';
import type { Change, TableName } from '../store/changes.ts';
import type { Draft } from '../store/view.ts';

/** What a leader knows beside the store, and may lose with the lead. */
export interface Situation {
  readonly nowMs: number;
  /** The version up to which each node's data plane is known to be in place. */
  readonly networkReady: ReadonlyMap<NodeId, number>;
  /**
   * Services that have something new to look at; absent: every one, and all the rest. A controller may leave out what
   * only others can concern; it need not.
   */
  readonly services?: ReadonlySet<ServiceId>;
  /** Nodes that have something new to look at, where only some services have. */
  readonly nodes?: ReadonlySet<NodeId>;
  /** Other parts of what is to be looked at follow soon: what concerns none of these services can wait for the last one. */
  readonly more?: boolean;
  /** What all tasks take of nodes and networks; absent: who needs that has to look. */
  readonly known?: KnownUses & KnownAddresses;
}

export interface Plan {
  readonly changes: readonly Change[];
  /** Look again at this wall-clock time, even if nothing changes until then. */
  readonly wakeAtMs?: number;
}

/**
 * One brain of the leader: pure, level-triggered, and safe to run at any time: from the same view it plans the same
 * changes, and a plan that was carried out leaves nothing to plan. `plan` may read the draft only; the loop applies what
 * it returns to the draft before the next controller looks, and commits all of it as one entry.
 */
export interface Controller {
  readonly name: string;
  readonly wakesOn: readonly TableName[];
  plan(view: Draft, situation: Situation): Plan;
}
