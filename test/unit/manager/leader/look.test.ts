import test from 'ava';
import type { Controller, Situation } from '#manager/leader/controller.ts';
import { lookAround } from '#manager/leader/look.ts';
import type { Change } from '#manager/store/changes.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { openTestStoreWith } from '#test/support/local-log.ts';

const WEB = 'web' as ServiceId;
const SPEC = { name: 'web', task: { container: { image: 'web:1' } }, mode: { kind: 'global' } } as const;
const LIMITS = { roundsMax: 5, changesMax: 1_000, tasksMax: 1_000 };
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
  const opts = { controllers: [watcher, maker, watcher], ...LIMITS };
  const look = lookAround(opts, store.draft(), { nowMs: 0, networkReady: new Map() }, never);
  t.deepEqual(seen, [0, 1, 1, 1]);
  t.deepEqual(look, { changes: [createTask], wakeAtMs: Number.POSITIVE_INFINITY, settled: true, cut: false });
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
  lookAround({ controllers: [maker], ...LIMITS }, store.draft(), situation, never);
  t.deepEqual(seen, [undefined, [WEB], [WEB]]);
});

test('look: no more is planned than a look may write, and the rest is left to the next one', async (t) => {
  const { store } = await openTestStoreWith([{ kind: 'putService', service: { id: WEB, spec: SPEC } }]);
  const maker = controller((view) => {
    const missing = 10 - view.tasks.size;
    return { changes: Array.from({ length: missing }, (_, slot) => ({ ...createTask, slot }) as Change) };
  });
  const later = controller(() => t.fail('the look was over') as never);
  const opts = { controllers: [maker, later], ...LIMITS, changesMax: 4 };
  const draft = store.draft();
  const look = lookAround(opts, draft, { nowMs: 0, networkReady: new Map() }, never);
  t.is(look.changes.length, 4);
  t.is(draft.tasks.size, 4);
  t.true(look.cut && look.settled);
});

test('look: services with more tasks than a round may judge are looked at again when what was planned is written', async (t) => {
  const { store } = await openTestStoreWith([{ kind: 'putService', service: { id: WEB, spec: SPEC } }]);
  let rounds = 0;
  const maker = controller((view) => {
    rounds++;
    const changes = [1, 2, 3].map((slot): Change => ({ ...createTask, slot }) as Change);
    return { changes: view.tasks.size === 0 ? changes : [] };
  });
  const opts = { controllers: [maker], ...LIMITS, tasksMax: 2 };
  const look = lookAround(opts, store.draft(), { nowMs: 0, networkReady: new Map() }, never);
  t.is(rounds, 1);
  t.is(look.changes.length, 3);
  t.true(look.settled && !look.cut);
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
  const look = lookAround({ controllers, ...LIMITS }, store.draft(), situation, (name) => faults.push(name));
  t.is(look.wakeAtMs, 7);
  t.deepEqual(faults, ['one']);
});
