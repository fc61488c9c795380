import test from 'ava';
import { ConfChangeType, EntryType, LOCAL_APPEND, type Message, MessageType } from '../src/index.ts';
import { Network } from '../testing/index.ts';
import { entriesOf, single, singleLeader } from './single.ts';

/*
 * The rules of the Raft paper about logs, by its sections. Elections: paper-elections.test.ts.
 */

const BYTES = Uint8Array.of(7);

test('5.3: a leader puts a proposal into its log and sends it to all others at once', (t) => {
  const leader = singleLeader();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 2 });
  leader.receive({ type: MessageType.AppResp, from: 3, index: 2 });
  t.deepEqual(leader.node.propose(BYTES), { index: 3, term: 2 });
  const sent = leader.drain();
  const entry = { type: EntryType.Normal, term: 2, index: 3, data: BYTES };
  t.deepEqual(
    sent.map(({ type, to, logTerm, index, entries }) => ({ type, to, logTerm, index, entries })),
    [2, 3].map((to) => ({ type: MessageType.App, to, logTerm: 2, index: 2, entries: [entry] })),
  );
  t.deepEqual(leader.storage.entries(3, 4, 1), [entry]);
});

test('5.3: an entry is committed once a majority has it, and then applied', (t) => {
  const cases = [
    { size: 1, answers: 0, committed: true },
    { size: 3, answers: 0, committed: false },
    { size: 3, answers: 1, committed: true },
    { size: 4, answers: 1, committed: false },
    { size: 4, answers: 2, committed: true },
    { size: 5, answers: 1, committed: false },
    { size: 5, answers: 2, committed: true },
  ];
  for (const { size, answers, committed } of cases) {
    const leader = singleLeader({ voters: Array.from({ length: size }, (_, at) => at + 1) });
    leader.node.propose(BYTES);
    leader.drain();
    for (let from = 2; from < 2 + answers; from += 1)
      leader.receive({ type: MessageType.AppResp, from, index: 3 });
    t.is(leader.node.status().commit, committed ? 3 : 1, `${answers} of ${size}`);
    t.is(leader.applied.length, committed ? 2 : 0);
  }
});

test('5.3: the leader does not count an entry of its own before it is durable', (t) => {
  const leader = single({ asyncStorageWrites: true, voters: [1] });
  leader.node.campaign();
  for (const message of leader.node.ready().messages)
    for (const vote of message.responses ?? []) leader.node.step(vote);
  const order = leader.node.ready().messages.find(({ to }) => to === LOCAL_APPEND);
  t.is(leader.node.status().commit, 1);
  leader.storage.append(order?.entries ?? []);
  for (const response of order?.responses ?? []) leader.node.step(response);
  t.is(leader.node.status().commit, 2);
});

test('5.3: committing an entry commits all before it, also those of earlier leaders', (t) => {
  const cases = [[], [1], [1, 1], [1, 2, 2]];
  for (const terms of cases) {
    const leader = singleLeader({ terms });
    const last = terms.length + 2;
    leader.receive({ type: MessageType.AppResp, from: 2, index: last });
    t.is(leader.node.status().commit, last);
    t.deepEqual(
      leader.applied.map(({ index }) => index),
      Array.from({ length: last - 1 }, (_, at) => at + 2),
    );
  }
});

test('5.3: followers learn what is committed, and apply it in the order of the log', (t) => {
  const member = single();
  const entries = entriesOf([1, 1]);
  const append = { type: MessageType.App, from: 2, logTerm: 1, index: 1, entries };
  member.receive({ ...append, commit: 2 });
  t.deepEqual(member.applied, entries.slice(0, 1));
  member.receive({ ...append, entries: [], index: 3, commit: 3 });
  t.deepEqual(member.applied, entries);
});

test('5.3: a follower commits no further than it knows its log to be the leader’s', (t) => {
  const member = single({ terms: [1, 1, 1] });
  member.receive({ type: MessageType.App, from: 2, logTerm: 1, index: 2, entries: [], commit: 4 });
  t.is(member.node.status().commit, 2);
});

