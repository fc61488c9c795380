import test from 'ava';
import type { Service, UpdateStatus } from '#proto/types/objects.ts';
import { createTask, putService, S1, S2, Sandbox, specOf, taskId } from '../fixtures.ts';

const updating: UpdateStatus = { state: 'updating', startedAtMs: 1, message: '', targetVersion: 1 };

function versionsOf(box: Sandbox): number[] {
  return [...box.tables.all('revision')].map((revision) => revision.specVersion);
}

function serviceOf(box: Sandbox): Service {
  return box.tables.services.get(S1) as Service;
}

test('putService: a new one has a revision of what its tasks run', (t) => {
  const box = new Sandbox();
  const ports = [{ protocol: 'tcp', targetPort: 80, publishMode: 'ingress' }] as const;
  box.apply(putService(S1, { ...specOf('web'), labels: { a: 'b' }, endpoint: { ports } }));
  const service = serviceOf(box);
  t.is(service.specVersion, 1);
  t.is(service.tasksMade, 0);
  t.false('previousSpec' in service);
  t.deepEqual(box.view().revision(S1, 1), {
    serviceId: S1,
    specVersion: 1,
    task: specOf('web').task,
    serviceName: 'web',
    serviceLabels: { a: 'b' },
    ports,
    version: 1,
    createdAtMs: 1000,
    updatedAtMs: 1000,
  });
});

test('putService: another spec moves the stored one to previousSpec and is a new revision', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web', 'a')));
  box.apply({ kind: 'setUpdateStatus', serviceId: S1, update: updating });
  box.apply(putService(S1, specOf('web', 'b')));
  const service = serviceOf(box);
  t.is(service.spec.task.container.image, 'b');
  t.is(service.previousSpec?.task.container.image, 'a');
  t.deepEqual([service.specVersion, service.previousSpecVersion, service.version], [3, 1, 3]);
  t.deepEqual(service.update, updating);
  t.is(service.createdAtMs, 1000);
  t.is(service.updatedAtMs, 3000);
  t.deepEqual(versionsOf(box), [1, 3]);
});

test('putService: the same spec is a new version, and no new revision', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, { ...specOf('web'), labels: { a: '1', b: '2' } }));
  box.apply(putService(S1, { ...specOf('web'), labels: { b: '2', a: '1' } }));
  const service = serviceOf(box);
  t.deepEqual([service.specVersion, service.version], [1, 2]);
  t.false('previousSpec' in service);
  t.deepEqual(versionsOf(box), [1]);
});

test('putService: pendingDelete stays unless it is given', (t) => {
  const box = new Sandbox();
  box.apply({ kind: 'putService', service: { id: S1, spec: specOf('web'), pendingDelete: true } });
  box.apply(putService(S1, specOf('web')));
  t.true(serviceOf(box).pendingDelete);
  box.apply({ kind: 'putService', service: { id: S1, spec: specOf('web'), pendingDelete: false } });
  t.false('pendingDelete' in serviceOf(box));
});

test('putService: a name is one live service’s; the whole transaction is refused', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web')));
  const outcome = box.try([createTask(S1), putService(S2, specOf('web'))]);
  t.true('refused' in outcome);
  if ('refused' in outcome) {
    t.is(outcome.refused.code, 'CONFLICT');
    t.is(outcome.refused.message, 'name conflicts with an existing object: service web already exists');
  }
  t.is(box.tables.services.size, 1);
  t.is(box.tables.tasks.size, 0);
  t.is(serviceOf(box).tasksMade, 0);
});

test('putService: a name is free once its service is asked to go', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web')), createTask(S1));
  box.apply({ kind: 'delete', table: 'service', id: S1 }, putService(S2, specOf('web')));
  t.is(box.tables.services.byName('web')?.id, S2);
  t.true(serviceOf(box).pendingDelete);
  t.is(
    box.refusal([{ kind: 'putService', service: { id: S1, spec: specOf('web'), pendingDelete: false } }]),
    'CONFLICT',
  );
  t.is(box.tables.services.byName('web')?.id, S2);
});

test('putService: two specs can’t have one version', (t) => {
  const box = new Sandbox();
  const twice = [putService(S1, specOf('web', 'a')), putService(S1, specOf('web', 'b'))];
  t.is(box.refusal(twice), 'OUT_OF_SEQUENCE');
  t.is(box.tables.services.size, 0);
  t.deepEqual(versionsOf(box), []);
});

