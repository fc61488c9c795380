import test from 'ava';
import type { ServiceId, TaskId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { placeTask, taskStatusIs } from '#test/support/cluster.ts';
import { ApiLab, node, SELF, web } from './lab.ts';

type Json = Record<string, unknown>;

/** Two services: `web` with two tasks on n1 and n2, `all` with one task on this manager. */
async function busy(): Promise<{ lab: ApiLab; web1: TaskId; web2: TaskId; all: TaskId; webId: ServiceId }> {
  const lab = await ApiLab.open();
  await lab.write(node('n1'), node('n2', { hostname: 'two' }));
  const webId = (await lab.create(web({ Labels: { tier: 'front' } }))) as ServiceId;
  const allId = await lab.create(web({ Name: 'all', Mode: { Global: {} } }));
  const web1 = await placeTask(lab.opened, { service: webId, slot: 1, node: 'n1' });
  const web2 = await placeTask(lab.opened, { service: webId, slot: 2, node: 'n2' });
  const all = await placeTask(lab.opened, { service: allId, slot: 0, node: SELF });
  return { lab, web1, web2, all, webId };
}

async function listed(lab: ApiLab, filters: object): Promise<unknown> {
  const { status, body } = await lab.get(`/tasks?filters=${encodeURIComponent(JSON.stringify(filters))}`);
  return status === 200 ? new Set((body as { ID: TaskId }[]).map(({ ID }) => ID)) : { status, body };
}

test('a task shows its spec, its place, and what its node last said', async (t) => {
  const { lab, web1, webId } = await busy();
  await using _ = lab;
  await lab.write(
    taskStatusIs(web1, TaskState.Running, {
      message: 'started',
      container: { id: 'c1', pid: 42 },
      ports: [{ protocol: 'tcp', targetPort: 80, publishedPort: 8080, publishMode: 'host' }],
    }),
  );
  const { body } = await lab.get(`/tasks/${web1.slice(0, 12)}`);
  const { Version, CreatedAt, UpdatedAt, Spec, Status, ...rest } = body as Json;
  t.deepEqual(rest, {
    ID: web1,
    Labels: {},
    ServiceID: webId,
    Slot: 1,
    NodeID: 'n1',
    DesiredState: 'running',
    Volumes: null,
  });
  const { Timestamp, ...status } = Status as Json;
  t.deepEqual(status, {
    State: 'running',
    Message: 'started',
    ContainerStatus: { ContainerID: 'c1', PID: 42, ExitCode: 0 },
    PortStatus: { Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' }] },
  });
  t.like(Spec, { ForceUpdate: 0 });
  t.true([Version, CreatedAt, UpdatedAt, Timestamp].every((value) => value !== undefined));
});

test('lists are filtered by service, node, name, id, label and desired state', async (t) => {
  const { lab, web1, web2, all } = await busy();
  await using _ = lab;
  t.deepEqual(await listed(lab, {}), new Set([web1, web2, all]));
  t.deepEqual(await listed(lab, { service: ['web'] }), new Set([web1, web2]));
  t.deepEqual(await listed(lab, { node: ['two'] }), new Set([web2]));
  t.deepEqual(await listed(lab, { node: ['self'] }), new Set([all]));
  t.deepEqual(await listed(lab, { service: ['web'], node: ['n1', SELF] }), new Set([web1]));
  t.deepEqual(await listed(lab, { name: ['web.2'] }), new Set([web2]));
  t.deepEqual(await listed(lab, { name: [`all.${SELF}`] }), new Set([all]));
  t.deepEqual(await listed(lab, { id: [web1] }), new Set([web1]));
  t.deepEqual(await listed(lab, { label: ['tier=front'] }), new Set([web1, web2]));
  await lab.write({ kind: 'setDesired', taskId: web1, desired: TaskState.Shutdown });
  t.deepEqual(await listed(lab, { 'desired-state': ['shutdown'] }), new Set([web1]));
  t.deepEqual(await listed(lab, { 'desired-state': ['running'], service: ['web'] }), new Set([web2]));
});

test('filters that name nothing, or nothing known, are refused', async (t) => {
  const { lab } = await busy();
  await using _ = lab;
  const refusal = (status: number, message: string): object => ({ status, body: { message } });
  t.deepEqual(await listed(lab, { service: ['nope'] }), refusal(404, 'service nope not found'));
  t.deepEqual(await listed(lab, { node: ['nope'] }), refusal(404, 'node nope not found'));
  t.deepEqual(
    await listed(lab, { 'desired-state': ['asleep'] }),
    refusal(400, "Invalid desired-state filter: 'asleep'"),
  );
  t.deepEqual(await listed(lab, { sea: ['x'] }), refusal(400, "invalid filter 'sea'"));
  t.deepEqual(await lab.get('/tasks/nope'), { status: 404, body: { message: 'task nope not found' } });
});

test('of tasks that run an old spec, those are up to date whose spec is the same to the letter', async (t) => {
  const { lab, web1, web2, all, webId } = await busy();
  await using _ = lab;
  const upToDate = { '_up-to-date': ['true'] };
  t.deepEqual(await listed(lab, upToDate), new Set([web1, web2, all]));
  const before = lab.view.services.get(webId)!.spec;
  const scaled = { ...before, mode: { kind: 'replicated', replicas: 2 } } as const;
  await lab.write({ kind: 'putService', service: { id: webId, spec: scaled } });
  t.deepEqual(await listed(lab, upToDate), new Set([web1, web2, all]));
  const changed = { ...scaled, task: { ...scaled.task, forceUpdate: 1 } };
  await lab.write({ kind: 'putService', service: { id: webId, spec: changed } });
  t.deepEqual(await listed(lab, upToDate), new Set([all]));
});
