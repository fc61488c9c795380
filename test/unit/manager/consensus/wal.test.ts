import test from 'ava';
import { keyRing } from '#manager/consensus/keys.ts';
import { withCode } from './support/sim-disk.ts';
import { entries, entry, IDENTITY, said, texts, WalHarness } from './support/wal.ts';

const HARD_STATE = { term: 1, vote: 7, commit: 2 };

test('log: what was appended is read back, with who wrote it and the last hard state', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 3), { term: 1, vote: 0, commit: 0 });
  log.append(entries(4, 5), HARD_STATE);
  const content = log.reopen();
  t.deepEqual(said(content), texts(1, 5));
  t.deepEqual(content.hardState, HARD_STATE);
  t.deepEqual(content.identity, IDENTITY);
});

test('log: one call is one sync, however many entries it brings', (t) => {
  const log = new WalHarness({ segmentBytes: 1024 * 1024 });
  log.append(entries(1, 1));
  const before = log.disk.syncs;
  log.append(entries(2, 501), HARD_STATE);
  t.is(log.disk.syncs - before, 1);
});

test('log: an entry replaces the one of its index and everything after it', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 5, 1));
  log.append(entries(3, 4, 2));
  t.deepEqual(said(log.reopen()), [...texts(1, 2, 1), ...texts(3, 4, 2)]);
});

test('log: it goes on behind a snapshot after it was emptied for one', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 5));
  log.wal.append({ entries: entries(101, 102, 3), restart: { index: 100, term: 3 } });
  const content = log.reopen();
  t.deepEqual(content.restart, { index: 100, term: 3 });
  t.deepEqual(said(content), texts(101, 102, 3));
});

test('log: a gap between entries is refused', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 2));
  log.append(entries(4, 4));
  t.throws(() => log.reopen(), { message: /holds entry 4 where entry 3 belongs/ });
});

test('log: entries larger than a segment are kept like any other', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  log.append([entry(1, 1, 1_500_000), entry(2, 1, 1_500_000), entry(3)]);
  log.append([entry(4)]);
  t.deepEqual(said(log.reopen()), texts(1, 4));
});

test('log: it fills segment after segment, and each restart goes on with a new one', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  for (let index = 1; index <= 20; index += 1) {
    log.append([entry(index)], { term: 1, vote: 7, commit: index });
    if (index % 7 === 0) log.reopen();
  }
  t.deepEqual(said(log.reopen()), texts(1, 20));
  t.is(log.content.hardState.commit, 20);
  t.true(log.segments().length > 6);
});

test('crash: what was appended survives any loss of what was not synced', (t) => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const log = new WalHarness({ segmentBytes: 32 * 1024, seed });
    let index = 0;
    for (let round = 0; round < 6; round += 1) {
      for (let step = 0; step < 5; step += 1) {
        const from = index + 1;
        index += 1 + Math.floor(log.random.next() * 12);
        log.append(entries(from, index, 1, 700), { term: 1, vote: 7, commit: index });
        if (log.random.next() < 0.3) log.wal.prepare();
      }
      t.deepEqual(said(log.crash()), texts(1, index), `seed ${seed}`);
      t.is(log.content.hardState.commit, index, `seed ${seed}`);
    }
  }
});

test('torn end: cut at any byte, the last write is gone as a whole and all before it is there', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  log.append(entries(1, 3), HARD_STATE);
  const whole = fileAfter(log, () => log.append(entries(4, 9), { ...HARD_STATE, commit: 9 }));
  const from = firstDifference(whole.before, whole.after);
  for (let cut = from; cut <= lastDifference(whole.before, whole.after); cut += 1) {
    log.disk.edit(whole.path, () =>
      Buffer.concat([whole.after.subarray(0, cut), whole.before.subarray(cut)]),
    );
    const content = log.reopen();
    t.deepEqual(said(content), texts(1, 3), `cut at ${cut}`);
    t.deepEqual(content.hardState, HARD_STATE, `cut at ${cut}`);
  }
});

