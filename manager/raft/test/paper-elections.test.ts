import test from 'ava';
import { MessageType, type Role } from '../src/index.ts';
import { Network } from '../testing/index.ts';
import { single, singleLeader } from './single.ts';

/*
 * The rules of the Raft paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", extended
 * version) about terms and elections, by its sections; then those of Ongaro's thesis. Replication: paper-logs.test.ts.
 */

test('5.1: whoever sees a later term takes it, and follows', (t) => {
  for (const start of [single(), singleLeader()]) {
    start.receive({ type: MessageType.App, from: 2, term: 9, index: 1, logTerm: 1 });
    const { role, term, leader } = start.node.status();
    t.deepEqual({ role, term, leader }, { role: 'follower', term: 9, leader: 2 });
  }
  const candidate = single();
  candidate.node.campaign();
  candidate.receive({ type: MessageType.VoteResp, from: 2, term: 9, reject: true });
  const { role, term, leader } = candidate.node.status();
  t.deepEqual({ role, term, leader }, { role: 'follower', term: 9, leader: 0 });
});

test('5.1: a message of an earlier term changes nothing', (t) => {
  const member = single({ terms: [1, 3] });
  const before = member.node.status();
  const answers = member.receive({
    type: MessageType.App,
    from: 2,
    term: 2,
    index: 3,
    logTerm: 3,
    commit: 3,
  });
  t.deepEqual(answers, []);
  t.deepEqual(member.node.status(), before);
});

test('5.2: everybody starts as a follower', (t) => {
  t.is(single().node.status().role, 'follower');
  t.is(single({ terms: [1, 2] }).node.status().role, 'follower');
});

test('5.2: a leader sends heartbeats to all others, every heartbeatTicks', (t) => {
  const leader = singleLeader({ heartbeatTicks: 3 });
  t.deepEqual(leader.ticks(2), []);
  const beats = leader.ticks(1);
  t.deepEqual(
    beats.map(({ type, to }) => ({ type, to })),
    [2, 3].map((to) => ({ type: MessageType.Heartbeat, to })),
  );
});

test('5.2: a follower that hears nothing for its timeout campaigns: next term, own vote, asks everybody', (t) => {
  const member = single();
  t.deepEqual(member.ticks(9), []);
  const requests = member.ticks(1);
  t.deepEqual(
    requests.map(({ type, to, term }) => ({ type, to, term })),
    [2, 3].map((to) => ({ type: MessageType.Vote, to, term: 2 })),
  );
  t.is(member.node.status().role, 'candidate');
  t.deepEqual(member.storage.initialState().hardState, { term: 2, vote: 1, commit: 1 });
});

test('5.2: hearing from the leader, or giving a vote, starts the timeout again', (t) => {
  const member = single();
  member.ticks(9);
  member.receive({ type: MessageType.Heartbeat, from: 2 });
  t.deepEqual(member.ticks(9), []);
  member.receive({ type: MessageType.Vote, from: 3, term: 2, index: 1, logTerm: 1 });
  t.deepEqual(member.ticks(9), []);
  t.is(member.ticks(1).length, 2);
});

test('5.2: a majority of votes makes a leader, no less', (t) => {
  const cases: { size: number; granted: number; rejected: number; role: Role }[] = [
    { size: 1, granted: 0, rejected: 0, role: 'leader' },
    { size: 3, granted: 0, rejected: 0, role: 'candidate' },
    { size: 3, granted: 1, rejected: 0, role: 'leader' },
    { size: 3, granted: 1, rejected: 1, role: 'leader' },
    { size: 3, granted: 0, rejected: 2, role: 'follower' },
    { size: 4, granted: 1, rejected: 0, role: 'candidate' },
    { size: 4, granted: 2, rejected: 0, role: 'leader' },
    { size: 4, granted: 1, rejected: 2, role: 'follower' },
    { size: 5, granted: 1, rejected: 2, role: 'candidate' },
    { size: 5, granted: 2, rejected: 0, role: 'leader' },
    { size: 5, granted: 1, rejected: 3, role: 'follower' },
  ];
  for (const { size, granted, rejected, role } of cases) {
    const voters = Array.from({ length: size }, (_, at) => at + 1);
    const member = single({ voters });
    member.node.campaign();
    member.drain();
    for (let from = 2; from < 2 + granted + rejected; from += 1)
      member.receive({ type: MessageType.VoteResp, from, term: 2, reject: from >= 2 + granted });
    t.is(member.node.status().role, role, `${granted} for, ${rejected} against, of ${size}`);
  }
});

