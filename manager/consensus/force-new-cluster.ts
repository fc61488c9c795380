import { type ConfChangeSingle, ConfChangeType, type Entry, EntryType, encodeConfChange } from 'raft-ts';
import { decodeChange, isConfChange, type Membership, type Peer } from './membership.ts';
import { encodePeer } from './wire.ts';

/**
 * The entries with which a member goes on alone: it becomes a voter, everybody else goes. Everything in its log counts
 * as committed, since an entry that was acknowledged may be known to be so by nobody who is left.
 */
export function entriesToGoOnAlone(
  self: Peer,
  membership: Membership,
  log: readonly Entry[],
  place: { readonly lastIndex: number; readonly term: number },
): Entry[] {
  const others = [...everMembers(membership, log)].filter((id) => id !== self.raftId).sort((a, b) => a - b);
  const steps: ConfChangeSingle[][] = [
    ...(endsJoint(membership, log) ? [[]] : []),
    [{ type: ConfChangeType.AddNode, nodeId: self.raftId }],
    ...others.map((nodeId) => [{ type: ConfChangeType.RemoveNode, nodeId }]),
  ];
  return steps.map((changes, at) =>
    entryOf(changes, self, { index: place.lastIndex + 1 + at, term: place.term }),
  );
}

/** Whether several members are being changed at once where the log ends: that must end before anything else can change. */
function endsJoint({ confState }: Membership, log: readonly Entry[]): boolean {
  const last = log.findLast(isConfChange);
  if (last === undefined) return confState.votersOutgoing.length > 0;
  const { changes, transition } = decodeChange(last).change;
  return changes.length > 1 || transition !== 'auto';
}

function everMembers(membership: Membership, log: readonly Entry[]): Set<number> {
  const ids = new Set(membership.peers.map((peer) => peer.raftId));
  for (const entry of log) {
    if (!isConfChange(entry)) continue;
    for (const { type, nodeId } of decodeChange(entry).change.changes)
      if (type === ConfChangeType.RemoveNode) ids.delete(nodeId);
      else ids.add(nodeId);
  }
  return ids;
}

/** An entry that makes one change of members; `peer` says where the one it adds is found. */
export function confChangeEntry(
  change: ConfChangeSingle,
  peer: Peer,
  place: { readonly index: number; readonly term: number },
): Entry {
  return entryOf([change], peer, place);
}

/** Without changes: it ends a change of several members. */
function entryOf(
  changes: readonly ConfChangeSingle[],
  peer: Peer,
  place: { readonly index: number; readonly term: number },
): Entry {
  const data = encodeConfChange({ transition: 'auto', changes, context: encodePeer(peer) });
  return { type: EntryType.ConfChangeV2, ...place, data };
}
