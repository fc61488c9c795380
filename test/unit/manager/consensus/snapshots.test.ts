import test from 'ava';
import { createKeys, keyRing } from '#manager/consensus/keys.ts';
import { SnapshotIntake } from '#manager/consensus/snapshot-intake.ts';
import { Snapshots, snapshotPaths } from '#manager/consensus/snapshots.ts';
import type { SnapshotInfo } from '#manager/consensus/wire.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { SimDisk, withCode } from './support/sim-disk.ts';

function setup(keep = 2) {
  const disk = new SimDisk();
  const random = seededRandom(5);
  disk.makeDirectory('state');
  const keys = createKeys(disk, 'state', random);
  const modules = { disk, keys, random };
  const open = (): Snapshots => new Snapshots({ directory: 'state/snapshots', keep }, modules);
  return { disk, random, modules, open };
}

function info(index: number): SnapshotInfo {
  const peer = { raftId: 3, nodeId: 'n3' as NodeId, raftAddr: 'a:1', controlAddr: 'a:2' };
  const confState = {
    voters: [3],
    learners: [4],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  return { index, term: 2, membership: { peers: [peer], confState, nextRaftId: 9 } };
}

function write(snapshots: Snapshots, index: number, pieces: readonly string[]): void {
  const writer = snapshots.create(info(index));
  for (const piece of pieces) writer.write(Buffer.from(piece));
  writer.commit();
}

function readAll(snapshots: Snapshots, index: number): string {
  const reader = snapshots.read(info(index));
  let text = '';
  for (let piece = reader.next(); piece !== undefined; piece = reader.next())
    text += Buffer.from(piece).toString();
  reader.close();
  return text;
}

test('a snapshot is read back whole, with its place in the log and the members there', (t) => {
  const { open } = setup();
  write(open(), 100, ['one ', 'two ', 'three']);
  const snapshots = open();
  t.deepEqual(snapshots.latest, info(100));
  t.is(readAll(snapshots, 100), 'one two three');
});

test('a large piece is kept in several records', (t) => {
  const { open } = setup();
  const large = 'x'.repeat(3_500_000);
  write(open(), 100, [large, 'end']);
  t.is(readAll(open(), 100), `${large}end`);
});

test('reading can start anywhere', (t) => {
  const { open } = setup();
  const text = 'abcdefghij';
  write(open(), 100, ['abc', 'defg', 'hij']);
  for (let from = 0; from <= text.length; from += 1) {
    const reader = open().read(info(100));
    let read = Buffer.from(reader.skip(from)).toString();
    for (let piece = reader.next(); piece !== undefined; piece = reader.next())
      read += Buffer.from(piece).toString();
    t.is(read, text.slice(from));
  }
});

test('only as many as asked are kept, the newest first', (t) => {
  const { disk, open } = setup(2);
  const snapshots = open();
  for (const index of [100, 200, 1000]) write(snapshots, index, ['data']);
  const kept = snapshotPaths(disk, 'state/snapshots');
  t.is(kept.length, 2);
  t.regex(kept[0] as string, /\/0*200-/);
  t.regex(kept[1] as string, /\/0*1000-/);
});

test('a snapshot that was not finished leaves nothing', (t) => {
  const { disk, open } = setup();
  const writer = open().create(info(100));
  writer.write(Buffer.from('half'));
  t.is(open().latest, undefined);
  t.deepEqual(disk.list('state/snapshots'), []);
  const second = open().create(info(100));
  second.abort();
  second.abort();
  t.deepEqual(disk.list('state/snapshots'), []);
});

test('a full disk ends the snapshot and leaves nothing of it', (t) => {
  const { disk, open } = setup();
  const snapshots = open();
  write(snapshots, 100, ['old']);
  const writer = snapshots.create(info(200));
  disk.failure = withCode('ENOSPC', 'no space left');
  t.throws(() => writer.write(Buffer.from('x')), { code: 'ENOSPC' });
  disk.failure = undefined;
  t.throws(() => writer.commit(), { code: 'CANCELLED' });
  t.is(open().latest?.index, 100);
  t.is(disk.list('state/snapshots').length, 1);
});

test('a snapshot that is sealed is put in place on a disk that is full by then, at once or when that is tried again', (t) => {
  const { disk, open } = setup();
  const snapshots = open();
  const writer = snapshots.create(info(200));
  writer.write(Buffer.from('all'));
  writer.seal();
  disk.roomBytes = 0;
  disk.renameFailure = withCode('ENOSPC', 'no space left');
  t.throws(() => writer.commit(), { code: 'ENOSPC' });
  disk.renameFailure = undefined;
  writer.commit();
  t.is(readAll(open(), 200), 'all');
});

test('intake: a snapshot whose end finds no room is refused when it is all there, not when Raft has taken it', (t) => {
  const { disk, open } = setup();
  const intake = new SnapshotIntake(open());
  const receive = () => intake.receive(info(200), () => undefined);
  const message = { type: 7, from: 2, to: 3, term: 2 } as const;
  const first = receive();
  first.write(Buffer.from('data'));
  disk.failure = withCode('ENOSPC', 'no space left');
  t.throws(() => first.finish(message), { code: 'ENOSPC' });
  disk.failure = undefined;
  const second = receive();
  t.is(second.offset, 0);
  second.write(Buffer.from('data'));
  second.finish(message);
  disk.failure = withCode('ENOSPC', 'no space left');
  intake.install(info(200));
  t.is(readAll(open(), 200), 'data');
});

test('intake: of two that send the same snapshot at once one is heard out, and its snapshot stays', (t) => {
  const { open } = setup();
  const intake = new SnapshotIntake(open());
  const message = { type: 7, from: 2, to: 3, term: 2 } as const;
  const receive = () => intake.receive(info(200), () => undefined);
  const one = receive();
  one.write(Buffer.from('data'));
  const other = receive();
  t.is(other.offset, 4);
  one.finish(message);
  t.throws(() => other.finish(message), { code: 'CANCELLED' });
  intake.install(info(200));
  t.is(readAll(open(), 200), 'data');
});

test('crash: a snapshot is there whole once commit returned, and never in part', (t) => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const { disk, open } = setup();
    const random = seededRandom(seed);
    const snapshots = open();
    write(snapshots, 100, ['first']);
    const writer = snapshots.create(info(200));
    for (let piece = 0; piece < 5; piece += 1) writer.write(Buffer.alloc(700, piece));
    const committed = random.next() < 0.5;
    if (committed) writer.commit();
    disk.crash(random);
    const after = open();
    t.is(after.latest?.index, committed ? 200 : 100, `seed ${seed}`);
    t.is(readAll(after, committed ? 200 : 100).length, committed ? 3500 : 5);
  }
});

