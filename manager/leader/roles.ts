import type { NodeId } from '#proto/types/ids.ts';
import type { ManagerStatus, Node } from '#proto/types/objects.ts';
import type { MemberStatus } from '../consensus/consensus.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';

/** What a leader owes the members of its Raft group: their standing in the store, and at most one departure at a time. */
export interface RoleDuties {
  readonly changes: readonly Change[];
  /** A member that is to be none any more; `handOver`: it leads, and must let another lead first. */
  readonly departure?: { readonly raftId: number; readonly nodeId: NodeId; readonly handOver: boolean };
}

/** Compares who is a member with who should be one, and with what the store says of them. */
export function roleDuties(
  view: StoreView,
  members: readonly MemberStatus[],
  selfRaftId: number,
): RoleDuties {
  const changes = [
    ...members.flatMap((status) => standing(view, status, selfRaftId)),
    ...formerManagers(view, members),
  ];
  const leaving = members.find(({ member }) => !shouldManage(view.nodes.get(member.nodeId)));
  if (leaving === undefined) return { changes };
  const { raftId, nodeId } = leaving.member;
  return { changes, departure: { raftId, nodeId, handOver: raftId === selfRaftId } };
}

function shouldManage(node: Node | undefined): boolean {
  return node !== undefined && node.spec.role === 'manager';
}

function standing(view: StoreView, { member, reachable }: MemberStatus, selfRaftId: number): Change[] {
  const node = view.nodes.get(member.nodeId);
  if (node === undefined) return [];
  const leader = member.raftId === selfRaftId;
  const manager: ManagerStatus = {
    raftId: member.raftId,
    addr: member.controlAddr,
    raftAddr: member.raftAddr,
    ...(leader ? { leader } : {}),
    reachability: reachable || leader ? 'reachable' : 'unreachable',
  };
  if (sameStanding(node.manager, manager)) return [];
  return [{ kind: 'setManagerStatus', nodeId: node.id, manager }];
}

function sameStanding(a: ManagerStatus | undefined, b: ManagerStatus): boolean {
  return (
    a !== undefined &&
    a.raftId === b.raftId &&
    a.addr === b.addr &&
    a.raftAddr === b.raftAddr &&
    (a.leader ?? false) === (b.leader ?? false) &&
    a.reachability === b.reachability
  );
}

/** Nodes that the store still calls managers although they are no members any more: they may become workers now. */
function formerManagers(view: StoreView, members: readonly MemberStatus[]): Change[] {
  const present = new Set(members.map(({ member }) => member.nodeId));
  return [...view.nodes.all()]
    .filter(({ id, manager }) => manager !== undefined && !present.has(id))
    .map(({ id }) => ({ kind: 'setManagerStatus', nodeId: id }));
}
