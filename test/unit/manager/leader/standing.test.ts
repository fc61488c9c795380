import test from 'ava';
import { Standing } from '#manager/leader/standing.ts';
import type { Change } from '#manager/store/changes.ts';
import { randomInt, seededRandom } from '#proto/base/random.ts';
import type { NetworkId, NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { openTestStoreWith } from '#test/support/local-log.ts';
import { clusterRow, nodeRow } from './rows.ts';
import { checkStanding } from './standing.ts';

const SERVICES = ['a', 'b', 'c'].map((name) => `service-${name}` as ServiceId);
const NODES = ['n1', 'n2', 'n3'].map((name) => name as NodeId);

function service(id: ServiceId, number: number, cpus: number): Change {
  const resources = { reservations: { nanoCpus: cpus } };
  const ports = [
    { protocol: 'tcp', targetPort: 80, publishedPort: 8000 + number, publishMode: 'host' },
  ] as const;
  const task = { container: { image: 'image' }, resources };
  const mode = { kind: 'replicated', replicas: 1 } as const;
  return { kind: 'putService', service: { id, spec: { name: id, task, mode, endpoint: { ports } } } };
}

/** What may become of a task. */
function next(task: Task, random: () => number): Change {
  const states = [TaskState.Assigned, TaskState.Running, TaskState.Failed];
  const address = `10.0.${randomIntOf(random, 2)}.${randomIntOf(random, 200)}/16`;
  const changes: Change[] = [
    {
      kind: 'allocateTask',
      taskId: task.id,
      networks: [{ networkId: 'net' as NetworkId, addresses: [address] }],
    },
    { kind: 'assignTask', taskId: task.id, nodeId: NODES[randomIntOf(random, NODES.length)] as NodeId },
    {
      kind: 'setTaskStatus',
      taskId: task.id,
      status: { state: states[randomIntOf(random, 3)] as TaskState, atMs: 1, message: '' },
    },
    { kind: 'setDesired', taskId: task.id, desired: TaskState.Shutdown },
    { kind: 'delete', table: 'task', id: task.id },
  ];
  return changes[randomIntOf(random, changes.length)] as Change;
}

function randomIntOf(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

for (const seed of [1, 2, 3, 4]) {
  test(`standing: what happens while tasks are counted, and after, is counted once (seed ${seed})`, async (t) => {
    const random = seededRandom(seed);
    const { store } = await openTestStoreWith([
      { kind: 'putCluster', cluster: clusterRow() },
      ...NODES.map((id): Change => ({ kind: 'putNode', node: nodeRow(id) })),
      ...SERVICES.map((id, number) => service(id, number, 1 + number)),
    ]);
    const some = async (): Promise<void> => {
      const changes: Change[] = [];
      for (const task of store.view().tasks.all())
        if (randomInt(random, 3) === 0) changes.push(next(task, () => random.next()));
      for (let made = randomInt(random, 6); made > 0; made--)
        changes.push({
          kind: 'createTask',
          serviceId: SERVICES[randomInt(random, 3)] as ServiceId,
          slot: 1,
          desired: TaskState.Running,
        });
      if (randomInt(random, 5) === 0)
        changes.push(service(SERVICES[randomInt(random, 3)] as ServiceId, 0, randomInt(random, 9)));
      await store.update({ changes });
    };
    for (let round = 0; round < 15; round++) await some();
    const standing = new Standing((id, version) => store.view().revision(id, version));
    const end = store.subscribe((batch) => standing.note(batch));
    while (standing.count(store.view(), 3)) await some();
    for (let round = 0; round < 15; round++) {
      await some();
      checkStanding(standing, store.view());
      t.is(standing.version, store.view().version);
    }
    t.true(store.view().tasks.size > 0 && standing.isComplete);
    end();
  });
}
