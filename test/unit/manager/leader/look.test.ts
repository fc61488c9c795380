import test from 'ava';
import type { Controller, Situation } from '#manager/leader/controller.ts';
import { lookAround } from '#manager/leader/look.ts';
import type { Change } from '#manager/store/changes.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { openTestStoreWith } from '#test/support/local-log.ts';

const WEB = 'web' as ServiceId;
const SPEC = { name: 'web', task: { container: { image: 'web:1' } }, mode: { kind: 'global' } } as const;
const never = (name: string, error: unknown): void => {
  throw new Error(`${name} failed`, { cause: error });
};

function controller(plan: Controller['plan']): Controller {
  return { name: 'one', wakesOn: [], plan };
}

const createTask: Change = { kind: 'createTask', serviceId: WEB, slot: 1, desired: TaskState.Running };

test('look: a controller sees what those before it planned, and every one gets a last word', async (t) => {
  const { store } = await openTestStoreWith([{ kind: 'putService', service: { id: WEB, spec: SPEC } }]);
  const seen: number[] = [];
  const maker = controller((view) => ({ changes: view.tasks.size === 0 ? [createTask] : [] }));
  const watcher = controller((view) => {
    seen.push(view.tasks.size);
    return { changes: [] };
  });
  const opts = { controllers: [watcher, maker, watcher], roundsMax: 5 };
  const look = lookAround(opts, store.draft(), { nowMs: 0, networkReady: new Map() }, never);
  t.deepEqual(seen, [0, 1, 1, 1]);
  t.deepEqual(look, { changes: [createTask], wakeAtMs: Number.POSITIVE_INFINITY, settled: true });
  t.is(store.view().tasks.size, 0);
});

test('look: what one round changed is what the next one looks at', async (t) => {
  const { store } = await openTestStoreWith([{ kind: 'putService', service: { id: WEB, spec: SPEC } }]);
  const seen: (readonly string[] | undefined)[] = [];
  const maker = controller((view, { services }) => {
    seen.push(services && [...services]);
    if (view.tasks.size === 0) return { changes: [createTask] };
    const [task] = view.tasks.byService(WEB);
    if (task === undefined || task.desired === TaskState.Remove) return { changes: [] };
    return { changes: [{ kind: 'setDesired', taskId: task.id, desired: TaskState.Remove }] };
  });
  const situation: Situation = { nowMs: 0, networkReady: new Map() };
  lookAround({ controllers: [maker], roundsMax: 5 }, store.draft(), situation, never);
  t.deepEqual(seen, [undefined, [WEB], [WEB]]);
});

test('look: the earliest time that anybody waits for is kept, and a fault is told of', async (t) => {
  const { store } = await openTestStoreWith([]);
  const faults: string[] = [];
  const controllers = [
    controller(() => ({ changes: [], wakeAtMs: 9 })),
    controller(() => {
      throw new Error('cannot');
    }),
    controller(() => ({ changes: [], wakeAtMs: 7 })),
  ];
  const situation: Situation = { nowMs: 0, networkReady: new Map() };
  const look = lookAround({ controllers, roundsMax: 5 }, store.draft(), situation, (name) =>
    faults.push(name),
  );
  t.is(look.wakeAtMs, 7);
  t.deepEqual(faults, ['one']);
});
