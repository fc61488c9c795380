import test from 'ava';
import { TaskRows } from '#manager/store/tasks/task-rows.ts';
import type { TaskGlance } from '#manager/store/view.ts';
import { assert } from '#proto/base/assert.ts';
import { type Random, randomInt, seededRandom } from '#proto/base/random.ts';
import type { TaskPage } from '#proto/gen/shoal.ts';
import { deriveTaskId, type NodeId, type ServiceId, type TaskId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';

const SERVICES: readonly ServiceId[] = ['s1', 's2', 's3'].map((name) => name as ServiceId);
const NODES: readonly NodeId[] = ['n1', 'n2', 'n3', 'n4'].map((name) => name as NodeId);
/** More than a page of a snapshot holds. */
const SERIALS = 1_500;

/** What the table promises, in the simplest words. */
class Model {
  readonly tasks: Map<TaskId, Task>;

  constructor(tasks: ReadonlyMap<TaskId, Task> = new Map()) {
    this.tasks = new Map(tasks);
  }

  all(): Task[] {
    return [...this.tasks.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  byService(id: ServiceId): Task[] {
    return this.all()
      .filter(({ serviceId }) => serviceId === id)
      .sort((a, b) => a.slot - b.slot);
  }

  byNode(id: NodeId): Task[] {
    return this.all().filter(({ nodeId }) => nodeId === id);
  }

  startingWith(prefix: string): Task[] {
    return this.all().filter(({ id }) => id.startsWith(prefix));
  }

  unsettled(): Task[] {
    return this.all().filter(
      ({ status, desired }) =>
        status.state < TaskState.Running ||
        (status.state === TaskState.Running && desired > TaskState.Complete),
    );
  }

  revisions(): string[] {
    return [...new Set(this.all().map((task) => `${task.serviceId} ${task.specVersion}`))].sort();
  }

  countByState(): Map<TaskState, number> {
    const states = Map.groupBy(this.all(), ({ status }) => status.state);
    return new Map([...states].map(([state, tasks]) => [state, tasks.length]));
  }

  countOf(id: ServiceId, specVersion: number): number {
    return this.byService(id).filter((task) => task.specVersion === specVersion).length;
  }
}

interface Pair {
  readonly rows: TaskRows;
  readonly model: Model;
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[randomInt(random, list.length)] as T;
}

function taskOf(random: Random, serial: number, version: number, known: Task | undefined): Task {
  const serviceId = pick(seededRandom(serial), SERVICES);
  const nodeId = known?.nodeId ?? (randomInt(random, 3) === 0 ? undefined : pick(random, NODES));
  const container = { id: 'ab'.repeat(32), pid: randomInt(random, 70_000) };
  return Object.freeze({
    id: deriveTaskId(serviceId, 0, serial),
    serviceId,
    slot: serial % 17,
    specVersion: 1 + (serial % 2),
    ...(nodeId === undefined ? {} : { nodeId }),
    desired: pick(random, [TaskState.Running, TaskState.Complete, TaskState.Shutdown]),
    status: {
      state: pick(random, [TaskState.New, TaskState.Ready, TaskState.Running, TaskState.Failed]),
      atMs: version,
      message: pick(random, ['started', 'a word of its own '.repeat(randomInt(random, 40))]),
      ...(randomInt(random, 2) === 0 ? {} : { container, startedAtMs: version - 5 }),
    },
    networks: [{ networkId: 'net' as never, addresses: ['10.0.0.9/24'] }],
    version,
    createdAtMs: 1_700_000_000_000,
    updatedAtMs: 1_700_000_000_000 + version,
  });
}

function glanceOf({ serviceId, specVersion, slot, nodeId, status, desired }: Task): TaskGlance {
  return { serviceId, specVersion, slot, nodeId, state: status.state, desired };
}

/** All tasks, some at a time. */
function inParts(rows: TaskRows, max: number): Task[] {
  const all: Task[] = [];
  for (let part = rows.following(undefined, max); part.length > 0; part = rows.following(all.at(-1)?.id, max))
    all.push(...part);
  return all;
}

/** One change, alike to both. */
function change({ rows, model }: Pair, random: Random, version: number): void {
  const serial = randomInt(random, SERIALS);
  const id = deriveTaskId(pick(seededRandom(serial), SERVICES), 0, serial);
  const known = model.tasks.get(id);
  if (randomInt(random, 4) === 0) {
    rows.remove(id);
    model.tasks.delete(id);
    return;
  }
  const task = taskOf(random, serial, version, known);
  assert(task.id === id, 'a serial is one task');
  rows.put(id, task);
  model.tasks.set(id, task);
}

function copyOf({ rows, model }: Pair): Pair {
  return { rows: rows.copy(), model: new Model(model.tasks) };
}

test('tasks: views and drafts stay as they were, whatever becomes of the table', (t) => {
  const alike = ({ rows, model }: Pair): void => {
    t.is(rows.size, model.tasks.size);
    t.deepEqual([...rows.all()], model.all());
    t.deepEqual(inParts(rows, 7), model.all());
    t.deepEqual(rows.unsettled(), model.unsettled());
    for (const state of [TaskState.New, TaskState.Ready, TaskState.Running, TaskState.Failed])
      t.deepEqual(
        rows.unsettled(state),
        model.unsettled().filter(({ status }) => status.state === state),
      );
    const revisions = rows.revisions().map((revision) => {
      t.is(revision.tasks, model.countOf(revision.serviceId, revision.specVersion));
      return `${revision.serviceId} ${revision.specVersion}`;
    });
    t.deepEqual(revisions.sort(), model.revisions());
    for (const prefix of ['a', '0k', 'zz1'])
      t.deepEqual(rows.startingWith(prefix), model.startingWith(prefix));
    t.deepEqual(new Map([...rows.countByState()].sort()), new Map([...model.countByState()].sort()));
    for (const id of SERVICES) {
      t.deepEqual(rows.byService(id), model.byService(id));
      t.is(rows.sizeOf(id), model.byService(id).length);
      const seen: TaskGlance[] = [];
      rows.glance(id, (task) => seen.push({ ...task }));
      t.deepEqual(seen, model.byService(id).map(glanceOf));
      for (const version of [1, 2]) t.is(rows.countOf(id, version), model.countOf(id, version));
    }
    for (const id of NODES) {
      t.deepEqual(rows.byNode(id), model.byNode(id));
      t.deepEqual(rows.servicesOn(id), new Set(model.byNode(id).map(({ serviceId }) => serviceId)));
      t.true(model.byNode(id).length === 0 || rows.nodeIds().has(id));
    }
    for (const [id, task] of model.tasks) t.deepEqual(rows.get(id), task);
  };
  for (let seed = 1; seed <= 8; seed++) {
    const random = seededRandom(seed);
    const live: Pair = { rows: new TaskRows(), model: new Model() };
    const copies: Pair[] = [];
    for (let round = 1; round <= 40; round++) {
      for (let i = randomInt(random, 60); i > 0; i--) change(live, random, round);
      const from = copies.length > 0 && randomInt(random, 3) === 0 ? pick(random, copies) : live;
      copies.push(copyOf(from));
      // Some as planning has them.
      if (randomInt(random, 2) === 0) copies.at(-1)?.rows.keepAsked();
      const draft = pick(random, copies);
      for (let i = randomInt(random, 20); i > 0; i--) change(draft, random, 1000 + round);
      if (copies.length > 5) copies.splice(randomInt(random, copies.length), 1);
      if (round % 8 === 0) for (const pair of [live, ...copies]) alike(pair);
    }
  }
});

test('tasks: a walk over all of them is not disturbed by what changes meanwhile', (t) => {
  const random = seededRandom(7);
  const live: Pair = { rows: new TaskRows(), model: new Model() };
  for (let i = 0; i < 2_000; i++) change(live, random, 1);
  const then = live.model.all();
  const seen: Task[] = [];
  for (const task of live.rows.all()) {
    seen.push(task);
    change(live, random, 2);
  }
  t.deepEqual(seen, then);
});

/** What pages of a snapshot hold. */
function loaded(pages: readonly TaskPage[]): Task[] {
  const rows = new TaskRows();
  const loader = rows.loader();
  for (const page of pages) loader.load(page);
  for (const _ of loader.finish());
  const all = [...rows.all()];
  const open = [TaskState.New, TaskState.Ready, TaskState.Running].flatMap((state) => rows.unsettled(state));
  assert(open.length === rows.unsettled().length, 'what is unsettled is found by its state');
  return all;
}

/** The pages, with changes before the first and between one and the next. */
function pagesOf(rows: TaskRows, between: () => void): TaskPage[] {
  const pages: TaskPage[] = [];
  for (const page of rows.pages()) {
    // What a page holds is good until the next one is asked for.
    pages.push(structuredClone(page));
    between();
  }
  return pages;
}

test('tasks: pages hold the moment they were asked for, whatever is made, changed and removed meanwhile', (t) => {
  const random = seededRandom(11);
  const live: Pair = { rows: new TaskRows(), model: new Model() };
  const some = (): void => {
    for (let i = 0; i < 400; i++) change(live, random, 2);
  };
  for (let round = 0; round < 3; round++) {
    some();
    const then = live.model.all();
    t.deepEqual(loaded(pagesOf(live.rows, some)), then);
  }
});

test('tasks: pages of a draft hold what is different there too', (t) => {
  const random = seededRandom(12);
  const live: Pair = { rows: new TaskRows(), model: new Model() };
  for (let i = 0; i < 4_000; i++) change(live, random, 1);
  const draft = copyOf(live);
  for (let i = 0; i < 400; i++) change(draft, random, 2);
  const copy = draft.rows.copy();
  for (let i = 0; i < 400; i++) change(live, random, 3);
  const pages = pagesOf(copy, () => change(live, random, 4));
  t.deepEqual(loaded(pages), draft.model.all());
  t.throws(() => copy.get('0'.repeat(25) as TaskId), { message: /used up/ });
  t.deepEqual([...draft.rows.all()], draft.model.all());
});

test('tasks: a look for what is no id of a task finds nothing', (t) => {
  const rows = new TaskRows();
  rows.put(...rowOf(taskOf(seededRandom(1), 1, 1, undefined)));
  for (const id of ['', 'web.1', 'A'.repeat(25), '~'.repeat(25), '0'.repeat(26)])
    t.is(rows.get(id as TaskId), undefined);
});

function rowOf(task: Task): [TaskId, Task] {
  return [task.id, task];
}
