import test from 'ava';
import { MessageType } from '../src/index.ts';
import { Network } from '../testing/index.ts';
import { single, singleLeader } from './single.ts';

function group(): Network {
  const network = new Network({ voters: [1, 2, 3], preVote: true, checkQuorum: true });
  network.elect(1);
  return network;
}

test('leaderGone: followers whose leader is dead elect another one without waiting a tick', (t) => {
  const network = group();
  network.cut(1);
  network.node(2).leaderGone();
  network.settle();
  t.is(network.node(2).status().role, 'pre-candidate', 'member 3 still believes in the leader');
  network.node(3).leaderGone();
  network.settle();
  const roles = [2, 3].map((id) => network.node(id).status().role);
  t.deepEqual(roles.toSorted(), ['follower', 'leader']);
});

test('leaderGone: one closed connection does not unseat a leader that others hear from', (t) => {
  const network = group();
  network.cut(2, [1]);
  network.node(2).leaderGone();
  network.settle();
  const before = network.node(1).status();
  t.deepEqual([before.role, before.term], ['leader', 1]);
  network.heal();
  network.tick(1);
  const { role, leader, term } = network.node(2).status();
  t.deepEqual({ role, leader, term }, { role: 'follower', leader: 1, term: 1 });
});

test('leaderGone: asks first, whatever preVote says, and leaves term and vote alone', (t) => {
  const member = single();
  member.receive({ type: MessageType.Heartbeat, from: 2 });
  member.node.leaderGone();
  const requests = member.drain();
  t.deepEqual(
    requests.map(({ type, to }) => ({ type, to })),
    [2, 3].map((to) => ({ type: MessageType.PreVote, to })),
  );
  t.deepEqual([member.node.status().term, member.node.status().vote], [1, 0]);
});

test('leaderGone: the follower votes for others from then on', (t) => {
  const member = single({ checkQuorum: true });
  member.receive({ type: MessageType.Heartbeat, from: 2 });
  const request = { type: MessageType.PreVote, from: 3, term: 2, index: 1, logTerm: 1 };
  t.deepEqual(member.receive(request), []);
  member.node.leaderGone();
  member.drain();
  t.is(member.receive(request)[0]?.type, MessageType.PreVoteResp);
});

test('leaderGone: nothing happens when another one leads by now, or nobody, or the member itself', (t) => {
  const follower = single();
  follower.node.leaderGone();
  t.deepEqual(follower.drain(), []);
  follower.receive({ type: MessageType.Heartbeat, from: 2 });
  follower.node.leaderGone(3);
  t.deepEqual(follower.drain(), []);
  t.is(follower.node.status().leader, 2);
  const leader = singleLeader();
  leader.node.leaderGone();
  t.is(leader.node.status().role, 'leader');
});

test('leaderGone: a learner forgets the leader and does not campaign', (t) => {
  const network = new Network({ voters: [1, 2], learners: [3] });
  network.elect(1);
  network.node(3).leaderGone();
  t.deepEqual([network.node(3).status().leader, network.node(3).status().role], [0, 'follower']);
});

test('leaderGone: with lease reads the follower keeps its promise to the leader', (t) => {
  const network = new Network({ voters: [1, 2, 3], checkQuorum: true, reads: 'lease' });
  network.elect(1);
  network.node(2).leaderGone();
  network.settle();
  t.deepEqual([network.node(2).status().leader, network.node(2).status().role], [1, 'follower']);
});

test('forgetLeader: the follower votes for others, and follows again when it hears from the leader', (t) => {
  const network = group();
  network.node(2).forgetLeader();
  t.is(network.node(2).status().leader, 0);
  t.is(network.node(2).status().term, 1);
  network.tick(1);
  t.is(network.node(2).status().leader, 1);
});