test('5.3: a follower takes entries only if it has the one before them', (t) => {
  const cases = [
    { logTerm: 1, index: 1, taken: true },
    { logTerm: 1, index: 2, taken: true },
    { logTerm: 2, index: 3, taken: true },
    { logTerm: 1, index: 3, taken: false },
    { logTerm: 3, index: 3, taken: false },
    { logTerm: 3, index: 4, taken: false },
  ];
  for (const { logTerm, index, taken } of cases) {
    const member = single({ terms: [1, 2], hardState: { term: 3, vote: 0, commit: 1 } });
    const [answer] = member.receive({ type: MessageType.App, from: 2, logTerm, index, entries: [] });
    t.is(answer?.reject !== true, taken, `${logTerm}/${index}`);
  }
});

test('5.3: a rejection says where the logs may still match, so that few attempts find it', (t) => {
  const member = single({ terms: [1, 1, 4, 4, 4], hardState: { term: 6, vote: 0, commit: 1 } });
  const ask = (logTerm: number, index: number) => {
    const [answer] = member.receive({ type: MessageType.App, from: 2, logTerm, index, entries: [] });
    return [answer?.rejectHint, answer?.logTerm];
  };
  t.deepEqual(ask(5, 20), [6, 4], 'not longer than the follower’s log');
  t.deepEqual(ask(3, 6), [3, 1], 'not where its terms are higher than the leader’s');
});

test('5.3: entries that conflict with the leader’s give way, the others stay', (t) => {
  const cases = [
    { own: [1, 2, 3], from: 2, logTerm: 1, terms: [1, 4], left: [1, 4] },
    { own: [1, 2, 3], from: 4, logTerm: 2, terms: [4], left: [1, 2, 4] },
    { own: [1, 2, 3], from: 2, logTerm: 1, terms: [1], left: [1, 2, 3] },
    { own: [1, 2, 3], from: 2, logTerm: 1, terms: [1, 2, 3, 4], left: [1, 2, 3, 4] },
    { own: [], from: 2, logTerm: 1, terms: [1], left: [1] },
  ];
  for (const { own, from, logTerm, terms, left } of cases) {
    const member = single({ terms: own, hardState: { term: 4, vote: 0, commit: 1 } });
    member.receive({
      type: MessageType.App,
      from: 2,
      logTerm,
      index: from - 1,
      entries: entriesOf(terms, from),
    });
    t.deepEqual(member.terms(), left);
  }
});

test('5.3: a follower confirms entries only once they are durable', (t) => {
  const member = single({ asyncStorageWrites: true });
  member.node.step({
    type: MessageType.App,
    from: 2,
    to: 1,
    term: 1,
    logTerm: 1,
    index: 1,
    entries: entriesOf([1]),
  });
  const { messages } = member.node.ready();
  t.deepEqual(
    messages.map(({ to }) => to),
    [LOCAL_APPEND],
  );
  t.true(messages[0]?.responses?.some(({ type, to }) => type === MessageType.AppResp && to === 2));
});

test('5.3: a leader brings every log of figure 7 into agreement with its own', (t) => {
  const leaderTerms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const followers = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ];
  for (const terms of followers) {
    const leader = singleLeader({ terms: leaderTerms, hardState: { term: 8, vote: 0, commit: 1 } });
    const follower = single({ id: 2, terms, hardState: { term: 8, vote: 0, commit: 1 } });
    let messages = leader.ticks(1);
    for (let round = 0; round < 10 && messages.length > 0; round += 1) {
      const answers = messages
        .filter(({ to }) => to === 2)
        .flatMap((message) => follower.receive({ ...message, to: 2 }));
      messages = answers.flatMap((message) => leader.receive(message));
    }
    t.deepEqual(follower.terms(), [...leaderTerms, 9]);
    t.is(leader.node.status().progress[1]?.match, leaderTerms.length + 2);
  }
});

test('5.3: a leader never changes entries of its own log', (t) => {
  const leader = singleLeader({ terms: [1, 1] });
  const before = leader.terms();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 4, reject: true, rejectHint: 0 });
  leader.receive({ type: MessageType.AppResp, from: 3, index: 4 });
  leader.node.propose(BYTES);
  leader.drain();
  t.deepEqual(leader.terms(), [...before, 2]);
});

