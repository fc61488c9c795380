import test from 'ava';
import { deriveTaskId } from '#proto/types/ids.ts';
import type { Cluster, Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import {
  createTask,
  N1,
  N2,
  NET1,
  putNode,
  putService,
  S1,
  Sandbox,
  specOf,
  statusOf,
  taskId,
} from '../fixtures.ts';

/** A service with one task (version 1), its node, and nothing done yet. */
function withTask(): { box: Sandbox; id: Task['id']; task: () => Task } {
  const box = new Sandbox();
  box.apply(putService(S1, specOf('web')), putNode(N1), createTask(S1));
  const id = taskId(S1, 0);
  return { box, id, task: () => box.tables.tasks.get(id) as Task };
}

test('createTask: makes a New task of the present revision, with a derived id', (t) => {
  const { task, box } = withTask();
  t.deepEqual(task(), {
    id: deriveTaskId(S1, 0, 0),
    serviceId: S1,
    specVersion: 1,
    slot: 1,
    desired: TaskState.Running,
    status: { state: TaskState.New, atMs: 1000, message: 'created' },
    networks: [],
    version: 1,
    createdAtMs: 1000,
    updatedAtMs: 1000,
  });
  box.apply(putService(S1, specOf('web', 'nginx:2')));
  box.apply({ ...createTask(S1, 2, TaskState.Ready), nodeId: N1, startAfterMs: 7, attempt: 2 });
  const next = box.tables.tasks.get(taskId(S1, 1));
  t.is(next?.specVersion, 2);
  t.is(next?.nodeId, N1);
  t.is(next?.startAfterMs, 7);
  t.is(next?.attempt, 2);
});

test('createTask: counts the tasks of the service without a new version of it, and without an event', (t) => {
  const { box } = withTask();
  const events = box.apply(createTask(S1), createTask(S1));
  const service = box.tables.services.get(S1);
  t.is(service?.tasksMade, 3);
  t.is(service?.version, 1);
  t.is(service?.updatedAtMs, 1000);
  t.deepEqual(
    events.map(({ table }) => table),
    ['task', 'task'],
  );
});

test('createTask: ids depend on the epoch of the cluster', (t) => {
  const { box } = withTask();
  const cluster = { id: 'c', epoch: 3 } as unknown as Cluster;
  box.apply({ kind: 'putCluster', cluster });
  box.apply(createTask(S1));
  t.truthy(box.tables.tasks.get(deriveTaskId(S1, 3, 1)));
});

test('createTask: never takes the id of another task', (t) => {
  const { box, task } = withTask();
  const taken = Object.freeze({ ...task(), id: taskId(S1, 1), slot: 9 });
  box.tables.put('task', taken);
  t.deepEqual(box.apply(createTask(S1)), []);
  t.is(box.tables.tasks.get(taken.id), taken);
  box.apply(createTask(S1));
  t.is(box.tables.tasks.get(taskId(S1, 2))?.slot, 1, 'the next serial is free');
});

test('createTask: is skipped without its service', (t) => {
  const box = new Sandbox();
  t.deepEqual(box.apply(createTask(S1)), []);
  t.is(box.tables.tasks.size, 0);
});

test('allocateTask: a New task becomes Pending with its addresses; any other is left alone', (t) => {
  const { box, id, task } = withTask();
  const networks = [{ networkId: NET1, addresses: ['10.0.0.5/24'] }];
  box.apply({ kind: 'allocateTask', taskId: id, networks });
  t.is(task().status.state, TaskState.Pending);
  t.deepEqual(task().networks, networks);
  t.is(task().version, 2);
  t.deepEqual(box.apply({ kind: 'allocateTask', taskId: id, networks: [] }), []);
  t.deepEqual(task().networks, networks);
});

test('assignTask: a Pending task gets its node; without the task or the node nothing happens', (t) => {
  const { box, id, task } = withTask();
  t.deepEqual(box.apply({ kind: 'assignTask', taskId: id, nodeId: N1 }), [], 'it is not Pending yet');
  box.apply({ kind: 'allocateTask', taskId: id, networks: [] });
  t.deepEqual(box.apply({ kind: 'assignTask', taskId: id, nodeId: N2 }), [], 'that node is gone');
  t.deepEqual(box.apply({ kind: 'assignTask', taskId: taskId(S1, 9), nodeId: N1 }), []);
  box.apply({ kind: 'assignTask', taskId: id, nodeId: N1 });
  t.is(task().status.state, TaskState.Assigned);
  t.deepEqual(
    box.tables.tasks.byNode(N1).map((each) => each.id),
    [id],
  );
});

test('setDesired: only grows', (t) => {
  const { box, id, task } = withTask();
  t.deepEqual(box.apply({ kind: 'setDesired', taskId: id, desired: TaskState.Ready }), []);
  t.deepEqual(box.apply({ kind: 'setDesired', taskId: id, desired: TaskState.Running }), []);
  box.apply({ kind: 'setDesired', taskId: id, desired: TaskState.Complete });
  t.is(task().desired, TaskState.Complete);
  t.false('leavingVersion' in task());
});

test('setDesired: from Shutdown on the task is leaving, since the first such version', (t) => {
  const { box, id, task } = withTask();
  box.apply({ kind: 'setDesired', taskId: id, desired: TaskState.Shutdown });
  t.is(task().leavingVersion, 2);
  box.apply({ kind: 'setDesired', taskId: id, desired: TaskState.Remove });
  t.is(task().desired, TaskState.Remove);
  t.is(task().leavingVersion, 2);
});

test('setTaskStatus: states only grow; an equal one refreshes, and alike changes nothing', (t) => {
  const { box, id, task } = withTask();
  const set = (status: Task['status']) => box.apply({ kind: 'setTaskStatus', taskId: id, status });
  set(statusOf(TaskState.Preparing, 'pulling'));
  t.is(set(statusOf(TaskState.Accepted)).length, 0);
  t.is(task().status.message, 'pulling');
  const refreshed = {
    ...statusOf(TaskState.Preparing, 'unpacking'),
    container: { id: 'c' },
    meshAddr: '100.64.0.16',
  };
  set(refreshed);
  t.deepEqual(task().status, refreshed);
  const { version } = task();
  t.deepEqual(set({ ...refreshed, container: { id: 'c' } }), []);
  t.is(task().version, version);
  t.deepEqual(box.apply({ kind: 'setTaskStatus', taskId: taskId(S1, 9), status: refreshed }), []);
});

test('setTaskStatus: when a task first ran stays known', (t) => {
  const { box, id, task } = withTask();
  const running = { ...statusOf(TaskState.Running), startedAtMs: 77 };
  box.apply({ kind: 'setTaskStatus', taskId: id, status: running });
  box.apply({ kind: 'setTaskStatus', taskId: id, status: statusOf(TaskState.Orphaned) });
  t.is(task().status.startedAtMs, 77);
});

test('releaseTask: once', (t) => {
  const { box, id, task } = withTask();
  t.is(box.apply({ kind: 'releaseTask', taskId: id }).length, 1);
  t.true(task().released);
  t.deepEqual(box.apply({ kind: 'releaseTask', taskId: id }), []);
});

test('delete: a task leaves every index', (t) => {
  const { box, id } = withTask();
  box.apply({ ...createTask(S1, 2), nodeId: N1 });
  box.apply(
    { kind: 'delete', table: 'task', id: taskId(S1, 1) },
    { kind: 'delete', table: 'task', id: 'none' },
  );
  t.deepEqual(box.tables.tasks.byNode(N1), []);
  t.deepEqual(
    box.tables.tasks.byService(S1).map((task) => task.id),
    [id],
  );
  t.is(box.tables.tasks.size, 1);
});
