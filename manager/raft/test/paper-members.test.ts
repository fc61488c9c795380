import test from 'ava';
import {
  type ConfChange,
  ConfChangeError,
  type ConfChangeSingle,
  ConfChangeType,
  EntryType,
  encodeConfChange,
  LEAVE_JOINT,
  MessageType,
} from '../src/index.ts';
import { Network, parseChanges } from '../testing/index.ts';
import { single, singleLeader } from './single.ts';

/*
 * The rules about changes of members: section 6 of the Raft paper and chapter 4 of the thesis.
 */

function change(words: string, transition: ConfChange['transition'] = 'auto'): ConfChange {
  return { transition, changes: parseChanges([words]), context: new Uint8Array() };
}

function propose(network: Network, id: number, words: string, transition?: ConfChange['transition']): void {
  network.node(id).proposeConfChange(change(words, transition));
  network.settle();
}

test('6: one voter is added or removed in one step; everybody switches when it is applied', (t) => {
  const network = new Network({ voters: [1, 2, 3], waiting: [4] });
  network.elect(1);
  propose(network, 1, 'v4');
  network.tick(1, 2);
  for (const id of [1, 2, 3, 4]) t.deepEqual(network.node(id).status().confState.voters, [1, 2, 3, 4]);
  propose(network, 1, 'r2');
  for (const id of [1, 3, 4]) t.deepEqual(network.node(id).status().confState.voters, [1, 3, 4]);
});

test('6: several voters are changed through a joint configuration that leaves itself', (t) => {
  const network = new Network({ voters: [1, 2, 3], waiting: [4, 5] });
  network.elect(1);
  propose(network, 1, 'r2 r3 v4 v5');
  network.tick(1, 3);
  for (const id of [1, 4, 5]) {
    const { voters, votersOutgoing } = network.node(id).status().confState;
    t.deepEqual([voters, votersOutgoing], [[1, 4, 5], []]);
  }
});

test('6: while joint, both majorities must have an entry before it is committed', (t) => {
  const leader = singleLeader();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 2 });
  leader.node.proposeConfChange(change('v4 v5 r2 r3', 'joint-explicit'));
  leader.drain();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 3 });
  t.deepEqual(leader.node.status().confState.votersOutgoing, [1, 2, 3]);
  leader.node.propose(Uint8Array.of(1));
  leader.drain();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 4 });
  t.is(leader.node.status().commit, 3, 'a majority of the old side only');
  leader.receive({ type: MessageType.AppResp, from: 4, index: 4 });
  t.is(leader.node.status().commit, 4);
});

test('6: while joint, both majorities must vote for a leader', (t) => {
  const network = new Network({ voters: [1, 2, 3], waiting: [4, 5] });
  network.elect(1);
  propose(network, 1, 'v4 v5 r2 r3', 'joint-explicit');
  network.tick(1, 3);
  network.cut(2);
  network.cut(3);
  network.node(4).campaign();
  network.settle();
  t.is(network.node(4).status().role, 'candidate', 'the new side alone decides nothing');
  network.heal();
  network.elect(4);
});

test('6: a joint configuration is left when asked to, if it does not leave by itself', (t) => {
  const network = new Network({ voters: [1, 2, 3], waiting: [4] });
  network.elect(1);
  propose(network, 1, 'v4 r3', 'joint-explicit');
  network.tick(1, 2);
  t.deepEqual(network.node(4).status().confState.votersOutgoing, [1, 2, 3]);
  network.node(1).proposeConfChange(LEAVE_JOINT);
  network.settle();
  for (const id of [1, 2, 4]) t.deepEqual(network.node(id).status().confState.votersOutgoing, []);
});

test('6: a joint configuration that leaves itself does so under the next leader, too', (t) => {
  const network = new Network({ voters: [1, 2, 3], waiting: [4] });
  network.elect(1);
  network.node(1).proposeConfChange(change('v4 r3', 'joint-implicit'));
  network.carryOut(1);
  network.lose = ({ from, type }) => from === 1 && type !== MessageType.App;
  network.settle();
  network.heal();
  network.cut(1);
  network.node(2).campaign();
  network.settle();
  network.heal();
  network.tick(2, 3);
  t.deepEqual(network.node(2).status().confState.voters, [1, 2, 4]);
  t.deepEqual(network.node(2).status().confState.votersOutgoing, []);
});

test('6: a newcomer that is still empty has no say as a learner, and gets everything', (t) => {
  const network = new Network({ voters: [1, 2, 3], waiting: [4] });
  network.elect(1);
  network.propose(1, 'a');
  propose(network, 1, 'l4');
  network.tick(1, 2);
  network.propose(1, 'b');
  network.settle();
  t.is(new TextDecoder().decode(network.member(4).storage.snapshot().data), 'ab');
  network.node(4).campaign();
  network.settle();
  t.is(network.node(4).status().role, 'follower', 'a learner does not campaign');
  network.cut(4);
  network.cut(3);
  network.propose(1, 'c');
  network.settle();
  t.deepEqual(network.applied(2), ['a', 'b', 'c'], 'two of three voters are enough');
});

test('6: a learner’s answer is not counted', (t) => {
  const network = new Network({ voters: [1, 2, 3], learners: [4, 5] });
  network.elect(1);
  network.cut(2);
  network.cut(3);
  network.propose(1, 'a');
  network.settle();
  network.tick(1, 5);
  t.deepEqual(network.applied(4), []);
});