test('5.4.2: a leader counts answers only for entries of its own term', (t) => {
  const leader = singleLeader({ terms: [1, 2], hardState: { term: 2, vote: 0, commit: 1 } });
  leader.receive({ type: MessageType.AppResp, from: 2, index: 3 });
  t.is(leader.node.status().commit, 1, 'a majority has them, but a later leader might not');
  leader.receive({ type: MessageType.AppResp, from: 2, index: 4 });
  t.is(leader.node.status().commit, 4);
});

test('5.5: the same message twice does what it does once', (t) => {
  const member = single();
  const append = {
    type: MessageType.App,
    from: 2,
    logTerm: 1,
    index: 1,
    entries: entriesOf([1, 1]),
    commit: 2,
  };
  member.receive(append);
  const after = [member.terms(), member.applied.length];
  const [answer] = member.receive(append);
  t.is(answer?.reject, undefined);
  t.deepEqual([member.terms(), member.applied.length], after);
});

test('5.5: an older message that comes late takes nothing back', (t) => {
  const member = single();
  const append = { type: MessageType.App, from: 2, logTerm: 1, index: 1 };
  member.receive({ ...append, entries: entriesOf([1, 1, 1]), commit: 2 });
  member.receive({ ...append, entries: entriesOf([1]), commit: 1 });
  t.deepEqual([member.terms(), member.node.status().commit], [[1, 1, 1], 2]);
});

test('5.5: what was lost is sent again, once the follower answers a heartbeat', (t) => {
  const network = new Network({ voters: [1, 2, 3] });
  network.elect(1);
  network.lose = ({ to, type }) => to === 2 && type === MessageType.App;
  network.propose(1, 'a');
  network.settle();
  t.deepEqual(network.applied(2), []);
  network.heal();
  network.tick(1);
  t.deepEqual(network.applied(2), ['a']);
});

test('5.5: a member that restarts goes on from what was durable', (t) => {
  const member = single();
  member.receive({
    type: MessageType.App,
    from: 2,
    term: 4,
    logTerm: 1,
    index: 1,
    entries: entriesOf([4, 4]),
    commit: 2,
  });
  const { hardState } = member.storage.initialState();
  const again = single({ terms: member.terms(), hardState });
  const { role, term, commit, applied, lastIndex } = again.node.status();
  t.deepEqual(
    { role, term, commit, applied, lastIndex },
    { role: 'follower', term: 4, commit: 2, applied: 1, lastIndex: 3 },
  );
  again.drain();
  t.is(again.applied.length, 1, 'what the caller does not name as applied is handed out again');
});

test('7: a follower that needs compacted entries gets the snapshot, then what comes after', (t) => {
  const network = new Network({ voters: [1, 2, 3] });
  network.elect(1);
  network.cut(3);
  for (const data of ['a', 'b', 'c']) {
    network.propose(1, data);
    network.settle();
  }
  const { storage } = network.member(1);
  storage.compact(storage.lastIndex() - 1);
  network.heal();
  network.tick(1, 2);
  const snapshots = network.sent.filter(({ type }) => type === MessageType.Snap);
  t.is(snapshots.length, 1);
  t.is(new TextDecoder().decode(network.member(3).storage.snapshot().data), 'abc');
  network.propose(1, 'd');
  network.settle();
  t.is(network.node(3).status().commit, network.node(1).status().commit);
  t.is(new TextDecoder().decode(network.member(3).storage.snapshot().data), 'abcd');
});

test('7: a follower drops its log for a snapshot that is ahead of it', (t) => {
  const member = single({ terms: [1, 1, 1] });
  const { confState } = member.node.status();
  const snapshot = { meta: { index: 9, term: 1, confState }, data: BYTES };
  const [answer] = member.receive({ type: MessageType.Snap, from: 2, snapshot });
  t.deepEqual([answer?.type, answer?.index, answer?.reject], [MessageType.AppResp, 9, undefined]);
  const { commit, applied, lastIndex } = member.node.status();
  t.deepEqual({ commit, applied, lastIndex }, { commit: 9, applied: 9, lastIndex: 9 });
  t.is(member.storage.firstIndex(), 10);
});

test('7: a follower that has the snapshot’s last entry keeps its log', (t) => {
  const member = single({ terms: [1, 1, 1] });
  const { confState } = member.node.status();
  const snapshot = { meta: { index: 3, term: 1, confState }, data: BYTES };
  const [answer] = member.receive({ type: MessageType.Snap, from: 2, snapshot });
  t.is(answer?.index, 3);
  t.deepEqual([member.terms(), member.node.status().commit], [[1, 1, 1], 3]);
});

