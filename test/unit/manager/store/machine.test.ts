import test from 'ava';
import { StoreMachine } from '#manager/store/machine.ts';
import type { EventBatch } from '#manager/store/view.ts';
import { encode } from '#proto/rpc/codec.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { openTestStore } from '../../../support/local-log.ts';
import { createTask, N1, N2, putNode, putService, S1, specOf, statusOf } from './fixtures.ts';

function versionsOf(batches: readonly EventBatch[]): number[] {
  return batches.map(({ version }) => version);
}

test('view: stays as it was when it was taken', async (t) => {
  const { store } = openTestStore();
  await store.update({ changes: [putNode(N1)] });
  const before = store.view();
  await store.update({ changes: [putNode(N2)] });
  t.is(before.nodes.size, 1);
  t.is(before.version, 1);
  t.is(store.view().nodes.size, 2);
  t.is(store.view().version, 2);
  t.is(store.view(), store.view(), 'the same view until something is applied');
});

test('draft: changes itself, and neither the store nor another draft', async (t) => {
  const { store } = openTestStore();
  await store.update({ changes: [putNode(N1)] });
  const [draft, other] = [store.draft(), store.draft()];
  draft.apply(putNode(N2));
  t.is(draft.nodes.size, 2);
  t.is(draft.nodes.get(N2)?.version, 2, 'the version that the entry may get');
  t.is(draft.version, 1);
  t.is(other.nodes.size, 1);
  t.is(store.view().nodes.size, 1);
});

test('draft: throws what would refuse a transaction, and is as before', async (t) => {
  const { store } = openTestStore();
  await store.update({ changes: [putService(S1, specOf('web'))] });
  const draft = store.draft();
  t.throws(() => draft.apply(putService('s2' as typeof S1, specOf('web'))), { code: 'CONFLICT' });
  t.is(draft.services.size, 1);
});

test('draft: may be changed while its rows are gone through', (t) => {
  const draft = openTestStore().store.draft();
  for (let i = 0; i < 100; i++) draft.apply(putNode(`n${i}` as NodeId));
  let seen = 0;
  for (const { id } of draft.nodes.all()) {
    seen++;
    draft.apply({ kind: 'delete', table: 'node', id });
  }
  t.is(seen, 100);
  t.is(draft.nodes.size, 0);
});

test('subscribe: tells of each entry in order, with the view of that moment, until it is ended', async (t) => {
  const { store, machine, log } = openTestStore();
  const seen: [number, number, number][] = [];
  const end = machine.subscribe(({ version, events }) =>
    seen.push([version, events.length, store.view().version]),
  );
  await store.update({ changes: [putNode(N1)] });
  log.append();
  await store.update({ changes: [putNode(N1), putNode(N2)] });
  end();
  await store.update({ changes: [putNode(N1)] });
  t.deepEqual(seen, [
    [1, 1, 1],
    [2, 0, 2],
    [3, 2, 3],
  ]);
});

test('watchFrom: goes on where a watcher stopped', async (t) => {
  const { store } = openTestStore();
  for (let i = 0; i < 5; i++) await store.update({ changes: [putNode(N1)] });
  const seen: EventBatch[] = [];
  const end = store.watchFrom(2, (batch) => seen.push(batch));
  t.deepEqual(versionsOf(seen), [3, 4, 5]);
  await store.update({ changes: [putNode(N1)] });
  t.deepEqual(versionsOf(seen), [3, 4, 5, 6]);
  end?.();
  await store.update({ changes: [putNode(N1)] });
  t.is(seen.length, 4);
});

test('watchFrom: what is remembered is what watchers were told', async (t) => {
  const { store, machine } = openTestStore();
  const told: EventBatch[] = [];
  machine.subscribe((batch) => told.push(batch));
  await store.update({ changes: [putService(S1, specOf('web')), putNode(N1)] });
  await store.update({ changes: [createTask(S1, 1), putNode(N2), createTask(S1, 2)] });
  const ids = [...store.view().tasks.all()].map(({ id }) => id);
  const status = statusOf(TaskState.Failed, 'no such image');
  await store.update({ changes: ids.map((taskId) => ({ kind: 'setTaskStatus', taskId, status })) });
  await store.update({
    changes: [...ids.map((id) => ({ kind: 'delete', table: 'task', id }) as const), putNode(N1)],
  });
  const remembered: EventBatch[] = [];
  machine.watchFrom(0, (batch) => remembered.push(batch));
  t.is(told.length, 4);
  t.deepEqual(remembered, told);
});

