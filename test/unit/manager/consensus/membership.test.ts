import test from 'ava';
import {
  type ConfChangeSingle,
  ConfChangeType,
  type ConfState,
  decodeConfChange,
  MemoryStorage,
  RawNode,
} from 'raft-ts';
import { entriesToGoOnAlone } from '#manager/consensus/force-new-cluster.ts';
import { changeMembership, type Membership, type Peer, wasRemoved } from '#manager/consensus/membership.ts';
import type { NodeId } from '#proto/types/ids.ts';

const peer = (raftId: number): Peer => ({
  raftId,
  nodeId: `node-${raftId}` as NodeId,
  raftAddr: `m${raftId}:1`,
  controlAddr: `m${raftId}:2`,
});

const conf = (voters: number[], votersOutgoing: number[] = []): ConfState => ({
  voters,
  votersOutgoing,
  learners: [],
  learnersNext: [],
  autoLeave: votersOutgoing.length > 0,
});

const remove = (nodeId: number): ConfChangeSingle => ({ type: ConfChangeType.RemoveNode, nodeId });
const change = (changes: ConfChangeSingle[]) =>
  ({ transition: 'auto', changes, context: new Uint8Array() }) as const;
const three: Membership = { peers: [peer(1), peer(2), peer(3)], confState: conf([1, 2, 3]), nextRaftId: 4 };
const joint = changeMembership(three, change([remove(2), remove(3)]), conf([1], [1, 2, 3]), undefined);

test('members: of several that are removed at once each can be reached until those that stay have taken over', (t) => {
  t.deepEqual(joint.peers, three.peers);
  t.false(wasRemoved(joint, 2));
  const after = changeMembership(joint, change([]), conf([1]), undefined);
  t.deepEqual(after.peers, [peer(1)]);
  t.deepEqual([wasRemoved(after, 1), wasRemoved(after, 2), wasRemoved(after, 4)], [false, true, false]);
});

test('members: one that is removed is none at once', (t) => {
  const after = changeMembership(three, change([remove(3)]), conf([1, 2]), undefined);
  t.deepEqual(after.peers, [peer(1), peer(2)]);
  t.true(wasRemoved(after, 3));
});

test('going on alone ends a change of several members first, and leaves one voter', (t) => {
  for (const [membership, steps] of [
    [three, 3],
    [joint, 4],
  ] as const) {
    const entries = entriesToGoOnAlone(peer(2), membership, [], { lastIndex: 7, term: 5 });
    t.deepEqual(
      entries.map(({ index }) => index),
      [8, 9, 10, 11].slice(0, steps),
    );
    const storage = new MemoryStorage();
    storage.applySnapshot({
      meta: { index: 7, term: 5, confState: membership.confState },
      data: new Uint8Array(),
    });
    const node = new RawNode({
      id: 2,
      electionTicks: 10,
      heartbeatTicks: 1,
      messageBytesMax: 1,
      inflightMessagesMax: 1,
      storage,
      random: () => 0,
    });
    let confState: ConfState = membership.confState;
    for (const { data } of entries) confState = node.applyConfChange(decodeConfChange(data));
    t.deepEqual(confState, conf([2]));
  }
});
