import test from 'ava';
import fc from 'fast-check';
import { type Message, MessageType } from '../src/index.ts';
import { Inflights } from '../src/inflights.ts';
import { Network } from '../testing/index.ts';
import { type Single, single, singleLeader } from './single.ts';

const BYTES = new Uint8Array(100);

/** A leader of two whose peer is up to date. */
function pairLeader(opts: Parameters<typeof singleLeader>[0] = {}): Single {
  const leader = singleLeader({ voters: [1, 2], ...opts });
  leader.receive({ type: MessageType.AppResp, from: 2, index: 2 });
  return leader;
}

function appends(messages: readonly Message[]): number[][] {
  return messages
    .filter(({ type, to }) => type === MessageType.App && to === 2)
    .map(({ entries = [] }) => entries.map(({ index }) => index));
}

test('flow: entries are sent ahead of the answers, up to inflightMessagesMax messages', (t) => {
  const leader = pairLeader({ inflightMessagesMax: 3 });
  for (let count = 0; count < 5; count += 1) leader.node.propose(BYTES);
  t.deepEqual(appends(leader.drain()), [[3], [4], [5]]);
  t.deepEqual(leader.node.status().progress[1]?.inflightFull, true);
  const answered = appends(leader.receive({ type: MessageType.AppResp, from: 2, index: 3 }));
  t.deepEqual(answered.flat(), [6, 7], 'one place is free: what waits goes together');
});

test('flow: entries under way are limited by their size, too', (t) => {
  const leader = pairLeader({ messageBytesMax: 150, inflightBytesMax: 250 });
  for (let count = 0; count < 5; count += 1) leader.node.propose(BYTES);
  t.deepEqual(appends(leader.drain()), [[3], [4], [5]], 'the limit may be passed by a single message');
  t.is(leader.node.status().progress[1]?.inflightBytes, 300);
  t.deepEqual(appends(leader.receive({ type: MessageType.AppResp, from: 2, index: 4 })).flat(), [6, 7]);
});

test('flow: a full peer is asked once more after each heartbeat, without entries', (t) => {
  const leader = pairLeader({ inflightMessagesMax: 1 });
  leader.node.propose(BYTES);
  leader.node.propose(BYTES);
  t.deepEqual(appends(leader.drain()), [[3]]);
  const [beat] = leader.ticks(1);
  const context = beat?.context ?? BYTES;
  const answer = (): number[][] =>
    appends(leader.receive({ type: MessageType.HeartbeatResp, from: 2, context }));
  t.deepEqual(answer(), [[]]);
  t.true(leader.node.status().progress[1]?.paused);
});

test('flow: of entries that take long to read two messages are under way, and all of the others', (t) => {
  const leader = pairLeader({ messageBytesMax: 150 });
  Object.assign(leader.storage, { firstAtHand: () => 9 });
  for (let count = 0; count < 8; count += 1) leader.node.propose(BYTES);
  t.deepEqual(appends(leader.drain()), [[3], [4]], 'however many proposals there are');
  const acknowledge = (index: number): number[][] =>
    appends(leader.receive({ type: MessageType.AppResp, from: 2, index }));
  t.deepEqual(acknowledge(3), [[5]]);
  t.deepEqual(acknowledge(5), [[6], [7]]);
  t.deepEqual(acknowledge(6), [[8], [9], [10]]);
});

test('flow: a message carries entries up to messageBytesMax, but at least one', (t) => {
  const leader = pairLeader({ messageBytesMax: 240, inflightMessagesMax: 1 });
  leader.node.proposeAll([BYTES]);
  leader.node.proposeAll([BYTES, BYTES, BYTES, new Uint8Array(1000), BYTES]);
  t.deepEqual(appends(leader.drain()), [[3]]);
  const sent = [3, 5, 6, 7].flatMap((index) =>
    appends(leader.receive({ type: MessageType.AppResp, from: 2, index })),
  );
  t.deepEqual(sent, [[4, 5], [6], [7], [8]]);
});

test('flow: proposals made together go in one message', (t) => {
  const leader = pairLeader();
  t.deepEqual(leader.node.proposeAll([BYTES, BYTES, BYTES]), { index: 5, term: 2 });
  t.deepEqual(appends(leader.drain()), [[3, 4, 5]]);
});

test('flow: a peer of which nothing is known gets one message until it answers', (t) => {
  const leader = singleLeader({ voters: [1, 2] });
  leader.node.propose(BYTES);
  leader.node.propose(BYTES);
  t.deepEqual(appends(leader.drain()), []);
  t.deepEqual(appends(leader.receive({ type: MessageType.AppResp, from: 2, index: 2 })), [[3, 4]]);
});

test('flow: a peer that is reported unreachable is probed, from where it is known to match', (t) => {
  const leader = pairLeader();
  leader.node.propose(BYTES);
  leader.drain();
  t.is(leader.node.status().progress[1]?.next, 4);
  leader.node.reportUnreachable(2);
  const { state, next } = leader.node.status().progress[1] ?? {};
  t.deepEqual({ state, next }, { state: 'probe', next: 3 });
  leader.node.reportUnreachable(9);
});

