import test from 'ava';
import fc from 'fast-check';
import { MessageType, type ReadState } from '../src/index.ts';
import { leaseHolds } from '../src/leader-reads.ts';
import { PendingReads } from '../src/reads.ts';
import { Network } from '../testing/index.ts';
import { type Single, single, singleLeader } from './single.ts';

const CONTEXT = Uint8Array.of(1, 2, 3);

function readStates(member: Single): ReadState[] {
  return member.readys.flatMap(({ readStates: states }) => [...states]);
}

/** A leader whose first entry is committed, as its peers would have it. */
function settledLeader(opts: Parameters<typeof singleLeader>[0] = {}): Single {
  const leader = singleLeader(opts);
  for (const from of [2, 3]) leader.receive({ type: MessageType.AppResp, from, index: 2 });
  return leader;
}

/** Time goes by, and these answer every heartbeat. */
function ticksAnswered(leader: Single, count: number, from: readonly number[]): void {
  for (let done = 0; done < count; done += 1) {
    for (const beat of leader
      .ticks(1)
      .filter(({ to, type }) => type === MessageType.Heartbeat && from.includes(to)))
      leader.receive({ type: MessageType.HeartbeatResp, from: beat.to, ...contextOf(beat) });
  }
}

function contextOf({ context }: { readonly context?: Uint8Array }) {
  return context === undefined ? {} : { context };
}

test('reads: a follower asks the leader, and is told which index to apply first', (t) => {
  const network = new Network({ voters: [1, 2, 3] });
  network.elect(1);
  network.propose(1, 'a');
  network.settle();
  network.node(2).readIndex(CONTEXT);
  network.settle();
  const index = network.node(1).status().commit;
  t.deepEqual(network.member(2).readStates, [{ index, context: CONTEXT }]);
});

test('reads: all that come between two Readys share one round of heartbeats', (t) => {
  const leader = settledLeader();
  for (let count = 0; count < 100; count += 1) leader.node.readIndex(Uint8Array.of(count));
  const beats = leader.drain().filter(({ type }) => type === MessageType.Heartbeat);
  t.is(beats.length, 2);
  leader.receive({ type: MessageType.HeartbeatResp, from: 2, ...contextOf(beats[0] ?? {}) });
  t.is(readStates(leader).length, 100);
});

test('reads: when a round is lost the next heartbeat does', (t) => {
  const leader = settledLeader();
  leader.node.readIndex(CONTEXT);
  leader.drain();
  t.deepEqual(readStates(leader), []);
  ticksAnswered(leader, 1, [3]);
  t.is(readStates(leader).length, 1);
});

test('reads: who leads alone answers at once', (t) => {
  const leader = singleLeader({ voters: [1] });
  leader.node.readIndex(CONTEXT);
  leader.drain();
  t.deepEqual(readStates(leader), [{ index: 2, context: CONTEXT }]);
});

test('reads: without a leader, and above the limit, they are refused', (t) => {
  const follower = single();
  t.throws(() => follower.node.readIndex(CONTEXT), { message: 'raft read dropped' });
  const leader = settledLeader({ pendingReadsMax: 3 });
  for (let count = 0; count < 3; count += 1) leader.node.readIndex(CONTEXT);
  t.throws(() => leader.node.readIndex(CONTEXT), { message: 'raft read dropped' });
  leader.receive({ type: MessageType.ReadIndex, from: 2, term: 0, context: CONTEXT });
  leader.drain();
  ticksAnswered(leader, 1, [2]);
  t.is(readStates(leader).length, 3);
});

test('reads: a read that came in after a round began waits for the next one', (t) => {
  const reads = new PendingReads(10);
  reads.add({ from: 1, context: CONTEXT }, 5);
  t.true(reads.roundDue);
  const round = reads.nextRound();
  t.false(reads.roundDue);
  reads.add({ from: 2, context: CONTEXT }, 6);
  t.true(reads.roundDue);
  t.deepEqual(reads.confirm(round), [{ from: 1, context: CONTEXT, index: 5, round: 1 }]);
  t.deepEqual(reads.confirm(round), []);
});

const LEASE = { reads: 'lease', checkQuorum: true } as const;

function answersAtOnce(leader: Single): boolean {
  const before = readStates(leader).length;
  leader.node.readIndex(CONTEXT);
  leader.drain();
  return readStates(leader).length > before;
}

test('lease: reads are answered at once while a quorum answers heartbeats', (t) => {
  const leader = settledLeader(LEASE);
  t.false(answersAtOnce(leader), 'nobody has answered a heartbeat yet');
  ticksAnswered(leader, 1, [2]);
  for (let tick = 0; tick < 25; tick += 1) {
    t.true(answersAtOnce(leader));
    ticksAnswered(leader, 1, [tick % 2 === 0 ? 2 : 3]);
  }
});

