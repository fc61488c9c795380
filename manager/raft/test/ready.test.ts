import test from 'ava';
import {
  ConfigError,
  InvariantError,
  LOCAL_APPEND,
  LOCAL_APPLY,
  MemoryStorage,
  type Message,
  MessageType,
  type TraceEvent,
  validate,
} from '../src/index.ts';
import { entriesOf, single, singleLeader } from './single.ts';

const BYTES = Uint8Array.of(1);

test('ready: there is none when nothing happened, and none again once it is carried out', (t) => {
  const member = single();
  t.false(member.node.hasReady());
  member.node.campaign();
  t.true(member.node.hasReady());
  member.drain();
  t.false(member.node.hasReady());
});

test('ready: it is carried out before the next one', (t) => {
  const member = single();
  member.node.campaign();
  member.node.ready();
  t.throws(() => member.node.ready(), { instanceOf: InvariantError });
  member.node.advance();
  t.throws(() => member.node.advance(), { instanceOf: InvariantError });
});

test('ready: only what a restart could not do without must be synced', (t) => {
  const member = single();
  member.receive({ type: MessageType.App, from: 2, term: 2, logTerm: 1, index: 1, entries: entriesOf([2]) });
  member.receive({ type: MessageType.App, from: 2, term: 2, logTerm: 2, index: 2, entries: [], commit: 2 });
  t.deepEqual(
    member.readys.map(({ mustSync }) => mustSync),
    [true, false],
  );
});

test('ready: what was handed out does not change afterwards', (t) => {
  const member = single({ hardState: { term: 3, vote: 0, commit: 1 } });
  const append = { type: MessageType.App, from: 2, to: 1, term: 3, logTerm: 1, index: 1 };
  member.node.step({ ...append, entries: entriesOf([2, 2, 2]) });
  const ready = member.node.ready();
  const before = structuredClone(ready);
  member.node.step({ ...append, entries: entriesOf([3]) });
  t.deepEqual(ready, before);
});

test('ready: states are told only when they are new', (t) => {
  const leader = singleLeader();
  leader.node.propose(BYTES);
  const { hardState, softState, entries } = leader.node.ready();
  t.deepEqual([hardState, softState, entries.length], [undefined, undefined, 1]);
});

/** The answers of storage so far, and the messages for others. */
function split(messages: readonly Message[]): { writes: Message[]; applies: Message[]; others: Message[] } {
  return {
    writes: messages.filter(({ to }) => to === LOCAL_APPEND),
    applies: messages.filter(({ to }) => to === LOCAL_APPLY),
    others: messages.filter(({ to }) => to < LOCAL_APPLY),
  };
}

test('async: Readys go on while writes are under way, and entries go out before they are durable', (t) => {
  const leader = single({ voters: [1, 2], asyncStorageWrites: true });
  leader.node.campaign();
  for (const { responses } of split(leader.node.ready().messages).writes)
    for (const response of responses ?? []) leader.node.step(response);
  leader.node.step({ type: MessageType.VoteResp, from: 2, to: 1, term: 2 });
  const first = split(leader.node.ready().messages);
  leader.node.step({ type: MessageType.AppResp, from: 2, to: 1, term: 2, index: 2 });
  leader.node.propose(BYTES);
  const second = split(leader.node.ready().messages);
  t.deepEqual(
    [first, second].map(({ others }) => others.map(({ type }) => type)),
    [[MessageType.App], [MessageType.App]],
  );
  t.deepEqual(
    [first, second].map(({ writes }) => writes[0]?.entries?.map(({ index }) => index)),
    [[2], [3]],
  );
  t.is(leader.node.status().commit, 1, 'two members: the leader’s own write counts');
  for (const { writes } of [first, second]) {
    leader.storage.append(writes[0]?.entries ?? []);
    for (const response of writes[0]?.responses ?? []) leader.node.step(response);
  }
  t.is(leader.node.status().commit, 2);
});

test('async: who is elected by others leads only once its own vote is durable, or it might be elected in that term twice', (t) => {
  const candidate = single({ asyncStorageWrites: true });
  candidate.node.campaign();
  const { writes } = split(candidate.node.ready().messages);
  for (const from of [2, 3]) candidate.node.step({ type: MessageType.VoteResp, from, to: 1, term: 2 });
  t.is(candidate.node.status().role, 'candidate');
  for (const response of writes[0]?.responses ?? []) candidate.node.step(response);
  t.is(candidate.node.status().role, 'leader');
});

test('async: committed entries are handed out only once they are durable here', (t) => {
  const member = single({ asyncStorageWrites: true });
  const append = { type: MessageType.App, from: 2, to: 1, term: 1, logTerm: 1, index: 1, commit: 2 };
  member.node.step({ ...append, entries: entriesOf([1]) });
  const { writes, applies } = split(member.node.ready().messages);
  t.deepEqual(applies, []);
  member.storage.append(writes[0]?.entries ?? []);
  for (const response of writes[0]?.responses ?? []) if (response.to === 1) member.node.step(response);
  t.deepEqual(split(member.node.ready().messages).applies[0]?.entries, entriesOf([1]));
});