test('torn end: the log goes on after it was repaired, and the repair holds', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  log.append(entries(1, 3));
  const whole = fileAfter(log, () => log.append(entries(4, 9)));
  log.disk.edit(whole.path, (bytes) => bytes.fill(0, lastDifference(whole.before, whole.after) - 10));
  t.deepEqual(said(log.reopen()), texts(1, 3));
  log.append(entries(4, 5, 2));
  t.deepEqual(said(log.reopen()), [...texts(1, 3), ...texts(4, 5, 2)]);
});

test('torn middle: a flipped bit before the last write is refused, with what to do', (t) => {
  const log = new WalHarness({ segmentBytes: 64 * 1024 });
  log.append(entries(1, 2));
  const middle = fileAfter(log, () => log.append(entries(3, 4)));
  log.append(entries(5, 6));
  const to = lastDifference(middle.before, middle.after);
  for (let at = firstDifference(middle.before, middle.after); at <= to; at += 1) {
    flip(log, middle.path, at);
    t.throws(() => log.reopen(), {
      code: 'FAILED_PRECONDITION',
      message: /is damaged at byte .*Nothing was changed\. .*docker node demote/,
    });
    flip(log, middle.path, at);
  }
  t.deepEqual(said(log.reopen()), texts(1, 6));
});

test('torn middle: damage at the end of a segment is refused when another follows', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  log.append(entries(1, 2));
  const last = fileAfter(log, () => log.append(entries(3, 4)));
  log.reopen();
  log.append(entries(5, 6));
  flip(log, last.path, firstDifference(last.before, last.after) + 60);
  t.throws(() => log.reopen(), { message: /damaged at byte .*the log goes on after it/ });
});

test('segments: one that is missing shows: the entries that are left do not start where they should', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  for (let index = 1; index <= 9; index += 1) log.append([entry(index)]);
  const [, second] = log.segments();
  log.disk.remove(second as string);
  t.true((log.reopen().entries[0]?.index ?? 0) > 1);
});

test('header: a flipped bit in it is refused', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 2));
  const [path] = log.segments() as [string];
  for (let at = 0; at < 52; at += 1) {
    flip(log, path, at);
    t.throws(() => log.reopen(), { code: 'FAILED_PRECONDITION' }, `byte ${at}`);
    flip(log, path, at);
  }
});

test('header: a log of a newer format is refused, and says so', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 2));
  const [path] = log.segments() as [string];
  log.disk.edit(path, (bytes) => {
    bytes[8] = 2;
    return bytes;
  });
  t.throws(() => log.reopen(), { message: /has format 2, and this Shoal reads up to 1/ });
});

test('key: a log under another key is refused, and says so', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 2));
  log.keys = keyRing([{ id: 1, secret: log.random.bytes(32) }]);
  t.throws(() => log.reopen(), { message: /not encrypted with the key in keys\.json/ });
  log.keys = keyRing([{ id: 2, secret: log.random.bytes(32) }]);
  t.throws(() => log.reopen(), { message: /encrypted with key 1, which keys\.json does not hold/ });
});

test('key: a new key is used from the next segment on, and the old one still reads', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 2));
  log.keys = keyRing([log.keys.current, { id: 2, secret: log.random.bytes(32) }]);
  log.reopen();
  log.append(entries(3, 4));
  t.deepEqual(said(log.reopen()), texts(1, 4));
});

test('encryption: no entry can be read in the file, and equal entries look different', (t) => {
  const log = new WalHarness();
  log.append([entry(1, 1, 4000)]);
  log.append([{ ...entry(2), data: entry(1, 1, 4000).data }]);
  const [path] = log.segments() as [string];
  log.disk.edit(path, (bytes) => {
    t.is(Buffer.from(bytes).indexOf('1/1.....'), -1);
    t.notDeepEqual(bytes.slice(4096 + 500, 4096 + 1500), bytes.slice(8192 + 500, 8192 + 1500));
    return bytes;
  });
});