test('lease: it ends before a follower could vote for another one, and reads go on safely', (t) => {
  const leader = settledLeader({ ...LEASE, electionTicks: 10, leaseMarginTicks: 2 });
  ticksAnswered(leader, 1, [2]);
  for (let tick = 0; tick <= 6; tick += 1) {
    t.true(answersAtOnce(leader), `${tick} ticks after the heartbeat`);
    leader.ticks(1);
  }
  t.false(answersAtOnce(leader));
  ticksAnswered(leader, 1, [3]);
  t.true(answersAtOnce(leader));
});

test('lease: it counts from when the heartbeat was sent, not from when its answer came', (t) => {
  const leader = settledLeader({ ...LEASE, electionTicks: 10 });
  const beat = leader.ticks(1)[0] ?? {};
  leader.ticks(8);
  leader.receive({ type: MessageType.HeartbeatResp, from: 2, ...contextOf(beat) });
  t.false(answersAtOnce(leader));
});

test('lease: followers keep to the leader as long as the lease can last, whoever asks', (t) => {
  const follower = single({ ...LEASE, electionTicks: 10, random: () => 0.9 });
  follower.ticks(10);
  follower.receive({ type: MessageType.Heartbeat, from: 2 });
  const ask = (): unknown[] =>
    follower.receive({ type: MessageType.PreVote, from: 3, term: 9, index: 9, logTerm: 9 });
  for (let tick = 0; tick < 10; tick += 1) {
    t.deepEqual(ask(), []);
    follower.ticks(1);
  }
  t.is(ask().length, 1);
});

test('lease: after a restart nobody is voted for until an old promise has run out', (t) => {
  const restarted = single({ ...LEASE, electionTicks: 10, random: () => 0.9 });
  const ask = (): unknown[] =>
    restarted.receive({ type: MessageType.Vote, from: 3, term: 9, index: 9, logTerm: 9 });
  t.deepEqual(ask(), []);
  restarted.ticks(9);
  t.deepEqual(ask(), []);
  restarted.ticks(1);
  t.is(ask().length, 1);
});

test('lease: who may hand leadership over has no lease, for the rest of its term', (t) => {
  const leader = settledLeader(LEASE);
  ticksAnswered(leader, 1, [2, 3]);
  t.true(answersAtOnce(leader));
  leader.node.transferLeader(2);
  leader.drain();
  t.false(answersAtOnce(leader));
  leader.node.transferLeader(1);
  ticksAnswered(leader, 1, []);
  t.false(answersAtOnce(leader), 'the message to campaign may still be under way');
});

test('lease: a vote that the leader asked for is given in spite of it', (t) => {
  const network = new Network({ voters: [1, 2, 3], ...LEASE });
  network.elect(1);
  network.tick(1);
  network.node(1).transferLeader(2);
  network.settle();
  t.is(network.node(2).status().role, 'leader');
});

test('lease: while it holds nobody else leads, however late messages come and clocks differ within the margin', (t) => {
  const anyRound = fc.record({
    order: fc.shuffledSubarray([1, 2, 3], { minLength: 3, maxLength: 3 }),
    settles: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
  });
  const anyRounds = fc.array(anyRound, { minLength: 14, maxLength: 14 });
  const anyHistory = fc.record({
    before: anyRounds,
    after: anyRounds,
    electionTicks: fc.integer({ min: 4, max: 8 }),
    draws: fc.array(fc.constantFrom(0, 0.5, 0.9), { minLength: 5, maxLength: 5 }),
  });
  fc.assert(
    fc.property(anyHistory, ({ before, after, electionTicks, draws }) => {
      let drawn = 0;
      const random = (): number => {
        drawn += 1;
        return draws[drawn % draws.length] ?? 0;
      };
      const network = new Network({
        ...LEASE,
        voters: [1, 2, 3],
        electionTicks,
        leaseMarginTicks: 1,
        random,
      });
      network.elect(1);
      for (const { order } of before) for (const id of order) network.tick(id);
      // From now on messages may wait, clocks differ by up to a tick, and the leader is cut off.
      for (const { order, settles } of after) {
        for (const [at, id] of order.entries()) {
          network.node(id).tick();
          if (settles[at]) network.settle();
          else network.carryOut(id);
          t.false(leaseAnswers(network, 1) && [2, 3].some((other) => leads(network, other)));
        }
        if (settles[0] && settles[1]) network.cut(1);
      }
    }),
    { numRuns: 500 },
  );
});

function leads(network: Network, id: number): boolean {
  return network.node(id).status().role === 'leader';
}

/** Would it answer a read without asking anybody? */
function leaseAnswers(network: Network, id: number): boolean {
  const { raft } = network.member(id);
  return raft.role === 'leader' && leaseHolds(raft);
}
