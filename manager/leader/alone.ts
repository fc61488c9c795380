import type { NodeId } from '#proto/types/ids.ts';
import type { Node } from '#proto/types/objects.ts';
import { unstored } from '../control/unstored.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';

/*
 * What a manager writes first when it goes on alone, with the state it has: as the survivor of a quorum that was lost,
 * or from a backup.
 */

const S_MS = 1_000;
const EPOCH_MAX = 2 ** 32 - 1;

/**
 * The cluster's epoch is counted up, so that nothing of a history that was lost is taken for something of this one; the
 * other managers are none any more: they come back as workers, and can be promoted again.
 */
export function aloneChanges(
  view: Pick<StoreView, 'cluster' | 'nodes'>,
  self: NodeId,
  nowMs: number,
): Change[] {
  const { cluster } = view;
  if (cluster === undefined) return [];
  const epoch = nextEpoch(cluster.epoch, nowMs);
  return [
    { kind: 'putCluster', cluster: { ...unstored(cluster), epoch } },
    ...[...view.nodes.all()].filter(({ id }) => id !== self).flatMap(asWorker),
  ];
}

/**
 * Larger than the last, and by the clock: two that go on from the same state, one after the other, do not get the same.
 */
export function nextEpoch(epoch: number, nowMs: number): number {
  return Math.min(EPOCH_MAX, Math.max(epoch + 1, Math.floor(nowMs / S_MS)));
}

function asWorker(node: Node): Change[] {
  if (node.spec.role !== 'manager' && node.manager === undefined) return [];
  const spec = { ...node.spec, role: 'worker' } as const;
  return [
    { kind: 'putNode', node: { ...unstored(node), spec } },
    { kind: 'setManagerStatus', nodeId: node.id },
  ];
}
