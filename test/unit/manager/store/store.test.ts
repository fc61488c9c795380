import test from 'ava';
import type { Member } from '#manager/consensus/consensus.ts';
import type { Change } from '#manager/store/changes.ts';
import { decodeEntry, ENTRY_HEADER_BYTES, encodeTransaction } from '#manager/store/log-entry.ts';
import { PROPOSER_OPTS } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { seededRandom } from '#proto/base/random.ts';
import { openTestStore, type TestStore } from '../../../support/local-log.ts';
import { settle, VirtualClock } from '../../../support/virtual-clock.ts';
import { N1, N2, putNode, putService, S1, S2, specOf } from './fixtures.ts';

const one = { changes: [putNode(N1)] };

/** How many transactions each entry has. */
function batchesOf({ log }: TestStore): number[] {
  return log.entries.map(({ data }) => decodeEntry(data).transactions.length);
}

function sizeOf(changes: readonly Change[]): number {
  return encodeTransaction({ proposer: 2 ** 51, serial: 1, atMs: 1.7e12, expects: [], changes }).length;
}

test('update: resolves with the version of the entry, once it can be read', async (t) => {
  const { store, clock } = openTestStore();
  t.is(await store.update(one), 1);
  t.is(store.view().nodes.get(N1)?.version, 1);
  await clock.advance(250);
  t.is(await store.update(one), 2);
  t.is(store.view().nodes.get(N1)?.updatedAtMs, clock.wallMs());
});

test('update: what is submitted in one turn goes as one entry, each with its own outcome', async (t) => {
  const opened = openTestStore();
  const { store } = opened;
  const results = await Promise.allSettled([
    store.update({ changes: [putService(S1, specOf('web'))] }),
    store.update({ changes: [putService(S2, specOf('web'))] }),
    store.update({ expects: [{ table: 'node', id: N1, version: 4 }], ...one }),
    store.update({ changes: [putNode(N2)] }),
  ]);
  t.deepEqual(batchesOf(opened), [4]);
  t.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    [1, 'CONFLICT', 'OUT_OF_SEQUENCE', 1],
  );
  t.is(store.view().services.size, 1);
  t.is(store.view().nodes.size, 1);
});

test('update: what comes while entries are under way waits, and goes together', async (t) => {
  const opened = openTestStore({ proposer: { inFlightMax: 2 } });
  const { store, log } = opened;
  log.hold();
  const updates = [];
  for (let i = 0; i < 10; i++) {
    updates.push(store.update(one));
    await settle();
  }
  t.is(log.held, 2);
  await log.release();
  t.deepEqual(await Promise.all(updates), [1, 2, 3, 3, 3, 3, 3, 3, 3, 3]);
  t.deepEqual(batchesOf(opened), [1, 1, 8]);
});

test('update: an entry never grows over its bound', async (t) => {
  const entryBytesMax = ENTRY_HEADER_BYTES + 3 * (sizeOf(one.changes) + 4);
  const opened = openTestStore({ proposer: { entryBytesMax } });
  await Promise.all(Array.from({ length: 7 }, () => opened.store.update(one)));
  t.deepEqual(batchesOf(opened), [3, 3, 1]);
  for (const { data } of opened.log.entries) t.true(data.length <= entryBytesMax);
});

test('update: an entry takes no more changes than can be applied in one go, but for one transaction alone', async (t) => {
  const opened = openTestStore({ proposer: { entryChangesMax: 3 } });
  const large = { changes: Array.from({ length: 5 }, () => one.changes).flat() };
  await Promise.all([one, one, one, one, large, one].map((each) => opened.store.update(each)));
  t.deepEqual(batchesOf(opened), [3, 1, 1, 1]);
});

test('update: one too large for an entry is refused before it is proposed', async (t) => {
  const opened = openTestStore();
  const env = ['A'.repeat(LIMITS.raftEntryBytesMax)];
  const spec = { ...specOf('web'), task: { container: { image: 'a', env } } };
  await t.throwsAsync(opened.store.update({ changes: [putService(S1, spec)] }), {
    code: 'INVALID_ARGUMENT',
    message: /^this change takes \d+ bytes, and one change may take \d+/,
  });
  const largest = sizeOf(one.changes) + ENTRY_HEADER_BYTES;
  await t.notThrowsAsync(openTestStore({ proposer: { entryBytesMax: largest } }).store.update(one));
  t.deepEqual(opened.log.entries, []);
});