test('5.2: of one member only the first answer counts', (t) => {
  const member = single({ voters: [1, 2, 3, 4, 5] });
  member.node.campaign();
  for (let times = 0; times < 4; times += 1) member.receive({ type: MessageType.VoteResp, from: 2, term: 2 });
  t.is(member.node.status().role, 'candidate');
});

test('5.2: one vote a term, first come first served; who got it may ask again', (t) => {
  const member = single();
  const ask = (from: number): boolean | undefined =>
    member.receive({ type: MessageType.Vote, from, term: 2, index: 1, logTerm: 1 })[0]?.reject ?? false;
  t.false(ask(2));
  t.true(ask(3));
  t.false(ask(2));
});

test('5.2: the vote outlives a restart', (t) => {
  const member = single();
  member.receive({ type: MessageType.Vote, from: 2, term: 2, index: 1, logTerm: 1 });
  const { hardState } = member.storage.initialState();
  const restarted = single({ hardState });
  t.true(restarted.receive({ type: MessageType.Vote, from: 3, term: 2, index: 1, logTerm: 1 })[0]?.reject);
});

test('5.2: no vote is given before it is durable', (t) => {
  const member = single({ asyncStorageWrites: true });
  member.node.step({ type: MessageType.Vote, from: 2, to: 1, term: 2, index: 1, logTerm: 1 });
  const { messages } = member.node.ready();
  t.is(messages.length, 1);
  t.is(messages[0]?.type, MessageType.StorageAppend);
  t.is(messages[0]?.vote, 2);
  t.deepEqual(
    messages[0]?.responses?.map(({ type, to }) => ({ type, to })),
    [{ type: MessageType.VoteResp, to: 2 }],
  );
});

test('5.2: a candidate that hears from a leader of its term, or a later one, follows it', (t) => {
  for (const term of [2, 3]) {
    const member = single();
    member.node.campaign();
    member.drain();
    member.receive({ type: MessageType.App, from: 2, term, index: 1, logTerm: 1 });
    const status = member.node.status();
    t.deepEqual([status.role, status.term, status.leader], ['follower', term, 2]);
  }
});

test('5.2: a candidate without a result campaigns again, in a new term', (t) => {
  const member = single();
  member.ticks(10);
  const again = member.ticks(10);
  t.deepEqual(
    again.map(({ type, term }) => ({ type, term })),
    [2, 3].map(() => ({ type: MessageType.Vote, term: 3 })),
  );
});

test('5.2: timeouts are drawn anew each time, from once to twice electionTicks', (t) => {
  const draws = [0, 0.5, 0.999];
  const timeouts = draws.map((draw) => {
    const member = single({ random: () => draw });
    let ticks = 0;
    while (member.node.status().role === 'follower') {
      member.ticks(1);
      ticks += 1;
    }
    return ticks;
  });
  t.deepEqual(timeouts, [10, 15, 19]);
});

test('5.2: there is at most one leader a term, also when votes are split', (t) => {
  const network = new Network({ voters: [1, 2, 3, 4, 5] });
  network.node(1).campaign();
  network.node(2).campaign();
  network.node(3).campaign();
  network.settle();
  const leaders = [...network.members.values()].filter(({ node }) => node.status().role === 'leader');
  t.true(leaders.length <= 1);
  network.tick(4, 10);
  const term = network.node(4).status().term;
  t.is(network.node(4).status().role, 'leader');
  for (const { node } of network.members.values())
    t.deepEqual([node.status().leader, node.status().term], [4, term]);
});

test('5.4.1: a request for a vote says where the candidate’s log ends', (t) => {
  const member = single({ terms: [1, 1, 3] });
  member.node.campaign();
  for (const request of member.drain()) t.deepEqual([request.logTerm, request.index], [3, 4]);
});

test('5.4.1: no vote for a log that is less up to date: its last term decides, then its length', (t) => {
  const cases = [
    { own: [1], logTerm: 1, index: 2, granted: true },
    { own: [1], logTerm: 1, index: 3, granted: true },
    { own: [1], logTerm: 2, index: 2, granted: true },
    { own: [1, 1], logTerm: 2, index: 2, granted: true },
    { own: [1, 1], logTerm: 1, index: 2, granted: false },
    { own: [2], logTerm: 1, index: 2, granted: false },
    { own: [2], logTerm: 1, index: 9, granted: false },
    { own: [1, 2], logTerm: 2, index: 2, granted: false },
  ];
  for (const { own, logTerm, index, granted } of cases) {
    const member = single({ terms: own });
    const [answer] = member.receive({ type: MessageType.Vote, from: 2, term: 9, logTerm, index });
    t.is(answer?.reject !== true, granted, `${own} against ${logTerm}/${index}`);
  }
});

