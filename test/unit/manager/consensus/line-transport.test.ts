import test from 'ava';
import { type Message, MessageType } from 'raft-ts';
import { createKeys } from '#manager/consensus/keys.ts';
import { LineTransport } from '#manager/consensus/line-transport.ts';
import { NO_MEMBERSHIP, type Peer } from '#manager/consensus/membership.ts';
import { SnapshotIntake } from '#manager/consensus/snapshot-intake.ts';
import { Snapshots } from '#manager/consensus/snapshots.ts';
import { REMOVED, type TransportEvents } from '#manager/consensus/transport.ts';
import { type SnapshotInfo, snapshotOf } from '#manager/consensus/wire.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { MemoryLines } from './support/memory-lines.ts';
import { SimDisk } from './support/sim-disk.ts';

/** One end of a transport, and what it was told. */
class End {
  readonly received: Message[] = [];
  readonly unreachable: number[] = [];
  readonly ended: number[] = [];
  readonly sent: [number, boolean][] = [];
  removed = 0;
  refuse: Error | undefined;
  readonly peer: Peer;
  readonly snapshots: Snapshots;
  readonly transport: LineTransport;

  constructor(world: World, raftId: number, certificate = `n${raftId}`) {
    this.peer = peer(raftId);
    const disk = new SimDisk();
    disk.makeDirectory('state');
    const keys = createKeys(disk, 'state', world.random);
    this.snapshots = new Snapshots({ directory: 'state/s', keep: 2 }, { ...world, disk, keys });
    const intake = new SnapshotIntake(this.snapshots);
    const events: TransportEvents = {
      admit: () => {
        if (this.refuse !== undefined) throw this.refuse;
      },
      received: (messages) => void this.received.push(...messages),
      unreachable: (id) => void this.unreachable.push(id),
      lineEnded: (id) => void this.ended.push(id),
      snapshotSent: (id, ok) => void this.sent.push([id, ok]),
      openSnapshot: (info) => this.snapshots.read(info),
      receiveSnapshot: (info) =>
        intake.receive(info, (message) => {
          intake.install(info);
          this.received.push(message);
        }),
      removed: () => {
        this.removed += 1;
      },
    };
    this.transport = new LineTransport(this.peer, events, {
      ...world,
      server: world.lines.server(this.peer.raftAddr),
      lines: world.lines.dialer(certificate),
    });
  }

  texts(): string[] {
    return this.received.map((message) => Buffer.from(message.context ?? []).toString());
  }
}

class World {
  readonly clock = new VirtualClock();
  readonly random = seededRandom(3);
  readonly lines = new MemoryLines();
  readonly log = nullLog;

  /** Two members that know each other, connected. */
  async pair(): Promise<[End, End]> {
    const ends: [End, End] = [new End(this, 1), new End(this, 2)];
    for (const end of ends) end.transport.setPeers([peer(1), peer(2)]);
    await this.clock.advance(50);
    return ends;
  }
}

function peer(raftId: number): Peer {
  const nodeId = `n${raftId}` as NodeId;
  return { raftId, nodeId, raftAddr: `m${raftId}:1`, controlAddr: `m${raftId}:2` };
}

function message(to: number, from: number, text: string): Message {
  return { type: MessageType.App, to, from, term: 1, context: Buffer.from(text) };
}

test('messages arrive in the order they were sent, over one line', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  const opened = world.lines.opened;
  const texts = Array.from({ length: 50 }, (_, at) => `t${at}`);
  for (const text of texts) one.transport.send(message(2, 1, text));
  await world.clock.advance(1);
  t.deepEqual(two.texts(), texts);
  t.is(world.lines.opened, opened);
});

test('a message keeps everything it says on its way', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  const entries = [{ type: 0 as const, term: 3, index: 8, data: Buffer.from('data') }];
  const sent = { ...message(2, 1, 'c'), logTerm: 2, index: 7, commit: 6, entries };
  one.transport.send(sent);
  await world.clock.advance(1);
  const [received] = two.received as [Message];
  t.like(received, { type: sent.type, to: 2, from: 1, term: 1, logTerm: 2, index: 7, commit: 6 });
  t.deepEqual(
    received.entries?.map((entry) => ({ ...entry, data: Buffer.from(entry.data).toString() })),
    [{ type: 0, term: 3, index: 8, data: 'data' }],
  );
});

test('a line that breaks is told on both sides, and opened again', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  world.lines.break('m2:1');
  await world.clock.advance(5);
  t.deepEqual(two.ended, [1]);
  t.true(one.unreachable.includes(2));
  await world.clock.advance(50);
  one.transport.send(message(2, 1, 'again'));
  await world.clock.advance(1);
  t.deepEqual(two.texts(), ['again']);
  t.deepEqual(two.ended, [1]);
});