test('update: what the log can’t hold is refused before it is proposed', async (t) => {
  const opened = openTestStore();
  const spec = { ...specOf('web'), update: { order: 'sideways' as 'stop-first' } };
  await t.throwsAsync(opened.store.update({ changes: [putService(S1, spec)] }), { code: 'INVALID_ARGUMENT' });
  t.deepEqual(opened.log.entries, []);
});

test('update: too many waiting, or too much, is refused at once', async (t) => {
  const few = openTestStore({ proposer: { inFlightMax: 1, waitingMax: 2 } });
  few.log.hold();
  const first = few.store.update(one);
  await settle();
  const waiting = [few.store.update(one), few.store.update(one)];
  await t.throwsAsync(few.store.update(one), {
    code: 'UNAVAILABLE',
    message: /^too many changes are waiting/,
  });
  await few.log.release();
  t.deepEqual(await Promise.all([first, ...waiting]), [1, 2, 2]);
  t.is(await few.store.update(one), 3, 'there is room again');

  const enough = openTestStore({ proposer: { waitingBytesMax: sizeOf(one.changes) + 4 } });
  for (let i = 1; i <= 5; i++) t.is(await enough.store.update(one), i, 'what was proposed waits no longer');
  const little = openTestStore({ proposer: { waitingBytesMax: 1 } });
  await t.throwsAsync(little.store.update(one), { code: 'UNAVAILABLE' });
});

test('update: a manager that does not lead says who does, and proposes nothing', async (t) => {
  const opened = openTestStore();
  opened.log.loseLeadership();
  await t.throwsAsync(opened.store.update(one), {
    code: 'UNAVAILABLE',
    message: /^The swarm does not have a leader\./,
  });
  const [self] = opened.log.members();
  opened.log.loseLeadership({ ...(self as Member), nodeId: N2 });
  await t.throwsAsync(opened.store.update(one), {
    code: 'UNAVAILABLE',
    message: 'this manager does not lead the swarm: node n2 does',
  });
  opened.log.lead();
  t.is(await opened.store.update(one), 1);
});

test('update: UNAVAILABLE when the lead is lost on the way; the next leader’s writes go on', async (t) => {
  const opened = openTestStore({ proposer: { inFlightMax: 1 } });
  const { store, log } = opened;
  log.hold();
  const proposed = store.update(one);
  await settle();
  const waiting = store.update(one);
  log.loseLeadership();
  await t.throwsAsync(proposed, { code: 'UNAVAILABLE' });
  await t.throwsAsync(waiting, { code: 'UNAVAILABLE' });
  t.is(store.view().nodes.size, 0);
  log.lead();
  await log.release();
  t.is(await store.update(one), 1);
});

test('update: a proposal that the log drops is UNAVAILABLE, and only that one', async (t) => {
  const { store, log } = openTestStore();
  log.drop();
  await t.throwsAsync(store.update(one), { code: 'UNAVAILABLE' });
  t.is(await store.update(one), 1);
});

test('update: a log that waits with too much is UNAVAILABLE too', async (t) => {
  const { machine, clock, log } = openTestStore();
  const consensus = {
    propose: () => Promise.reject(new ShoalError('RESOURCE_EXHAUSTED', 'full')),
    leadership: () => log.leadership(),
    readBarrier: () => Promise.resolve(),
  };
  const modules = { machine, clock, consensus, random: seededRandom(1), metrics: nullMetrics };
  const store = new ReplicatedStore(PROPOSER_OPTS, modules);
  await t.throwsAsync(store.update(one), { code: 'UNAVAILABLE', message: 'full' });
});

test('update: after the time limit it is not known what became of a proposal', async (t) => {
  const { store, log, clock } = openTestStore();
  log.hold();
  const update = store.update(one);
  await clock.advance(LIMITS.requestTimeoutMs - 1);
  const late = t.throwsAsync(update, { code: 'DEADLINE_EXCEEDED', message: /it is not known whether/ });
  await clock.advance(1);
  await late;
  await log.release();
  t.is(store.view().nodes.size, 1, 'here it was');
});

