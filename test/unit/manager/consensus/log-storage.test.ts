import test from 'ava';
import fc from 'fast-check';
import { CompactedError, type Entry, MemoryStorage, type Snapshot, UnavailableError } from 'raft-ts';
import { LogStorage } from '#manager/consensus/log-storage.ts';
import { NO_MEMBERSHIP } from '#manager/consensus/membership.ts';
import { withCode } from './support/sim-disk.ts';
import { entries, entry, WalHarness } from './support/wal.ts';

const { confState } = NO_MEMBERSHIP;
const ALL = Number.POSITIVE_INFINITY;

/** A log on disk with its storage, and beside it a log that is all in memory and forgets nothing. */
class Pair {
  readonly log: WalHarness;
  readonly memoryBytes: number;
  storage: LogStorage;
  readonly model = new MemoryStorage();
  term = 1;

  constructor(opts: { segmentBytes: number; memoryBytes: number }) {
    this.log = new WalHarness(opts);
    this.memoryBytes = opts.memoryBytes;
    this.storage = new LogStorage(opts, this.log.wal);
  }

  get snapshotIndex(): number {
    return this.model.snapshot().meta.index;
  }

  /** The first entry that may be replaced. */
  get lowest(): number {
    return Math.max(this.snapshotIndex + 1, this.storage.firstIndex());
  }

  /** Entries from `back` before the end on, of a new term when they replace some. */
  next(back: number, { count, bytes }: { count: number; bytes: number }): Entry[] {
    const from = Math.max(this.lowest, this.model.lastIndex() + 1 - back);
    if (back > 0) this.term += 1;
    return entries(from, from + count - 1, this.term, bytes);
  }

  /** In one write. */
  append(...added: (readonly Entry[])[]): void {
    this.log.append(added.flat(), { term: this.term, vote: 1, commit: 0 });
    for (const part of added) {
      this.storage.append(part);
      this.model.append(part);
    }
  }

  /** Once there is no room for it. */
  failOnce(added: readonly Entry[]): void {
    this.log.disk.failure = withCode('ENOSPC', 'no space left');
    try {
      this.log.append(added);
    } catch {
      this.log.disk.failure = undefined;
    }
    this.append(added);
  }

  take(index: number, keep: number): void {
    if (index <= this.snapshotIndex) return;
    this.storage.createSnapshot(index, confState, new Uint8Array());
    this.model.createSnapshot(index, confState, new Uint8Array());
    this.storage.forgetBefore(Math.max(this.storage.firstIndex(), index + 1 - keep));
  }

  install(index: number): void {
    const snapshot: Snapshot = { meta: { index, term: this.term, confState }, data: new Uint8Array() };
    this.log.wal.append({ entries: [], restart: { index, term: this.term } });
    this.storage.applySnapshot(snapshot);
    this.model.applySnapshot(snapshot);
  }

  /** As a member that starts: what the snapshot stands for is behind it. */
  reopen(): void {
    const content = this.log.crash();
    this.storage = new LogStorage(this, this.log.wal);
    if (this.snapshotIndex > 0) this.storage.applySnapshot(this.model.snapshot());
    this.storage.append(content.entries.filter(({ index }) => index > this.snapshotIndex));
  }
}

/** All entries from `lo` on, read as Raft does it: a page after the other. */
function paged(storage: LogStorage, lo: number, bytesMax = ALL): Entry[] {
  const read: Entry[] = [];
  for (let at = lo; at <= storage.lastIndex(); ) {
    const page = storage.entries(at, storage.lastIndex() + 1, bytesMax);
    read.push(...page);
    at += page.length;
  }
  return read;
}