test('segments: those whose entries are no longer needed are used again, and their old content is not read', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  let index = 0;
  const fill = (count: number): void => {
    for (let step = 0; step < count; step += 1) {
      index += 1;
      log.append([entry(index, 1, 3000)], { term: 1, vote: 7, commit: index });
    }
  };
  fill(12);
  const before = log.segments().length;
  log.wal.collect(10);
  t.true(log.segments().length < before);
  fill(2);
  const kept = log.crash();
  t.is(kept.entries.at(-1)?.index, 14);
  t.true((kept.entries[0]?.index ?? 99) <= 10);
  t.is(kept.hardState.commit, 14);
  t.deepEqual(kept.identity, IDENTITY);
});

test('segments: collecting and crashing at random never loses an entry that is needed', (t) => {
  for (let seed = 100; seed <= 140; seed += 1) {
    const log = new WalHarness({ segmentBytes: 16 * 1024, seed });
    let index = 0;
    let needed = 1;
    for (let step = 0; step < 60; step += 1) {
      index += 1;
      log.append([entry(index, 1, 2500)], { term: 1, vote: 7, commit: index });
      if (log.random.next() < 0.3) log.wal.prepare();
      if (log.random.next() < 0.1) {
        needed = Math.max(needed, index - 5);
        log.wal.collect(needed);
      }
      if (log.random.next() < 0.1) {
        const first = log.crash().entries[0]?.index ?? 0;
        t.true(first <= needed, `seed ${seed}: entry ${needed} is needed, ${first} is the first`);
        t.is(log.content.entries.at(-1)?.index, index, `seed ${seed}`);
      }
    }
  }
});

test('disk full: an append that finds no room changes nothing, and works once there is room', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  log.append([entry(1)]);
  log.disk.roomBytes = 0;
  log.append([entry(2)]);
  log.append([entry(3)]);
  t.throws(() => log.append([entry(4)]), { code: 'ENOSPC' });
  t.throws(() => log.append([entry(4)]), { code: 'ENOSPC' });
  log.disk.roomBytes = Number.POSITIVE_INFINITY;
  log.append(entries(4, 5));
  t.deepEqual(said(log.reopen()), texts(1, 5));
});

test('disk full: a write that failed half way is void, even when all of it reached the disk', (t) => {
  const log = new WalHarness({ segmentBytes: 64 * 1024 });
  log.append([entry(1)]);
  log.disk.failure = withCode('ENOSPC', 'no space left');
  t.throws(() => log.append(entries(2, 3, 1)));
  log.disk.failure = undefined;
  log.append(entries(2, 2, 2));
  t.deepEqual(said(log.reopen()), ['1/1', '2/2']);
});

test('hard state: a commit index ahead of the entries that were kept is cut back to them', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 3), { term: 1, vote: 7, commit: 9 });
  t.is(log.reopen().hardState.commit, 3);
});

function fileAfter(
  log: WalHarness,
  change: () => void,
): { path: string; before: Uint8Array; after: Uint8Array } {
  const path = log.segments().at(-1) as string;
  const read = (): Uint8Array => {
    let copy = new Uint8Array();
    log.disk.edit(path, (bytes) => {
      copy = bytes.slice();
      return bytes;
    });
    return copy;
  };
  const before = read();
  change();
  return { path, before, after: read() };
}

function firstDifference(before: Uint8Array, after: Uint8Array): number {
  return after.findIndex((byte, at) => byte !== before[at]);
}

function lastDifference(before: Uint8Array, after: Uint8Array): number {
  return after.findLastIndex((byte, at) => byte !== before[at]);
}

function flip(log: WalHarness, path: string, at: number): void {
  log.disk.edit(path, (bytes) => {
    bytes[at] = (bytes[at] as number) ^ 0x10;
    return bytes;
  });
}