test('update: after the time limit what was never proposed has changed nothing', async (t) => {
  const { store, log, clock } = openTestStore({ proposer: { inFlightMax: 1 } });
  log.hold();
  const proposed = store.update(one);
  await settle();
  const waiting = store.update({ changes: [putNode(N2)] });
  const outcomes = Promise.allSettled([proposed, waiting]);
  await clock.advance(LIMITS.requestTimeoutMs);
  t.deepEqual(
    (await outcomes).map((result) => result.status === 'rejected' && result.reason.code),
    ['DEADLINE_EXCEEDED', 'UNAVAILABLE'],
  );
  await log.release();
  await settle();
  t.is(store.view().nodes.get(N2), undefined);
});

test('update: outcomes of another proposer’s transactions are not taken for one’s own', async (t) => {
  const [mine, other] = [openTestStore({ seed: 1 }), openTestStore({ seed: 2 })];
  await t.throwsAsync(other.store.update({ expects: [{ table: 'node', id: N1, version: 9 }], changes: [] }));
  mine.log.hold();
  let done = false;
  const update = mine.store.update(one).then((version) => {
    done = true;
    return version;
  });
  await settle();
  for (const { data } of other.log.entries) mine.log.append(data);
  await settle();
  t.false(done);
  await mine.log.release();
  t.is(await update, 2);
});

test('update: an entry that arrives inside a snapshot has an unknown outcome', async (t) => {
  const [mine, other] = [openTestStore({ seed: 1 }), openTestStore({ seed: 2 })];
  await other.store.update(one);
  const { clock, machine, log } = mine;
  const committed = Promise.withResolvers<{ index: number; term: number }>();
  const consensus = {
    propose: () => committed.promise,
    leadership: () => log.leadership(),
    readBarrier: () => Promise.resolve(),
  };
  const modules = { machine, clock, consensus, random: seededRandom(3), metrics: nullMetrics };
  const store = new ReplicatedStore(PROPOSER_OPTS, modules);
  const update = store.update(one);
  await settle();
  await machine.restore(other.machine.snapshot(), 1);
  committed.resolve({ index: 1, term: 1 });
  await t.throwsAsync(update, { code: 'DEADLINE_EXCEEDED', message: /it is not known whether/ });
});

/** Counts the timers that have neither fired nor been cancelled. */
class CountingClock extends VirtualClock {
  running = 0;

  override timer(ms: number, fire: () => void): () => void {
    this.running++;
    let over = false;
    const end = (): void => {
      if (!over) this.running--;
      over = true;
    };
    const cancel = super.timer(ms, () => {
      end();
      fire();
    });
    return () => {
      end();
      cancel();
    };
  }
}

test('dispose: nobody waits for ever, no timer is left, and nothing new is taken', async (t) => {
  const clock = new CountingClock();
  const { store, log } = openTestStore({ clock, proposer: { inFlightMax: 1 } });
  log.hold();
  const proposed = store.update(one);
  await settle();
  const waiting = store.update(one);
  t.is(clock.running, 2);
  const outcomes = Promise.allSettled([proposed, waiting]);
  await store[Symbol.asyncDispose]();
  t.deepEqual(
    (await outcomes).map((result) => result.status === 'rejected' && result.reason.code),
    ['DEADLINE_EXCEEDED', 'UNAVAILABLE'],
  );
  t.is(clock.running, 0);
  await t.throwsAsync(store.update(one), { code: 'UNAVAILABLE' });
  await store[Symbol.asyncDispose]();
});

test('readBarrier: is that of the log', async (t) => {
  const { store, log } = openTestStore();
  await t.notThrowsAsync(store.readBarrier());
  await t.throwsAsync(store.readBarrier(AbortSignal.abort(new Error('enough'))), { message: 'enough' });
  log.loseLeadership();
  await t.throwsAsync(store.readBarrier(), { code: 'UNAVAILABLE' });
});

test('metrics: reads and writes are measured under Swarm’s names', async (t) => {
  const { machine, log, clock } = openTestStore();
  const observed: string[] = [];
  const metrics: Metrics = {
    ...nullMetrics,
    histogram: (name) => ({ observe: (seconds) => void observed.push(`${name} ${seconds}`) }),
  };
  const modules = { machine, clock, consensus: log, random: seededRandom(1), metrics };
  const store = new ReplicatedStore(PROPOSER_OPTS, modules);
  log.hold();
  const update = store.update(one);
  await clock.advance(500);
  await log.release();
  await update;
  await store.readBarrier();
  t.deepEqual(observed, [
    'swarm_store_write_tx_latency_seconds 0.5',
    'swarm_store_read_tx_latency_seconds 0',
  ]);
});