test('flow: while a peer waits for a snapshot it gets nothing else, until that is reported', (t) => {
  const leader = singleLeader({ voters: [1, 2], terms: [1, 1] });
  leader.storage.createSnapshot(3, leader.node.status().confState, BYTES);
  leader.storage.compact(3);
  const [snapshot] = leader.receive({
    type: MessageType.AppResp,
    from: 2,
    index: 3,
    reject: true,
    rejectHint: 0,
  });
  t.deepEqual([snapshot?.type, snapshot?.snapshot?.meta.index], [MessageType.Snap, 3]);
  leader.node.propose(BYTES);
  t.deepEqual(appends(leader.drain()), []);
  leader.node.reportSnapshot(2, true);
  t.is(leader.node.status().progress[1]?.next, 4);
  const context = leader.ticks(1)[0]?.context ?? BYTES;
  t.deepEqual(appends(leader.receive({ type: MessageType.HeartbeatResp, from: 2, context })), [[4, 5]]);
});

test('flow: a snapshot that was not delivered is sent again after the next heartbeat', (t) => {
  const leader = singleLeader({ voters: [1, 2], terms: [1, 1] });
  leader.storage.createSnapshot(3, leader.node.status().confState, BYTES);
  leader.storage.compact(3);
  leader.receive({ type: MessageType.AppResp, from: 2, index: 3, reject: true, rejectHint: 0 });
  leader.node.reportSnapshot(2, false);
  t.deepEqual(leader.drain(), []);
  const context = leader.ticks(1)[0]?.context ?? BYTES;
  const [again] = leader.receive({ type: MessageType.HeartbeatResp, from: 2, context });
  t.is(again?.type, MessageType.Snap);
});

test('flow: a leader without a quorum takes proposals up to uncommittedBytesMax, and then none', (t) => {
  const leader = pairLeader({ uncommittedBytesMax: 250 });
  leader.node.propose(BYTES);
  leader.node.propose(BYTES);
  t.throws(() => leader.node.propose(BYTES), { message: 'raft proposal dropped' });
  leader.node.propose(new Uint8Array());
  leader.drain();
  leader.receive({ type: MessageType.AppResp, from: 2, index: 4 });
  leader.node.propose(BYTES);
  t.is(leader.node.status().lastIndex, 6);
});

test('flow: one proposal above uncommittedBytesMax is taken when there is no other', (t) => {
  const leader = pairLeader({ uncommittedBytesMax: 250 });
  leader.node.propose(new Uint8Array(1000));
  t.throws(() => leader.node.propose(BYTES), { message: 'raft proposal dropped' });
});

test('flow: committed entries are handed out up to committedBytesMax at a time', (t) => {
  const leader = pairLeader({ committedBytesMax: 240 });
  leader.node.proposeAll([BYTES, BYTES, BYTES, BYTES, BYTES]);
  leader.drain();
  leader.readys.length = 0;
  leader.receive({ type: MessageType.AppResp, from: 2, index: 7 });
  const batches = leader.readys.map(({ committedEntries }) => committedEntries.map(({ index }) => index));
  t.deepEqual(batches, [[3, 4], [5, 6], [7]]);
});

test('flow: a follower drops proposals if it must not hand them on', (t) => {
  const open = single();
  open.receive({ type: MessageType.Heartbeat, from: 2 });
  t.is(open.node.propose(BYTES), undefined);
  t.deepEqual(
    open.drain().map(({ type, to, from }) => ({ type, to, from })),
    [{ type: MessageType.Prop, to: 2, from: 1 }],
  );
  const closed = single({ disableProposalForwarding: true });
  closed.receive({ type: MessageType.Heartbeat, from: 2 });
  t.throws(() => closed.node.propose(BYTES), { message: 'raft proposal dropped' });
  t.throws(() => single().node.propose(BYTES), { message: 'raft proposal dropped' });
});

test('flow: a slow follower does not hold up the others', (t) => {
  const network = new Network({ voters: [1, 2, 3], inflightMessagesMax: 2, messageBytesMax: 200 });
  network.elect(1);
  network.lose = ({ from, to }) => from === 3 || to === 3;
  for (let count = 0; count < 50; count += 1) network.propose(1, `entry ${count}`);
  network.settle();
  t.is(network.applied(2).length, 50);
  network.heal();
  network.tick(1, 2);
  t.is(network.applied(3).length, 50);
});

test('inflights: whatever is added and freed, they know how many and how much is under way', (t) => {
  const anyStep = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), size: fc.nat({ max: 50 }) }),
    fc.record({ kind: fc.constant('free' as const), size: fc.nat({ max: 6 }) }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.nat({ max: 120 }),
      fc.array(anyStep),
      (countMax, bytesMax, steps) => {
        const inflights = new Inflights(countMax, bytesMax);
        let model: { index: number; size: number }[] = [];
        let index = 0;
        for (const { kind, size } of steps) {
          if (kind === 'add' && !inflights.full) {
            index += 1;
            inflights.add(index, size);
            model.push({ index, size });
          } else if (kind === 'free') {
            const through = (model[0]?.index ?? 0) + size - 1;
            inflights.freeThrough(through);
            model = model.filter((one) => one.index > through);
          }
          const bytes = model.reduce((sum, one) => sum + one.size, 0);
          t.deepEqual([inflights.count, inflights.bytes], [model.length, bytes]);
          t.is(inflights.full, model.length === countMax || (bytesMax > 0 && bytes >= bytesMax));
        }
      },
    ),
  );
});
