import test from 'ava';
import fc from 'fast-check';
import { EntryList } from '../src/entry-list.ts';
import {
  CompactedError,
  type Entry,
  EntryType,
  entryBytes,
  MemoryStorage,
  SnapshotOutOfDateError,
  SnapshotTemporarilyUnavailableError,
  UnavailableError,
} from '../src/index.ts';
import { RaftLog } from '../src/log.ts';
import { entriesOf, single } from './single.ts';

const NO_LIMIT = Number.POSITIVE_INFINITY;

test('entry list: whatever is added and dropped, it holds what a plain array would', (t) => {
  const anyStep = fc.record({
    kind: fc.constantFrom('extend', 'truncate', 'drop'),
    size: fc.nat({ max: 3000 }),
  });
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 12 }), (steps) => {
      const list = new EntryList(5);
      let [model, offset]: [Entry[], number] = [[], 5];
      for (const { kind, size } of steps) {
        const within = offset + (size % (model.length + 1));
        if (kind === 'extend') {
          const entries = entriesOf(
            Array.from({ length: size }, () => size),
            list.end,
          );
          list.extend(entries);
          model = [...model, ...entries];
        } else if (kind === 'truncate') {
          list.truncate(within);
          model = model.slice(0, within - offset);
        } else {
          list.dropBefore(within);
          model = model.slice(within - offset);
          offset = within;
        }
        t.deepEqual([list.offset, list.length, list.end], [offset, model.length, offset + model.length]);
        t.is(list.at(within), model[within - offset]);
        t.is(list.at(offset - 1), undefined);
        t.deepEqual(list.slice(offset, list.end, NO_LIMIT), model);
      }
    }),
    { numRuns: 200 },
  );
});

test('entry list: a slice ends before the limit, but has at least one entry', (t) => {
  const list = new EntryList(2);
  list.extend(entriesOf([1, 1, 1]));
  const size = entryBytes(list.at(2) as Entry);
  const lengths = [0, size, size * 2 - 1, size * 2, size * 3, NO_LIMIT].map(
    (max) => list.slice(2, 5, max).length,
  );
  t.deepEqual(lengths, [1, 1, 1, 2, 3, 3]);
  t.deepEqual(list.slice(3, 3, NO_LIMIT), []);
});

test('memory storage: entries give way from the first new one on', (t) => {
  const storage = MemoryStorage.bootstrap([1]);
  storage.append(entriesOf([1, 1, 1]));
  storage.append(entriesOf([2], 3));
  t.deepEqual([storage.firstIndex(), storage.lastIndex()], [2, 3]);
  t.deepEqual(
    [1, 2, 3].map((index) => storage.term(index)),
    [1, 1, 2],
  );
});

test('memory storage: what is compacted, or not there yet, is said to be', (t) => {
  const storage = MemoryStorage.bootstrap([1]);
  storage.append(entriesOf([1, 2, 3]));
  storage.compact(3);
  t.is(storage.term(3), 2, 'the entry before the first one still has a term');
  t.throws(() => storage.term(2), { instanceOf: CompactedError });
  t.throws(() => storage.entries(3, 5, NO_LIMIT), { instanceOf: CompactedError });
  t.throws(() => storage.compact(3), { instanceOf: CompactedError });
  t.throws(() => storage.term(5), { instanceOf: UnavailableError });
  t.throws(() => storage.entries(4, 6, NO_LIMIT), { instanceOf: UnavailableError });
});

test('memory storage: an older snapshot does not replace a newer one', (t) => {
  const storage = MemoryStorage.bootstrap([1]);
  storage.append(entriesOf([1, 1, 1]));
  const { confState } = storage.initialState();
  const made = storage.createSnapshot(3, confState, Uint8Array.of(9));
  t.is(storage.snapshot(), made);
  t.throws(() => storage.createSnapshot(2, confState, Uint8Array.of(8)), {
    instanceOf: SnapshotOutOfDateError,
  });
  t.throws(() => storage.applySnapshot(made), { instanceOf: SnapshotOutOfDateError });
});

function logOf(terms: readonly number[], unstable: readonly number[] = []): RaftLog {
  const storage = MemoryStorage.bootstrap([1]);
  storage.append(entriesOf(terms));
  const log = new RaftLog({ committedBytesMax: NO_LIMIT, trace: undefined }, storage);
  log.append(entriesOf(unstable, 2 + terms.length));
  return log;
}

test('log: a slice across what is durable and what is not is one slice, within the limit', (t) => {
  const log = logOf([1, 1], [1, 1]);
  const indices = (bytesMax: number): number[] => log.slice(2, 6, bytesMax).map(({ index }) => index);
  const size = entryBytes(log.slice(2, 3, 0)[0] as Entry);
  t.deepEqual(indices(NO_LIMIT), [2, 3, 4, 5]);
  t.deepEqual(indices(size * 3), [2, 3, 4]);
  t.deepEqual(indices(size * 2), [2, 3]);
  t.deepEqual(indices(0), [2]);
});

test('log: the last place where two logs may be equal is found by terms', (t) => {
  const log = logOf([2, 2, 5, 5]);
  const cases = [
    { index: 5, term: 5, found: { index: 5, term: 5 } },
    { index: 5, term: 4, found: { index: 3, term: 2 } },
    { index: 5, term: 1, found: { index: 1, term: 1 } },
    { index: 9, term: 5, found: { index: 9, term: 0 } },
    { index: 0, term: 5, found: { index: 0, term: 0 } },
  ];
  for (const { index, term, found } of cases) t.deepEqual(log.findConflictByTerm(index, term), found);
});

test('log: the term of what is compacted or not there is unknown', (t) => {
  const log = logOf([1, 2]);
  t.deepEqual(
    [0, 1, 2, 3, 4].map((index) => log.term(index)),
    [undefined, 1, 1, 2, undefined],
  );
});

test('log: committed entries never change', (t) => {
  const log = logOf([1, 1]);
  log.commitTo(3);
  t.throws(() => log.append(entriesOf([2], 3)), { message: /committed/ });
  log.commitTo(2);
  t.is(log.committed, 3);
  t.throws(() => log.commitTo(4), { message: /beyond the log/ });
});

test('log: while a snapshot is being made the peer that needs it waits', (t) => {
  const storage = MemoryStorage.bootstrap([1]);
  const making = Object.assign(Object.create(storage) as MemoryStorage, {
    firstIndex: () => storage.firstIndex(),
    lastIndex: () => storage.lastIndex(),
    snapshot: () => {
      throw new SnapshotTemporarilyUnavailableError();
    },
  });
  t.is(new RaftLog({ committedBytesMax: NO_LIMIT, trace: undefined }, making).snapshot(), undefined);
});

test('log: entries named as applied are not handed out again after a restart', (t) => {
  const member = single({ terms: [1, 1, 1], hardState: { term: 1, vote: 0, commit: 4 }, applied: 3 });
  member.drain();
  t.deepEqual(
    member.applied.map(({ index, type }) => ({ index, type })),
    [{ index: 4, type: EntryType.Normal }],
  );
});