test('revisions: live as long as their service or a task refers to them', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web', 'a')), createTask(S1), createTask(S1));
  box.apply(putService(S1, specOf('web', 'b')));
  box.apply(putService(S1, specOf('web', 'c')));
  box.apply(putService(S1, specOf('web', 'd')));
  t.deepEqual(versionsOf(box), [1, 3, 4], 'the second is nobody’s any more, the first has tasks');
  box.apply({ kind: 'delete', table: 'task', id: taskId(S1, 0) });
  t.deepEqual(versionsOf(box), [1, 3, 4]);
  box.apply({ kind: 'delete', table: 'task', id: taskId(S1, 1) });
  t.deepEqual(versionsOf(box), [3, 4]);
  box.apply({ kind: 'delete', table: 'service', id: S1 });
  t.deepEqual(versionsOf(box), []);
  t.is(box.tables.services.size, 0);
});

test('revisions: the previous one stays without tasks, to be rolled back to', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web', 'a')), createTask(S1));
  box.apply(putService(S1, specOf('web', 'b')), { kind: 'delete', table: 'task', id: taskId(S1, 0) });
  t.deepEqual(versionsOf(box), [1, 2]);
});

test('delete: a service with tasks is only marked, and goes when they are gone', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web')), createTask(S1));
  box.apply({ kind: 'delete', table: 'service', id: S1 });
  t.true(serviceOf(box).pendingDelete);
  t.is(box.tables.services.byName('web'), undefined);
  t.deepEqual(box.apply({ kind: 'delete', table: 'service', id: S1 }), []);
  box.apply(
    { kind: 'delete', table: 'task', id: taskId(S1, 0) },
    { kind: 'delete', table: 'service', id: S1 },
  );
  t.is(box.tables.services.size, 0);
  t.deepEqual(versionsOf(box), []);
});

test('rollBackService: swaps the specs as a new revision, and aims the status at it', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web', 'a')));
  t.deepEqual(box.apply({ kind: 'rollBackService', serviceId: S1 }), [], 'there is nothing to go back to');
  box.apply(putService(S1, specOf('web', 'b')));
  box.apply({ kind: 'rollBackService', serviceId: S1, update: { ...updating, state: 'rollback_started' } });
  const service = serviceOf(box);
  t.is(service.spec.task.container.image, 'a');
  t.is(service.previousSpec?.task.container.image, 'b');
  t.deepEqual([service.specVersion, service.previousSpecVersion], [4, 3]);
  t.deepEqual(service.update, { ...updating, state: 'rollback_started', targetVersion: 4 });
  t.deepEqual(versionsOf(box), [3, 4]);
  box.apply({ kind: 'rollBackService', serviceId: S1 });
  t.is(serviceOf(box).spec.task.container.image, 'b');
  t.is(serviceOf(box).update?.targetVersion, 4);
});

test('rollBackService: not to a name that another service has meanwhile', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web')));
  box.apply(putService(S1, specOf('site')), putService(S2, specOf('web')));
  t.is(box.refusal([{ kind: 'rollBackService', serviceId: S1 }]), 'CONFLICT');
  t.is(serviceOf(box).spec.name, 'site');
});

test('allocateService, setUpdateStatus: set their part, and nothing when it is so already', (t) => {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web')));
  const endpoint = { mode: 'vip', ports: [], vips: [] } as const;
  box.apply({ kind: 'allocateService', serviceId: S1, endpoint });
  t.deepEqual(serviceOf(box).endpoint, endpoint);
  t.deepEqual(box.apply({ kind: 'allocateService', serviceId: S1, endpoint: { ...endpoint } }), []);
  box.apply({ kind: 'setUpdateStatus', serviceId: S1, update: updating });
  t.deepEqual(serviceOf(box).update, updating);
  t.deepEqual(box.apply({ kind: 'setUpdateStatus', serviceId: S1, update: { ...updating } }), []);
  t.deepEqual(serviceOf(box).endpoint, endpoint);
  t.is(serviceOf(box).specVersion, 1);
});

test('services: changes of one that is gone are skipped', (t) => {
  const box = new Sandbox();
  const endpoint = { mode: 'vip', ports: [], vips: [] } as const;
  t.deepEqual(
    box.apply(
      { kind: 'allocateService', serviceId: S1, endpoint },
      { kind: 'setUpdateStatus', serviceId: S1, update: updating },
      { kind: 'rollBackService', serviceId: S1 },
      { kind: 'delete', table: 'service', id: S1 },
    ),
    [],
  );
});
