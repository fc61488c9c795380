import test from 'ava';
import { Agenda } from '#manager/leader/agenda.ts';
import { Alarms } from '#manager/leader/alarms.ts';
import type { Wake } from '#manager/leader/wakes.ts';
import type { StoreView } from '#manager/store/view.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';

const OPTS = { tasksMax: 10, nodesMax: 2 };

/** A view of services with so many tasks each, and of nodes. */
function viewOf(
  sizes: Readonly<Record<string, number>>,
  nodes: readonly string[],
  gone: readonly string[] = [],
) {
  const total = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  const ids = Object.keys(sizes).filter((id) => !gone.includes(id));
  return {
    services: { size: ids.length, all: () => ids.map((id) => ({ id })) },
    nodes: { size: nodes.length, all: () => nodes.map((id) => ({ id })) },
    tasks: {
      size: total,
      sizeOf: (id: ServiceId) => sizes[id] ?? 0,
      revisions: () => Object.keys(sizes).map((serviceId) => ({ serviceId, specVersion: 1, tasks: 1 })),
      nodeIds: () => new Set(nodes),
    },
  } as unknown as StoreView;
}

function parts(agenda: Agenda, view: StoreView): (readonly (readonly string[] | undefined)[])[] {
  const all: Wake[] = [];
  while (!agenda.isEmpty) all.push(agenda.next(view, () => undefined));
  return all.map(({ services, nodes }) => [services && [...services], nodes && [...nodes]]);
}

test('agenda: everything is one part, where it is little', (t) => {
  const agenda = new Agenda(OPTS);
  agenda.add({});
  agenda.add({ services: new Set(['a' as ServiceId]) });
  t.deepEqual(parts(agenda, viewOf({ a: 4, b: 4 }, ['n1'])), [[undefined, undefined]]);
});

test('agenda: much is looked at in parts, each service and node once, and it is told when they begin', (t) => {
  const agenda = new Agenda(OPTS);
  agenda.add({});
  let begun = 0;
  const view = viewOf({ a: 4, b: 4, c: 20, d: 1 }, ['n1', 'n2', 'n3']);
  const first = agenda.next(view, () => begun++);
  t.deepEqual([...(first.services ?? [])], ['a', 'b']);
  t.deepEqual([...(first.nodes ?? [])], ['n1', 'n2']);
  t.is(begun, 1);
  t.deepEqual(parts(agenda, view), [
    [['c'], ['n3']],
    [['d'], undefined],
  ]);
});

test('agenda: what is gone and has left tasks behind is looked at too, and nodes also where there are none', (t) => {
  const agenda = new Agenda(OPTS);
  agenda.add({});
  t.deepEqual(parts(agenda, viewOf({ a: 9, b: 9 }, [], ['b'])), [
    [['a'], []],
    [['b'], undefined],
  ]);
});

test('agenda: what comes meanwhile has its turn after what waits', (t) => {
  const agenda = new Agenda(OPTS);
  const view = viewOf({ a: 9, b: 9, c: 9 }, []);
  agenda.add({ services: new Set(['b', 'c'] as ServiceId[]) });
  t.deepEqual([...(agenda.next(view, () => undefined).services ?? [])], ['b']);
  agenda.add({ services: new Set(['a', 'b', 'c'] as ServiceId[]), nodes: new Set(['n9' as NodeId]) });
  t.deepEqual(parts(agenda, view), [
    [['c'], ['n9']],
    [['a'], undefined],
    [['b'], undefined],
  ]);
});

test('alarms: what waits for a time is due then, and once', (t) => {
  const alarms = new Alarms();
  const [a, b] = ['a', 'b'] as ServiceId[] as [ServiceId, ServiceId];
  alarms.setForServices([a], 10);
  alarms.setForServices([b], 20);
  t.is(alarms.nextAtMs, 10);
  t.deepEqual([...(alarms.take(9) ?? [])], []);
  t.deepEqual([...(alarms.take(10) ?? [])], ['a']);
  t.is(alarms.nextAtMs, 20);
  alarms.setForServices([b], Number.POSITIVE_INFINITY);
  t.is(alarms.nextAtMs, Number.POSITIVE_INFINITY);
});

test('alarms: a look at everything knows all that is waited for; a look at less forgets nothing of the rest', (t) => {
  const alarms = new Alarms();
  alarms.setForEverything(30);
  alarms.setForServices(['a' as ServiceId], 10);
  t.deepEqual([...(alarms.take(10) ?? [])], ['a']);
  t.is(alarms.nextAtMs, 30);
  alarms.addForEverything(25);
  t.is(alarms.take(25), undefined);
  t.is(alarms.nextAtMs, Number.POSITIVE_INFINITY);
});
