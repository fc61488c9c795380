import { type RevisionKey, revisionKey } from '#proto/types/assignments.ts';
import type { NetworkId, NodeId, TaskId } from '#proto/types/ids.ts';
import type { EventBatch, StoreView } from '../store/view.ts';
import type { Dirty, Told } from './assignments.ts';
import { touchedBy } from './touched.ts';
import { Unsaid } from './unsaid.ts';

/*
 * Going on where another manager stopped: an agent that lost its manager says what it knows, and is told what has
 * happened since. After a failover that is next to nothing, for thousands of agents at once. Pure.
 */

/** What an agent says it has been told. */
export interface Known {
  readonly epoch: number;
  readonly version: number;
  readonly networks: readonly NetworkId[];
  readonly revisions: readonly RevisionKey[];
}

export function toldBefore(known: Known): Told {
  return {
    version: known.version,
    networks: new Set(known.networks),
    revisions: new Map(
      known.revisions.map(({ serviceId, specVersion }) => [
        revisionKey(serviceId, specVersion),
        { serviceId, specVersion },
      ]),
    ),
  };
}

/**
 * What may be different for a node after these entries; `view` is the store after the last. Rather too much: whom a row
 * concerned in between can't be seen any more, so every row that was touched counts.
 */
export function missedBy(nodeId: NodeId, batches: readonly EventBatch[], view: StoreView): Dirty {
  const missed = new Unsaid();
  for (const batch of batches) {
    for (const { scope, topic, id } of touchedBy(batch, view)) {
      if (scope.kind !== 'node' || scope.id === nodeId) missed.add(topic, id, batch.version);
    }
    for (const { table, id } of batch.events) {
      if (table === 'task') missed.add('endpoints', id as TaskId, batch.version);
    }
  }
  return missed.take();
}
