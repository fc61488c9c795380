import test from 'ava';
import { TaskState } from '#proto/types/states.ts';
import { networkRow } from '../leader/rows.ts';
import { World } from '../leader/world.ts';

test('reaper: many tasks of a removed service go together', (t) => {
  const world = new World();
  world.node('a');
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 50 } });
  world.settle();
  t.is(world.running(web).length, 50);
  world.removeService(web);
  world.settle();
  t.is(world.view.tasks.size, 0);
  t.is(world.view.services.size, 0);
});

test('reaper: tasks that never found a node go as well', (t) => {
  const world = new World();
  const web = world.service('web', { mode: { kind: 'replicated', replicas: 3 } });
  world.settle();
  world.removeService(web);
  world.settle();
  t.is(world.view.tasks.size, 0);
  t.is(world.view.services.size, 0);
});

test('reaper: ended tasks of a removed service go as well', (t) => {
  const world = new World();
  world.node('a');
  const task = { container: { image: 'web:1' }, restart: { condition: 'none' } } as const;
  const web = world.service('web', { task });
  world.settle();
  for (const running of world.running(web)) world.report(running, { state: TaskState.Complete });
  world.settle();
  t.is(world.tasks(web).length, 1);
  world.removeService(web);
  world.settle();
  t.is(world.view.tasks.size, 0);
});

test('reaper: a service that was removed leaves its name to another at once', (t) => {
  const world = new World();
  world.node('a');
  world.destiny = (_task, _spec, step) => (step === 'stop' ? 'hangs' : 'works');
  const web = world.service('web');
  world.settle();
  world.removeService(web);
  world.settle();
  t.is(world.view.services.byName('web'), undefined);
  const again = 'another' as typeof web;
  world.commit([{ kind: 'putService', service: { id: again, spec: world.get(web).spec } }]);
  world.settle();
  t.is(world.picture(again), '1:web:1@a');
});

test('reaper: a network that was removed goes when its last task and service have', (t) => {
  const world = new World();
  world.node('a');
  world.commit([{ kind: 'putNetwork', network: networkRow('back') }]);
  const web = world.service('web', {
    task: { container: { image: 'web:1' }, networks: [{ target: 'net-back' }] },
  });
  world.settle();
  const row = world.view.networks.byName('back');
  if (row === undefined) return t.fail();
  world.commit([{ kind: 'putNetwork', network: { ...row, pendingDelete: true } }]);
  world.settle();
  t.truthy(world.view.networks.get(row.id));
  world.removeService(web);
  world.settle();
  t.is(world.view.networks.get(row.id), undefined);
});
