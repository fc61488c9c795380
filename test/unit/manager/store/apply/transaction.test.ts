import test from 'ava';
import { hashOf } from '#manager/store/hash.ts';
import { TaskState } from '#proto/types/states.ts';
import { createTask, N1, N2, putNode, putService, S1, S2, Sandbox, specOf, taskId } from '../fixtures.ts';

test('expectations: version 0 means that there is none yet', (t) => {
  const box = new Sandbox();
  const expects = [{ table: 'node', id: N1, version: 0 }] as const;
  t.is(box.refusal([putNode(N1)], expects), undefined);
  t.is(box.refusal([putNode(N1)], expects), 'OUT_OF_SEQUENCE');
});

test('expectations: any other version must be the row’s', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1));
  box.apply(putNode(N1));
  const expecting = (version: number) => box.refusal([], [{ table: 'node', id: N1, version }]);
  t.is(expecting(1), 'OUT_OF_SEQUENCE');
  t.is(expecting(2), undefined);
  t.is(expecting(3), 'OUT_OF_SEQUENCE');
  t.is(box.refusal([], [{ table: 'node', id: N2, version: 2 }]), 'OUT_OF_SEQUENCE');
});

test('expectations: a service only has to have the spec it had then', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1));
  box.apply(putService(S1, specOf('web')));
  box.apply({ kind: 'allocateService', serviceId: S1, endpoint: { mode: 'vip', ports: [], vips: [] } });
  const expecting = (version: number) => box.refusal([], [{ table: 'service', id: S1, version }]);
  t.is(expecting(1), 'OUT_OF_SEQUENCE', 'it was not there');
  t.is(expecting(2), undefined);
  t.is(expecting(3), undefined);
  t.is(expecting(4), 'OUT_OF_SEQUENCE', 'it has never had that version');
  box.apply(putService(S1, specOf('web', 'other')));
  t.is(expecting(3), 'OUT_OF_SEQUENCE');
});

test('expectations: revisions are named by service and version', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web')));
  t.is(box.refusal([], [{ table: 'revision', id: `${S1}/1`, version: 1 }]), undefined);
});

test('expectations: one that fails refuses everything, and says so in Swarm’s words', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1));
  const before = hashOf(box.tables);
  const outcome = box.try(
    [putNode(N2), putService(S1, specOf('web'))],
    [
      { table: 'node', id: N1, version: 1 },
      { table: 'node', id: N2, version: 7 },
    ],
  );
  t.is('refused' in outcome && outcome.refused.message, 'update out of sequence');
  t.is(hashOf(box.tables), before);
});

test('refusal: in the middle of a transaction leaves no trace of what came before', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1), putService(S1, specOf('web')), putService(S2, specOf('db')), createTask(S1));
  const before = hashOf(box.tables);
  const code = box.refusal([
    { kind: 'allocateTask', taskId: taskId(S1, 0), networks: [] },
    { kind: 'assignTask', taskId: taskId(S1, 0), nodeId: N1 },
    createTask(S1, 2),
    { kind: 'delete', table: 'node', id: N1 },
    { kind: 'delete', table: 'service', id: S2 },
    putService(S1, specOf('db', 'other')),
    putService(S2, specOf('db')),
  ]);
  t.is(code, 'CONFLICT');
  t.is(hashOf(box.tables), before);
  t.is(box.tables.services.byName('db')?.id, S2);
  t.is(box.tables.services.byName('web')?.id, S1);
  t.deepEqual(box.tables.tasks.byNode(N1), []);
  t.is(box.tables.tasksOf(S1, 1), 1);
});

test('events: one a row, from what it was to what it became', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1), putService(S1, specOf('web')));
  const id = taskId(S1, 0);
  const events = box.apply(
    createTask(S1),
    { kind: 'allocateTask', taskId: id, networks: [] },
    { kind: 'assignTask', taskId: id, nodeId: N1 },
  );
  t.is(events.length, 1);
  t.like(events[0], { table: 'task', id, row: { status: { state: TaskState.Assigned } } });
  t.false('previous' in (events[0] as object));
  const [gone] = box.apply({ kind: 'delete', table: 'task', id });
  t.false('row' in (gone as object));
  t.like(gone, { table: 'task', id, previous: { nodeId: N1 } });
});

test('events: what comes and goes in one transaction was never there', (t) => {
  const box = new Sandbox();
  t.deepEqual(box.apply(putNode(N1), { kind: 'delete', table: 'node', id: N1 }), []);
});

test('rows: are frozen', (t) => {
  const box = new Sandbox();
  box.apply(putNode(N1), putService(S1, specOf('web')), createTask(S1));
  for (const table of ['node', 'service', 'revision', 'task'] as const)
    for (const row of box.tables.all(table)) t.true(Object.isFrozen(row), table);
});