test('watchFrom: from a version that this replica has not reached tells only what comes after it', async (t) => {
  const { store } = openTestStore();
  await store.update({ changes: [putNode(N1)] });
  const seen: EventBatch[] = [];
  store.watchFrom(2, (batch) => seen.push(batch));
  for (let i = 0; i < 2; i++) await store.update({ changes: [putNode(N1)] });
  t.deepEqual(versionsOf(seen), [3]);
});

test('watchFrom: what is no longer remembered is refused, and the memory is bounded', async (t) => {
  const { store, log } = openTestStore();
  for (let i = 0; i < 30; i++) await store.update({ changes: [putNode(N1)] });
  const machine = new StoreMachine({ historyEventsMax: 10 });
  machine.apply(log.entries);
  t.is(
    machine.watchFrom(0, () => t.fail()),
    undefined,
  );
  t.is(
    machine.watchFrom(15, () => t.fail()),
    undefined,
  );
  const seen: EventBatch[] = [];
  t.truthy(machine.watchFrom(28, (batch) => seen.push(batch)));
  t.deepEqual(versionsOf(seen), [29, 30]);
});

test('watchFrom: a single entry larger than the memory is forgotten too', async (t) => {
  const { store, log } = openTestStore();
  await store.update({ changes: Array.from({ length: 30 }, (_, i) => putNode(`n${i}` as NodeId)) });
  const machine = new StoreMachine({ historyEventsMax: 10 });
  machine.apply(log.entries);
  t.is(
    machine.watchFrom(0, () => t.fail()),
    undefined,
  );
  t.truthy(machine.watchFrom(1, () => t.fail()));
});

test('apply: empty entries only move the version', (t) => {
  const { machine, log } = openTestStore();
  const before = machine.hash();
  log.append();
  t.is(machine.view().version, 1);
  t.is(machine.hash(), before);
});

test('apply: an index that was applied already is a broken promise', (t) => {
  const { machine, log } = openTestStore();
  log.append();
  t.throws(() => machine.apply([{ index: 1, term: 1, data: new Uint8Array() }]), {
    name: 'InvariantError',
  });
});

test('apply: an entry of a newer version of Shoal is not guessed at', (t) => {
  const { machine } = openTestStore();
  const data = encode('LogEntry', { format: 3 });
  t.throws(() => machine.apply([{ index: 1, term: 1, data }]), {
    code: 'INTERNAL',
    message: /format 3: this version of Shoal reads formats 1 and 2/,
  });
  t.is(machine.version, 0);
});

test('restore: replaces the whole state, and tells subscribers what is different', async (t) => {
  const [source, target] = [openTestStore(), openTestStore({ seed: 2 })];
  const shared = [putNode(N1), putNode(N2), putService(S1, specOf('web'))];
  await source.store.update({ changes: shared });
  target.machine.apply(source.log.entries);
  await source.store.update({ changes: [putNode(N2), { kind: 'delete', table: 'node', id: N1 }] });
  await source.store.update({ changes: [putNode('n3' as NodeId)] });
  const seen: EventBatch[] = [];
  target.store.subscribe((batch) => seen.push(batch));
  await target.machine.restore(source.machine.snapshot(), 3);
  t.is(target.machine.hash(), source.machine.hash());
  t.is(target.store.view().version, 3);
  t.deepEqual(
    seen.map(({ version, events }) => [
      version,
      events.map(({ id, row, previous }) => [id, !!previous, !!row]),
    ]),
    [
      [
        3,
        [
          ['n2', true, true],
          ['n3', false, true],
          ['n1', true, false],
        ],
      ],
    ],
  );
});

test('restore: without subscribers nothing before it is remembered', async (t) => {
  const [source, target] = [openTestStore(), openTestStore({ seed: 2 })];
  for (let i = 0; i < 3; i++) await source.store.update({ changes: [putNode(N1)] });
  await target.machine.restore(source.machine.snapshot(), 3);
  t.is(
    target.store.watchFrom(2, () => t.fail()),
    undefined,
  );
  t.truthy(target.store.watchFrom(3, () => t.fail()));
});

test('restore: a snapshot of another index than it claims is a broken promise', async (t) => {
  const source = openTestStore();
  await source.store.update({ changes: [putNode(N1)] });
  const target = new StoreMachine();
  await t.throwsAsync(target.restore(source.machine.snapshot(), 7), { name: 'InvariantError' });
  t.is(target.version, 0);
});

test('snapshot: is of the moment when its first chunk is asked for', async (t) => {
  const { store, machine } = openTestStore();
  await store.update({ changes: [putNode(N1)] });
  const chunks = machine.snapshot();
  await store.update({ changes: [putNode(N2)] });
  const target = new StoreMachine();
  await target.restore(chunks, 2);
  t.is(target.hash(), machine.hash());
});
