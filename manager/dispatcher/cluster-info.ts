import type { ManagerMessage } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { certificateRole } from '../ca/role.ts';
import type { EventBatch, StoreView } from '../store/view.ts';

type ClusterInfo = NonNullable<Input<ManagerMessage>['cluster']>;

/** Managers, role and roots, as a node is to know them. */
export function clusterInfoFor(view: StoreView, nodeId: NodeId): ClusterInfo {
  const node = view.nodes.get(nodeId);
  return {
    managers: [...view.nodes.all()].flatMap(({ id, manager }) =>
      manager ? [{ nodeId: id, addr: manager.addr }] : [],
    ),
    role: node === undefined ? 'worker' : certificateRole(node),
    rootCertificates: view.cluster?.rootCa.certificate ?? '',
  };
}

/** Whom a change gives other cluster info: every node, or those named. */
export function clusterInfoTouched(batch: EventBatch): 'all' | readonly NodeId[] {
  const touched: NodeId[] = [];
  for (const event of batch.events) {
    if (event.table === 'cluster' && event.previous?.rootCa.certificate !== event.row?.rootCa.certificate)
      return 'all';
    if (event.table !== 'node') continue;
    const { previous, row } = event;
    if (previous?.manager?.addr !== row?.manager?.addr) return 'all';
    if (previous && row && certificateRole(previous) !== certificateRole(row)) touched.push(row.id);
  }
  return touched;
}