/** A follower whose storage writes only when the test says so. */
function slowFollower() {
  const member = single({ asyncStorageWrites: true });
  const writes: Message[] = [];
  const handedOut: number[] = [];
  return {
    handedOut,
    receive(message: Partial<Message>, terms: readonly number[] = [], commit = 1): void {
      const append = { type: MessageType.App, from: 2, to: 1, term: 1, logTerm: 1, index: 1, commit };
      member.node.step({ ...append, entries: entriesOf(terms), ...message });
      this.work();
    },
    work(): void {
      if (!member.node.hasReady()) return;
      const parts = split(member.node.ready().messages);
      writes.push(...parts.writes);
      handedOut.push(...parts.applies.flatMap(({ entries = [] }) => entries.map(({ term }) => term)));
    },
    writeOne(): void {
      const write = writes.shift();
      member.storage.append(write?.entries ?? []);
      for (const response of write?.responses ?? []) if (response.to === 1) member.node.step(response);
      this.work();
    },
  };
}

test('async: the report of a write counts for nothing when its entries were overwritten since', (t) => {
  const follower = slowFollower();
  follower.receive({ term: 2 }, [2, 2]);
  follower.receive({ type: MessageType.Vote, from: 3, term: 3, index: 9, logTerm: 9 });
  follower.receive({ term: 3, from: 3 }, [3, 3], 3);
  follower.writeOne();
  follower.writeOne();
  t.deepEqual(follower.handedOut, [], 'the entries of term 3 are not durable yet');
  follower.writeOne();
  t.deepEqual(follower.handedOut, [3, 3]);
});

test('async: the report of a write of an earlier term counts for nothing, even if its entries are back', (t) => {
  const follower = slowFollower();
  follower.receive({ term: 2 }, [2]);
  follower.receive({ term: 3, from: 3 }, [3]);
  follower.receive({ term: 4 }, [2], 2);
  follower.writeOne();
  t.deepEqual(follower.handedOut, [], 'a write that is still to come takes them away again');
  follower.writeOne();
  t.deepEqual(follower.handedOut, []);
  follower.writeOne();
  t.deepEqual(follower.handedOut, [2]);
});

test('step: what only storage may say is not taken from a peer, nor from storage what only peers say', (t) => {
  const kinds: TraceEvent['kind'][] = [];
  const member = single({ trace: ({ kind }) => kinds.push(kind) });
  member.receive({ type: MessageType.App, from: 2, logTerm: 1, index: 1, entries: entriesOf([1]) });
  kinds.length = 0;
  member.receive({ type: MessageType.StorageAppendResp, from: 2, index: 2, logTerm: 1 });
  member.receive({ type: MessageType.Vote, from: LOCAL_APPEND, index: 2, logTerm: 1 });
  member.receive({ type: MessageType.AppResp, from: 77, index: 2 });
  t.deepEqual(kinds, ['message-unexpected', 'message-unexpected', 'message-from-stranger']);
});

test('config: values that make no sense, or not together, are refused', (t) => {
  const good = {
    id: 1,
    electionTicks: 10,
    heartbeatTicks: 1,
    storage: new MemoryStorage(),
    messageBytesMax: 100,
    inflightMessagesMax: 1,
    random: () => 0,
  };
  t.is(validate(good).committedBytesMax, 100);
  const bad = [
    { id: 0 },
    { id: LOCAL_APPEND },
    { heartbeatTicks: 0 },
    { electionTicks: 1 },
    { messageBytesMax: -1 },
    { inflightMessagesMax: 0 },
    { inflightBytesMax: 99 },
    { committedBytesMax: 0 },
    { uncommittedBytesMax: 0 },
    { pendingReadsMax: 0 },
    { reads: 'lease' as const },
    { reads: 'lease' as const, checkQuorum: true, leaseMarginTicks: 9 },
  ];
  for (const change of bad)
    t.throws(() => validate({ ...good, ...change }), { instanceOf: ConfigError }, JSON.stringify(change));
});

test('status: it names what a member knows', (t) => {
  const leader = singleLeader();
  t.like(leader.node.status(), {
    id: 1,
    role: 'leader',
    term: 2,
    vote: 1,
    leader: 1,
    commit: 1,
    applied: 1,
    lastIndex: 2,
    leadTransferee: 0,
  });
  t.deepEqual(
    leader.node.status().progress.map(({ id, state, match }) => ({ id, state, match })),
    [
      { id: 1, state: 'replicate', match: 2 },
      { id: 2, state: 'probe', match: 0 },
      { id: 3, state: 'probe', match: 0 },
    ],
  );
  t.deepEqual(single().node.status().progress, []);
});