test('7: a snapshot of the past is ignored', (t) => {
  const member = single({ terms: [1, 1, 1], hardState: { term: 1, vote: 0, commit: 4 } });
  const { confState } = member.node.status();
  const snapshot = { meta: { index: 3, term: 1, confState }, data: BYTES };
  const [answer] = member.receive({ type: MessageType.Snap, from: 2, snapshot });
  t.is(answer?.index, 4);
  t.is(member.node.status().lastIndex, 4);
});

test('7: a newcomer takes a snapshot that does not know it yet, then the entries that name it', (t) => {
  const network = new Network({ voters: [1, 2], waiting: [3] });
  network.elect(1);
  network.propose(1, 'a');
  network.settle();
  const { storage } = network.member(1);
  const old = storage.snapshot();
  storage.compact(old.meta.index);
  storage.snapshot = () => old;
  const nodeId = 3;
  network.node(1).proposeConfChange({
    transition: 'auto',
    changes: [{ type: ConfChangeType.AddNode, nodeId }],
    context: BYTES,
  });
  network.settle();
  network.tick(1, 3);
  t.deepEqual(network.node(nodeId).status().confState.voters, [1, 2, 3]);
  t.deepEqual(network.applied(nodeId), []);
  network.propose(1, 'b');
  network.settle();
  t.deepEqual(network.applied(nodeId), ['b']);
});

test('8: a new leader begins with an entry of its own', (t) => {
  const leader = singleLeader({ terms: [1] });
  t.deepEqual(leader.terms(), [1, 2]);
  t.is(leader.storage.entries(3, 4, 1)[0]?.data.length, 0);
});

test('8: a read waits until an entry of the leader’s term is committed', (t) => {
  const leader = singleLeader({ terms: [1], hardState: { term: 1, vote: 0, commit: 2 } });
  leader.node.readIndex(BYTES);
  const early = leader.drain();
  t.false(early.some(({ type }) => type === MessageType.Heartbeat));
  const after = leader.receive({ type: MessageType.AppResp, from: 2, index: 3 });
  const beat = after.find(({ type, to }) => type === MessageType.Heartbeat && to === 2);
  leader.receive({ type: MessageType.HeartbeatResp, from: 2, context: beat?.context ?? BYTES });
  t.deepEqual(
    leader.readys.flatMap(({ readStates }) => readStates),
    [{ index: 3, context: BYTES }],
  );
});

test('8: a read is answered only when a majority, after it came in, still follows', (t) => {
  const leader = singleLeader({ voters: [1, 2, 3, 4, 5] });
  for (const from of [2, 3, 4]) leader.receive({ type: MessageType.AppResp, from, index: 2 });
  const answers = (): unknown[] => leader.readys.flatMap(({ readStates }) => readStates);
  const confirm = (from: number, context: Uint8Array): unknown =>
    leader.receive({ type: MessageType.HeartbeatResp, from, context });
  const contextOf = (messages: readonly Message[]): Uint8Array =>
    messages.find(({ type }) => type === MessageType.Heartbeat)?.context ?? BYTES;
  const before = contextOf(leader.ticks(1));
  leader.node.readIndex(BYTES);
  const after = contextOf(leader.drain());
  for (const from of [2, 3, 4]) confirm(from, before);
  t.deepEqual(answers(), [], 'these answer what was asked before the read');
  confirm(2, after);
  confirm(2, after);
  t.deepEqual(answers(), [], 'two of five');
  confirm(3, after);
  t.deepEqual(answers(), [{ index: 2, context: BYTES }]);
});

test('8: a leader that was replaced answers no read', (t) => {
  const leader = singleLeader();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 2 });
  leader.node.readIndex(BYTES);
  const beat = leader.drain().find(({ type }) => type === MessageType.Heartbeat);
  leader.receive({ type: MessageType.HeartbeatResp, from: 2, term: 3, context: beat?.context ?? BYTES });
  t.is(leader.node.status().role, 'follower');
  t.deepEqual(
    leader.readys.flatMap(({ readStates }) => readStates),
    [],
  );
});