test('damage: a flipped bit anywhere in what was written is noticed, and says what to do', (t) => {
  const { disk, open } = setup();
  write(open(), 100, ['some data', 'more data']);
  const path = `state/snapshots/${disk.list('state/snapshots')[0]}`;
  let length = 0;
  disk.edit(path, (bytes) => {
    length = bytes.length;
    return bytes;
  });
  const flip = (at: number) =>
    disk.edit(path, (bytes) => {
      bytes[at] = (bytes[at] as number) ^ 1;
      return bytes;
    });
  const writtenAt = [...Array(52).keys(), ...Array.from({ length: length - 4096 }, (_, at) => 4096 + at)];
  const padding = (at: number): boolean => {
    let before: Uint8Array = new Uint8Array();
    disk.edit(path, (bytes) => {
      before = bytes;
      return bytes;
    });
    return before.subarray(at, at + 8 - (at % 8)).every((byte) => byte === 0);
  };
  for (const at of writtenAt) {
    if (padding(at)) continue;
    flip(at);
    t.throws(() => readAll(open(), 100), { code: 'FAILED_PRECONDITION' }, `byte ${at}`);
    flip(at);
  }
  t.is(readAll(open(), 100), 'some datamore data');
});

test('damage: a snapshot that was cut short is noticed', (t) => {
  const { disk, open } = setup();
  write(open(), 100, ['some data', 'more data']);
  const path = `state/snapshots/${disk.list('state/snapshots')[0]}`;
  disk.edit(path, (bytes) => bytes.slice(0, -48));
  t.throws(() => readAll(open(), 100), { message: /damaged at byte .*docker node demote/ });
});

test('key: a snapshot under another key is refused', (t) => {
  const { modules, open } = setup();
  write(open(), 100, ['data']);
  const other = keyRing([{ id: 1, secret: modules.random.bytes(32) }]);
  t.throws(() => new Snapshots({ directory: 'state/snapshots', keep: 2 }, { ...modules, keys: other }), {
    message: /not encrypted with the key/,
  });
});
