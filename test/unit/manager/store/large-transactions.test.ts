import test from 'ava';
import type { Change } from '#manager/store/changes.ts';
import { decodeEntry } from '#manager/store/log-entry.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS, type ProposerOpts } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import { codeOf } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { openTestStore, type TestStore, type TestStoreOpts } from '../../../support/local-log.ts';
import { settle } from '../../../support/virtual-clock.ts';
import { N1, N2, putNode, putService, S1, specOf } from './fixtures.ts';

const SMALL = { entryBytesMax: 200, partBytes: 100 };
/** Of 20 nodes with a name of one letter. */
const PARTS = 10;
const one = { changes: [putNode(N1)] };

/** Nodes of this name: so many changes that it takes several entries. */
function many(name: string, count = 20): { changes: readonly Change[] } {
  return { changes: Array.from({ length: count }, (_, i) => putNode(`${name}-${i}` as NodeId)) };
}

function open(proposer: Partial<ProposerOpts> = {}, opts: TestStoreOpts = {}): TestStore {
  return openTestStore({ ...opts, proposer: { ...SMALL, ...proposer } });
}

/** What each entry is: the number of a part, or how many transactions it has. */
function shapesOf({ log }: TestStore): string[] {
  return log.entries.map(({ data }) => {
    if (data.length === 0) return 'empty';
    const { part, transactions } = decodeEntry(data);
    if (part === undefined) return `transactions ${transactions.length}`;
    return part.count === 0 ? 'given up' : `part ${part.number}/${part.count}`;
  });
}

function isHalfWay({ log }: TestStore): boolean {
  return log.entries.some(({ data }) => data.length > 0 && decodeEntry(data).part !== undefined);
}

/** Whether the state is that of a replica which never knew a part of a large transaction. */
function keepsNothing({ log, machine }: TestStore): boolean {
  const other = new StoreMachine();
  for (const entry of log.entries) {
    const isPart = entry.data.length > 0 && decodeEntry(entry.data).part !== undefined;
    other.apply([isPart ? { ...entry, data: new Uint8Array() } : entry]);
  }
  return other.hash() === machine.hash();
}

/** Proposals one at a time from here on: gives what lets the next one into the log. */
function stepping({ log }: TestStore): () => Promise<void> {
  log.hold();
  return async () => {
    await settle();
    await log.release();
    log.hold();
    await settle();
  };
}

test('large: takes effect at once with its last entry, and has the version of that', async (t) => {
  const opened = open();
  const { store, machine, log } = opened;
  const seen: [number, number][] = [];
  store.subscribe(({ version, events }) => seen.push([version, events.length]));
  const version = await store.update(many('a'));
  t.true(version > 3);
  t.is(version, log.entries.length);
  t.true(log.entries.every(({ data }) => data.length <= 200));
  t.deepEqual(
    seen.map(([, events]) => events),
    [...Array.from({ length: version - 1 }, () => 0), 20],
  );
  t.true([...store.view().nodes.all()].every((node) => node.version === version));
  const replica = new StoreMachine();
  replica.apply(log.entries);
  t.is(replica.hash(), machine.hash());
});

test('large: one that fits an entry goes as it always did', async (t) => {
  const opened = open({ entryBytesMax: 100_000 });
  await opened.store.update(many('a'));
  t.deepEqual(shapesOf(opened), ['transactions 1']);
});

test('large: few parts are under way at a time, and small transactions go between them', async (t) => {
  const opened = open({ inFlightMax: 1, partsInFlightMax: 2 });
  const { log, store } = opened;
  log.hold();
  const large = store.update(many('a'));
  await settle();
  t.is(log.held, 2);
  const small = store.update(one);
  await settle();
  t.is(log.held, 3, 'no part takes the place of other entries');
  await log.release();
  t.is(await small, 3);
  t.true((await large) > 4);
  t.deepEqual(shapesOf(opened).slice(0, 4), ['part 1/10', 'part 2/10', 'transactions 1', 'part 3/10']);
});

test('large: several go one after the other, each whole', async (t) => {
  const opened = open();
  const versions = await Promise.all(['a', 'b', 'c'].map((name) => opened.store.update(many(name))));
  t.deepEqual(versions, [PARTS, 2 * PARTS, 3 * PARTS]);
  t.is(opened.store.view().nodes.size, 60);
});

test('large: what it expects must hold when its last entry is applied', async (t) => {
  const opened = open({ partsInFlightMax: 1 });
  const { store } = opened;
  const step = stepping(opened);
  const refused = t.throwsAsync(
    store.update({ ...many('a'), expects: [{ table: 'node', id: N1, version: 0 }] }),
    { code: 'OUT_OF_SEQUENCE' },
  );
  await step();
  t.true(isHalfWay(opened));
  const small = store.update(one);
  await step();
  await small;
  await opened.log.release();
  await refused;
  t.is(store.view().nodes.size, 1);
  t.true(keepsNothing(opened));
});