test('thesis 4.2.3: who hears from a leader ignores candidates, and does not change its term', (t) => {
  const member = single({ checkQuorum: true });
  member.receive({ type: MessageType.Heartbeat, from: 2 });
  const request = { type: MessageType.Vote, from: 3, term: 5, index: 9, logTerm: 4 };
  t.deepEqual(member.receive(request), []);
  t.is(member.node.status().term, 1);
  member.ticks(9);
  t.deepEqual(member.receive(request), []);
  const patient = single({ checkQuorum: true, random: () => 0.5 });
  patient.receive({ type: MessageType.Heartbeat, from: 2 });
  patient.ticks(10);
  t.is(patient.receive(request)[0]?.type, MessageType.VoteResp);
});

test('thesis 6.2: a leader that hears from no quorum for electionTicks steps down', (t) => {
  const leader = singleLeader({ checkQuorum: true });
  leader.receive({ type: MessageType.HeartbeatResp, from: 3 });
  leader.ticks(10);
  t.is(leader.node.status().role, 'leader');
  leader.ticks(10);
  t.deepEqual([leader.node.status().role, leader.node.status().term], ['follower', 2]);
});

test('thesis 6.2: a leader that hears from a quorum stays', (t) => {
  const leader = singleLeader({ checkQuorum: true });
  for (let period = 0; period < 5; period += 1) {
    leader.receive({ type: MessageType.HeartbeatResp, from: 3 });
    leader.ticks(10);
  }
  t.is(leader.node.status().role, 'leader');
});

test('thesis 9.6: who would not win does not raise the term', (t) => {
  const network = new Network({ voters: [1, 2, 3], preVote: true, checkQuorum: true });
  network.elect(1);
  network.cut(3);
  network.tick(3, 35);
  t.deepEqual([network.node(3).status().role, network.node(3).status().term], ['pre-candidate', 1]);
  network.propose(1, 'a');
  network.settle();
  network.heal();
  network.tick(3, 10);
  t.is(network.node(1).status().role, 'leader', 'whoever comes back does not unseat a leader');
  network.tick(1);
  t.deepEqual([network.node(3).status().leader, network.node(3).status().term], [1, 1]);
  t.deepEqual(network.applied(3), ['a']);
});

test('thesis 9.6: a pre-vote changes neither term nor vote, and may be given to many', (t) => {
  const member = single({ preVote: true });
  for (const from of [2, 3]) {
    const [answer] = member.receive({ type: MessageType.PreVote, from, term: 2, index: 1, logTerm: 1 });
    t.deepEqual([answer?.type, answer?.term, answer?.reject], [MessageType.PreVoteResp, 2, undefined]);
  }
  t.deepEqual([member.node.status().term, member.node.status().vote], [1, 0]);
});

test('thesis 3.10: leadership is handed to a member once its log is complete, and it campaigns at once', (t) => {
  const network = new Network({ voters: [1, 2, 3], preVote: true, checkQuorum: true });
  network.elect(1);
  network.cut(3);
  network.propose(1, 'a');
  network.settle();
  network.heal();
  network.node(1).transferLeader(3);
  network.settle();
  network.tick(1);
  t.is(network.node(3).status().role, 'leader');
  t.deepEqual(network.applied(3), ['a']);
  t.is(network.node(1).status().leader, 3);
});

test('thesis 3.10: a follower hands the wish to transfer on to the leader', (t) => {
  const network = new Network({ voters: [1, 2, 3] });
  network.elect(1);
  network.node(2).transferLeader(3);
  network.settle();
  t.is(network.node(3).status().role, 'leader');
});

test('thesis 3.10: while leadership is handed over nothing is taken; if it takes too long, the leader goes on', (t) => {
  const network = new Network({ voters: [1, 2, 3] });
  network.elect(1);
  network.cut(3);
  network.node(1).transferLeader(3);
  t.is(network.node(1).status().leadTransferee, 3);
  t.throws(() => network.propose(1, 'a'), { message: 'raft proposal dropped' });
  network.tick(1, 10);
  t.is(network.node(1).status().leadTransferee, 0);
  network.propose(1, 'b');
  network.settle();
  t.deepEqual(network.applied(2), ['b']);
});

test('thesis 3.10: a later wish replaces an earlier one, and one to lead itself takes it back', (t) => {
  const network = new Network({ voters: [1, 2, 3, 4], learners: [5] });
  network.elect(1);
  network.cut(3);
  network.node(1).transferLeader(3);
  network.node(1).transferLeader(5);
  t.is(network.node(1).status().leadTransferee, 3, 'a learner can’t lead');
  network.node(1).transferLeader(1);
  t.is(network.node(1).status().leadTransferee, 0);
  network.node(1).transferLeader(3);
  network.node(1).transferLeader(4);
  network.settle();
  t.is(network.node(4).status().role, 'leader');
});