test('what is sent to a member that is away is dropped, and said to be', async (t) => {
  const world = new World();
  const one = new End(world, 1);
  one.transport.setPeers([peer(1), peer(2)]);
  await world.clock.advance(5);
  one.unreachable.length = 0;
  one.transport.send(message(2, 1, 'lost'));
  t.deepEqual(one.unreachable, [2]);
});

test('what a slow member leaves waiting has a bound: the rest is dropped, and said to be', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  for (let count = 0; count < 2_000; count += 1) one.transport.send(message(2, 1, 'x'));
  t.true(one.unreachable.length > 1_000);
  await world.clock.advance(1);
  t.is(two.received.length + one.unreachable.length, 2_000);
});

test('a member that is not known yet says where it is answered', async (t) => {
  const world = new World();
  const [stranger, two] = [new End(world, 7), new End(world, 2)];
  stranger.transport.setPeers([peer(2), peer(7)]);
  await world.clock.advance(50);
  two.transport.send(message(7, 2, 'answer'));
  await world.clock.advance(50);
  two.transport.send(message(7, 2, 'answer'));
  await world.clock.advance(1);
  t.true(stranger.texts().includes('answer'));
});

test('a certificate speaks for its own node only', async (t) => {
  const world = new World();
  const liar = new End(world, 1, 'n9');
  const two = new End(world, 2);
  liar.transport.setPeers([peer(1), peer(2)]);
  await world.clock.advance(50);
  liar.transport.send(message(2, 1, 'lie'));
  await world.clock.advance(50);
  t.deepEqual(two.received, []);
  t.true(liar.unreachable.length > 0);
});

test('a message in the name of another member is passed over', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  one.transport.send(message(2, 3, 'forged'));
  one.transport.send(message(2, 1, 'own'));
  await world.clock.advance(1);
  t.deepEqual(two.texts(), ['own']);
});

test('a member that was removed is told so', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  two.refuse = new ShoalError('FORBIDDEN', REMOVED);
  world.lines.break('m2:1');
  await world.clock.advance(50);
  t.true(one.removed > 0);
  t.is(two.removed, 0);
});

test('a member that is removed while it is connected hears it', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  two.transport.setPeers([peer(2)]);
  two.refuse = new ShoalError('FORBIDDEN', REMOVED);
  one.transport.send(message(2, 1, 'still here'));
  await world.clock.advance(50);
  t.deepEqual(two.received, []);
  t.true(one.removed > 0);
});

test('a stopped transport says nothing more, and leaves no line', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  await one.transport[Symbol.asyncDispose]();
  await world.clock.advance(50);
  t.deepEqual(two.ended, [1]);
  const { unreachable, ended } = one;
  const before = [unreachable.length, ended.length];
  one.transport.send(message(2, 1, 'x'));
  await world.clock.advance(500);
  t.deepEqual([unreachable.length, ended.length], before);
  t.deepEqual(two.received, []);
});

const INFO: SnapshotInfo = {
  index: 100,
  term: 4,
  membership: {
    ...NO_MEMBERSHIP,
    peers: [peer(1)],
    confState: { ...NO_MEMBERSHIP.confState, voters: [1, 2] },
    nextRaftId: 3,
  },
};

function writeSnapshot(end: End, pieces: number): void {
  const writer = end.snapshots.create(INFO);
  for (let piece = 0; piece < pieces; piece += 1) writer.write(Buffer.alloc(1000, piece));
  writer.commit();
}

function announcement(): Message {
  return { type: MessageType.Snap, to: 2, from: 1, term: 4, snapshot: snapshotOf(INFO) };
}

function pieceCount(end: End): number {
  const reader = end.snapshots.read(INFO);
  let count = 0;
  for (let piece = reader.next(); piece !== undefined; piece = reader.next())
    count += piece.every((byte) => byte === count) ? 1 : 0;
  reader.close();
  return count;
}

test('snapshot: it arrives whole, with its membership, and is announced only then', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  writeSnapshot(one, 10);
  one.transport.send(announcement());
  await world.clock.advance(100);
  t.deepEqual(one.sent, [[2, true]]);
  t.is(pieceCount(two), 10);
  t.deepEqual(two.snapshots.latest, INFO);
  t.is(two.received[0]?.type, MessageType.Snap);
});

test('snapshot: a transfer that breaks goes on where it stopped', async (t) => {
  const world = new World();
  const [one, two] = await world.pair();
  writeSnapshot(one, 10);
  // The question where to start, and four pieces.
  world.lines.breakAfter.set('m2:1', 5);
  one.transport.send(announcement());
  await world.clock.advance(500);
  t.deepEqual(one.sent, [[2, true]]);
  t.is(pieceCount(two), 10);
  t.true(world.lines.bytes < 11_000, 'no piece was sent twice');
});

test('snapshot: a member that does not answer is given up in the end', async (t) => {
  const world = new World();
  const one = new End(world, 1);
  one.transport.setPeers([peer(1), peer(2)]);
  writeSnapshot(one, 1);
  one.transport.send(announcement());
  await world.clock.advance(10_000);
  t.deepEqual(one.sent, [[2, false]]);
});