test('large: a change that refuses it refuses all of it', async (t) => {
  const opened = open();
  await opened.store.update({ changes: [putService(S1, specOf('web'))] });
  const changes = [...many('a').changes, putService('s2' as typeof S1, specOf('web'))];
  await t.throwsAsync(opened.store.update({ changes }), { code: 'CONFLICT' });
  t.is(opened.store.view().nodes.size, 0);
  t.true(keepsNothing(opened));
});

test('large: one with too many bytes or changes is refused before anything is proposed, and says the sizes', async (t) => {
  const opened = open({ changeBytesMax: 198, transactionBytesMax: 500, transactionChangesMax: 30 });
  const refused = async (given: { changes: readonly Change[] }, message: RegExp): Promise<void> => {
    await t.throwsAsync(opened.store.update(given), { code: 'INVALID_ARGUMENT', message });
  };
  await refused(many('a'), /^this transaction takes \d+ bytes, and one may take 500: make it in several$/);
  await refused(many('a', 31), /^this transaction has 31 changes, and one may have 30: make it in several$/);
  const spec = specOf('x'.repeat(300));
  await refused(
    { changes: [putNode(N1), putService(S1, spec)] },
    /^this change takes \d{3} bytes, and one change may take 198: make it smaller$/,
  );
  t.deepEqual(opened.log.entries, []);
  t.is(await opened.store.update(many('a', 8)), 4);
});

test('large: at the limits of the house it goes through, in entries that all fit', async (t) => {
  const opened = openTestStore();
  const env = ['A'.repeat(1_000_000)];
  const changes = Array.from({ length: 33 }, (_, i) =>
    putService(`s${i}` as typeof S1, { ...specOf(`s${i}`), task: { container: { image: 'a', env } } }),
  );
  const version = await opened.store.update({ changes });
  t.is(version, Math.ceil((33 * 1_000_000) / PROPOSER_OPTS.partBytes));
  t.is(opened.store.view().services.size, 33);
  t.true(opened.log.entries.every(({ data }) => data.length <= LIMITS.raftEntryBytesMax));
  await t.throwsAsync(opened.store.update({ changes: [...changes, ...changes] }), {
    code: 'INVALID_ARGUMENT',
    message: /takes 66\d+ bytes, and one may take 33554432/,
  });
});

test('large: too much of it waiting is refused at once, and leaves small ones their room', async (t) => {
  const opened = open({ largeWaitingBytesMax: 1000 });
  const { store, log } = opened;
  log.hold();
  const first = store.update(many('a'));
  await t.throwsAsync(store.update(many('b')), {
    code: 'UNAVAILABLE',
    message: /^too many changes are waiting \(1\)/,
  });
  const small = store.update(one);
  await log.release();
  await Promise.all([first, small]);
  t.is(await store.update(many('b')), 2 * PARTS + 1, 'there is room again');
});

test('large: a part that is dropped on the way loses all of it, though others follow, and the next one is whole', async (t) => {
  const opened = open({ partsInFlightMax: 2 });
  const { store, log } = opened;
  const step = stepping(opened);
  const lost = t.throwsAsync(store.update(many('a')), { code: 'UNAVAILABLE' });
  await step();
  log.drop();
  await step();
  await log.release();
  await lost;
  await settle();
  t.is(store.view().nodes.size, 0);
  const numbers = shapesOf(opened).map((shape) => shape.replace(/^part (.*)\/10$/, '$1'));
  t.deepEqual(numbers, ['1', '2', '3', '4', '6', 'given up']);
  t.true(keepsNothing(opened), 'nobody keeps its parts');
  await store.update(many('b'));
  t.is(store.view().nodes.size, 20);
});

test('large: when the lead is lost half-way nothing is changed, and with the next term nobody keeps its parts', async (t) => {
  const opened = open();
  const { store, log } = opened;
  const step = stepping(opened);
  const lost = t.throwsAsync(store.update(many('a')), { code: 'UNAVAILABLE' });
  await step();
  log.loseLeadership();
  await lost;
  await settle();
  t.true(isHalfWay(opened));
  t.false(keepsNothing(opened));
  log.lead();
  log.append();
  t.true(keepsNothing(opened));
  await log.release();
  t.is(store.view().nodes.size, 0);
  await store.update(many('b'));
  t.is(store.view().nodes.size, 20);
});

test('large: when the term changes under it, whoever waits hears that nothing was changed', async (t) => {
  const opened = open({ partsInFlightMax: 1 });
  const { store, log } = opened;
  const step = stepping(opened);
  const lost = t.throwsAsync(store.update(many('a')), {
    code: 'UNAVAILABLE',
    message: /nothing was changed$/,
  });
  await step();
  log.lead();
  log.append();
  await lost;
  await log.release();
  await settle();
  t.true(keepsNothing(opened));
});