test('6: a leader that is removed commits without itself, and steps down if it is to', (t) => {
  const staying = new Network({ voters: [1, 2, 3] });
  staying.elect(1);
  propose(staying, 1, 'r1');
  t.is(staying.node(1).status().role, 'leader');
  t.throws(() => staying.propose(1, 'a'), { message: 'raft proposal dropped' });
  const leaving = new Network({ voters: [1, 2, 3], stepDownOnRemoval: true });
  leaving.elect(1);
  propose(leaving, 1, 'r1');
  t.is(leaving.node(1).status().role, 'follower');
  leaving.node(1).campaign();
  leaving.settle();
  t.is(leaving.node(1).status().role, 'follower', 'who is removed does not campaign');
  leaving.elect(2);
  t.deepEqual(leaving.node(2).status().confState.voters, [2, 3]);
});

test('6: a removed member that does not know it can’t unseat the leader', (t) => {
  const network = new Network({ voters: [1, 2, 3, 4], checkQuorum: true });
  network.elect(1);
  network.cut(4);
  propose(network, 1, 'r4');
  network.heal();
  network.tick(4, 30);
  network.tick(1);
  t.is(network.node(1).status().role, 'leader');
  t.is(network.node(2).status().leader, 1);
});

test('6: a transfer of leadership to a member that is removed ends', (t) => {
  const leader = singleLeader();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 2 });
  leader.node.proposeConfChange(change('r3'));
  leader.drain();
  leader.node.transferLeader(3);
  leader.receive({ type: MessageType.AppResp, from: 2, index: 3 });
  t.is(leader.node.status().leadTransferee, 0);
});

test('thesis 4.1: a second change waits until the first is applied; what comes too early has no effect', (t) => {
  const leader = singleLeader();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 2 });
  const first = leader.node.proposeConfChange(change('v4'));
  const second = leader.node.proposeConfChange(change('v5'));
  leader.drain();
  const types = [first, second].map(
    (at) => leader.storage.entries(at?.index ?? 0, (at?.index ?? 0) + 1, 1)[0]?.type,
  );
  t.deepEqual(types, [EntryType.ConfChangeV2, EntryType.Normal]);
  leader.receive({ type: MessageType.AppResp, from: 2, index: 4 });
  t.deepEqual(leader.node.status().confState.voters, [1, 2, 3, 4]);
  t.is(leader.node.proposeConfChange(change('v5'))?.index, 5);
  leader.drain();
  t.is(leader.storage.entries(5, 6, 1)[0]?.type, EntryType.ConfChangeV2);
});

test('thesis 4.1: a new leader waits for all of its log, since a change may be in it', (t) => {
  const leader = singleLeader({ terms: [1] });
  leader.node.proposeConfChange(change('v4'));
  leader.drain();
  t.is(leader.storage.entries(4, 5, 1)[0]?.type, EntryType.Normal);
});

test('thesis 4.1: who has a committed change of members still to apply does not campaign', (t) => {
  const member = single();
  const data = encodeConfChange(change('v4'));
  const entries = [{ type: EntryType.ConfChangeV2, term: 1, index: 2, data }];
  member.node.step({
    type: MessageType.App,
    from: 2,
    to: 1,
    term: 1,
    logTerm: 1,
    index: 1,
    entries,
    commit: 2,
  });
  member.node.campaign();
  t.is(member.node.status().role, 'follower');
  member.drain();
  member.node.campaign();
  t.is(member.node.status().role, 'candidate');
});

test('thesis 4.2.1: without validation a change that does not fit throws where it is applied', (t) => {
  const leader = singleLeader({ voters: [1], disableConfChangeValidation: true });
  const remove: ConfChangeSingle = { type: ConfChangeType.RemoveNode, nodeId: 1 };
  leader.node.proposeConfChange({ ...LEAVE_JOINT, changes: [remove] });
  t.throws(() => leader.drain(), { instanceOf: ConfChangeError, message: 'removed all voters' });
});

test('changes of members: what can’t be decoded never becomes one', (t) => {
  const leader = singleLeader({ voters: [1] });
  const entry = { type: EntryType.ConfChangeV2, term: 0, index: 0, data: Uint8Array.of(99) };
  leader.receive({ type: MessageType.Prop, from: 1, term: 0, entries: [entry] });
  t.deepEqual(
    leader.applied.map(({ type }) => type),
    [EntryType.Normal, EntryType.Normal],
  );
});

test('changes of members: voters learn from a leader that removed itself that they are free of it', (t) => {
  const network = new Network({ voters: [1, 2], stepDownOnRemoval: true });
  network.elect(1);
  network.node(1).proposeConfChange(change('r1'));
  network.carryOut(1);
  network.propose(1, 'never acknowledged');
  network.lose = ({ from, to, commit = 0, entries = [] }) =>
    from === 1 && to === 2 && (commit > 2 || entries.some(({ type }) => type === EntryType.Normal));
  network.settle();
  const { role, confState } = network.node(1).status();
  t.deepEqual([role, confState.voters], ['follower', [2]]);
  t.deepEqual(network.node(2).status().confState.voters, [1, 2], 'it does not know yet');
  network.heal();
  network.tick(2, 30);
  t.is(network.node(2).status().role, 'leader');
  t.deepEqual(network.node(2).status().confState.voters, [2]);
});