const small = fc.nat({ max: 12 });
const count = fc.integer({ min: 1, max: 6 });
const bytes = fc.nat({ max: 9000 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), count, bytes }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('replace' as const), back: small, count, bytes }) },
  fc.record({ kind: fc.constant('replace-at-once' as const), back: small, count, bytes }),
  fc.record({ kind: fc.constant('fail' as const), count }),
  fc.record({ kind: fc.constant('snapshot' as const), behind: small, keep: small }),
  fc.record({ kind: fc.constant('forget-on-disk' as const) }),
  fc.record({ kind: fc.constant('install' as const), ahead: count }),
  fc.record({ kind: fc.constant('reopen' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function carryOut(pair: Pair, doing: Step): void {
  switch (doing.kind) {
    case 'append':
      return pair.append(pair.next(0, doing));
    case 'replace':
      return pair.append(pair.next(doing.back, doing));
    case 'replace-at-once': {
      const first = pair.next(0, doing);
      const end = pair.model.lastIndex() + 1 + first.length;
      pair.term += 1;
      return pair.append(first, entries(Math.max(pair.lowest, end - doing.back), end, pair.term, 100));
    }
    case 'fail':
      return pair.failOnce(pair.next(0, { ...doing, bytes: 500 }));
    case 'snapshot':
      return pair.take(pair.model.lastIndex() - doing.behind, doing.keep);
    case 'forget-on-disk':
      return pair.storage.forgetOnDiskBefore(pair.snapshotIndex + 1);
    case 'install':
      return pair.install(pair.model.lastIndex() + doing.ahead);
    case 'reopen':
      return pair.reopen();
  }
}

test('storage: whatever is written, replaced, let go or restarted, it reads as a log that is all in memory', (t) => {
  const setting = fc.record({
    segmentBytes: fc.constantFrom(16 * 1024, 256 * 1024),
    memoryBytes: fc.constantFrom(1, 2_000, 20_000),
    bytesMax: fc.constantFrom(1, 5_000, ALL),
  });
  const property = fc.property(
    setting,
    fc.array(step, { minLength: 1, maxLength: 25 }),
    ({ bytesMax, ...opts }, steps) => {
      const pair = new Pair(opts);
      for (const doing of steps) {
        carryOut(pair, doing);
        const { storage, model } = pair;
        const first = storage.firstIndex();
        t.is(storage.lastIndex(), model.lastIndex());
        t.true(first <= pair.snapshotIndex + 1, 'all behind the snapshot is there');
        t.throws(() => storage.entries(first - 1, first, ALL), { instanceOf: CompactedError });
        t.throws(() => storage.entries(first, model.lastIndex() + 2, ALL), { instanceOf: UnavailableError });
        const all = model.entries(first, model.lastIndex() + 1, ALL);
        t.true(told(paged(storage, first, bytesMax)) === told(all), `from ${first} on`);
        for (let index = first - 1; index <= model.lastIndex(); index += 1)
          t.is(storage.term(index), model.term(index));
      }
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 80 }));
});

/** What a log says, as text that is quickly compared. */
function told(log: readonly Entry[]): string {
  return log
    .map(({ index, term, data }) => `${term}/${index} ${Buffer.from(data).toString('latin1')}`)
    .join();
}

test('storage: of entries in memory it keeps as many as may be there, and the newest in any case', (t) => {
  const pair = new Pair({ segmentBytes: 1024 * 1024, memoryBytes: 10_000 });
  pair.append(entries(1, 100, 1, 800));
  t.is(pair.storage.firstIndex(), 1);
  t.is(pair.storage.firstAtHand(), 91);
  pair.append([entry(101, 1, 50_000)]);
  t.is(pair.storage.firstAtHand(), 101);
});

test('storage: one read of old entries goes over about a megabyte of the log, whatever is asked', (t) => {
  const pair = new Pair({ segmentBytes: 16 * 1024 * 1024, memoryBytes: 1 });
  for (let index = 1; index <= 600; index += 1) pair.append([entry(index)]);
  const { length } = pair.storage.entries(2, 600, ALL);
  t.is(length, 256, 'each was written on a block of its own');
  const before = pair.log.disk.bytesRead;
  t.is(pair.storage.entries(300, 301, ALL)[0]?.index, 300);
  t.true(
    pair.log.disk.bytesRead - before < 200 * 1024,
    'what is wanted is found without reading all before it',
  );
});

test('storage: what was let go from disk stays readable as long as it is in memory', (t) => {
  const pair = new Pair({ segmentBytes: 16 * 1024, memoryBytes: 40 * 1000 });
  for (let index = 1; index <= 60; index += 1) pair.append([entry(index, 1, 800)]);
  t.is(pair.storage.firstAtHand(), 21);
  pair.take(50, 50);
  pair.storage.forgetOnDiskBefore(51);
  t.is(pair.storage.firstIndex(), 21);
  t.is(paged(pair.storage, 21).length, 40);
  pair.append(entries(61, 100, 1, 800));
  t.is(pair.storage.firstIndex(), 51, 'and what the disk holds is read from there');
  t.is(paged(pair.storage, 51).length, 50);
});

test('storage: damage that is found when entries are read again is told, with what to do', (t) => {
  const pair = new Pair({ segmentBytes: 64 * 1024, memoryBytes: 1 });
  pair.append(entries(1, 5, 1, 300));
  const [path] = pair.log.segments() as [string];
  let record = 0;
  pair.log.disk.edit(path, (bytes) => {
    record = Buffer.from(bytes).lastIndexOf('shol');
    return bytes;
  });
  for (const at of [20, record + 2, record + 10, record + 40, record + 900]) {
    const flip = (): void =>
      pair.log.disk.edit(path, (bytes) => {
        bytes[at] = (bytes[at] as number) ^ 0x10;
        return bytes;
      });
    flip();
    t.throws(() => pair.storage.entries(2, 4, ALL), {
      code: 'FAILED_PRECONDITION',
      message: /segment .* is damaged.*docker node demote/,
    });
    flip();
    t.is(pair.storage.entries(2, 4, ALL).length, 2);
  }
  pair.log.disk.edit(path, (bytes) => bytes.slice(0, 4096));
  t.throws(() => pair.storage.entries(2, 4, ALL), { code: 'FAILED_PRECONDITION' });
});