test('large: after the time limit it has changed nothing, unless its last part was proposed', async (t) => {
  const early = open({ partsInFlightMax: 1 });
  const step = stepping(early);
  const update = t.throwsAsync(early.store.update(many('a')), {
    code: 'UNAVAILABLE',
    message: /did not commit it within 20000 ms: nothing was changed$/,
  });
  await step();
  await early.clock.advance(LIMITS.requestTimeoutMs);
  await update;
  await early.log.release();
  await settle();
  t.deepEqual(shapesOf(early), ['part 1/10', 'part 2/10', 'given up']);
  t.true(keepsNothing(early));

  const late = open({ partsInFlightMax: PARTS });
  late.log.hold();
  const unknown = t.throwsAsync(late.store.update(many('a')), { code: 'DEADLINE_EXCEEDED' });
  await late.clock.advance(LIMITS.requestTimeoutMs);
  await unknown;
  await late.log.release();
  t.is(late.store.view().nodes.size, 20, 'here it was made');
});

test('large: one that waits behind another and gives up leaves that one alone', async (t) => {
  const opened = open({ partsInFlightMax: 1 });
  const { store, log, clock } = opened;
  const step = stepping(opened);
  const first = t.throwsAsync(store.update(many('a')), { code: 'UNAVAILABLE' });
  await step();
  await clock.advance(LIMITS.requestTimeoutMs - 1);
  const second = store.update(many('b'));
  await clock.advance(1);
  await first;
  await log.release();
  t.is(await second, log.entries.length);
  t.is(store.view().nodes.size, 20);
});

test('large: what is half-way is in the snapshot and in the hash, and is made whole behind it', async (t) => {
  const opened = open({ partsInFlightMax: 1 });
  const { store, machine, log } = opened;
  const step = stepping(opened);
  const update = store.update(many('a'));
  for (let i = 0; i < 4; i++) await step();
  const half = machine.version;
  const other = new StoreMachine();
  await other.restore(machine.snapshot(), half);
  t.is(other.hash(), machine.hash());
  t.not(other.hash(), new StoreMachine().hash());
  await log.release();
  await update;
  other.apply(log.entries.slice(half));
  t.is(other.hash(), machine.hash());
  t.is(other.view().nodes.size, 20);
});

test('large: a snapshot and an entry with parts are of a format that older versions refuse', async (t) => {
  const opened = open({ partsInFlightMax: 1 });
  const { store, machine, log } = opened;
  const plain = await firstBytes(machine);
  const step = stepping(opened);
  const update = store.update(many('a'));
  await step();
  t.deepEqual([...(log.entries[0]?.data.subarray(0, 2) ?? [])], [8, 2], 'field 1, the format, is 2');
  t.deepEqual(plain, [10, 2]);
  t.deepEqual(await firstBytes(machine), [10, 3]);
  await log.release();
  await update;
  t.deepEqual(await firstBytes(machine), [10, 2], 'and of the one that they read once it is whole');
});

/** Of a snapshot: the tag of its header, and the format in it. */
async function firstBytes(machine: StoreMachine): Promise<(number | undefined)[]> {
  const bytes = Buffer.concat(await Array.fromAsync(machine.snapshot()));
  return [bytes[4], bytes[7]];
}

test('large: a last part that arrives inside a snapshot has an unknown outcome; an earlier one decides nothing', async (t) => {
  const [other, { machine, clock, log }] = [open(), open()];
  await other.store.update(many('a'));
  const proposals: PromiseWithResolvers<{ index: number; term: number }>[] = [];
  const consensus = {
    propose: () => {
      proposals.push(Promise.withResolvers());
      return (proposals.at(-1) as (typeof proposals)[number]).promise;
    },
    leadership: () => log.leadership(),
    readBarrier: () => Promise.resolve(),
  };
  const modules = { machine, clock, consensus, random: seededRandom(3), metrics: nullMetrics };
  const store = new ReplicatedStore({ ...PROPOSER_OPTS, ...SMALL, partsInFlightMax: PARTS }, modules);
  let outcome: unknown;
  const update = store.update(many('a')).catch((error: unknown) => {
    outcome = codeOf(error);
  });
  await settle();
  t.is(proposals.length, PARTS);
  await machine.restore(other.machine.snapshot(), PARTS);
  for (let index = 1; index < PARTS; index++) proposals[index - 1]?.resolve({ index, term: 1 });
  await settle();
  t.is(outcome, undefined);
  proposals.at(-1)?.resolve({ index: PARTS, term: 1 });
  await update;
  t.is(outcome, 'DEADLINE_EXCEEDED');
});

test('dispose: nobody waits for a large transaction, and the rest of it is not proposed', async (t) => {
  const opened = open({ partsInFlightMax: 1 });
  const { store, log } = opened;
  const step = stepping(opened);
  const stopped = t.throwsAsync(store.update(many('a')), {
    code: 'UNAVAILABLE',
    message: 'this manager is stopping: nothing was changed',
  });
  const behind = t.throwsAsync(store.update(many('b')), { code: 'UNAVAILABLE' });
  await step();
  await store[Symbol.asyncDispose]();
  await Promise.all([stopped, behind]);
  await log.release();
  await settle();
  t.is(store.view().nodes.get(N2), undefined);
  t.deepEqual(shapesOf(opened), ['part 1/10', 'part 2/10']);
});
