import test from 'ava';
import { nodeStatus, unstoredNode } from '#proto/convert/node.ts';
import { service, serviceSpec } from '#proto/convert/service.ts';
import { taskStatus } from '#proto/convert/task.ts';
import { decode, encode } from '#proto/rpc/codec.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { roundTrip } from '../../../support/round-trip.ts';

const web: ServiceSpec = {
  name: 'web',
  task: { container: { image: 'nginx' } },
  mode: { kind: 'replicated', replicas: 0 },
};

function overWire(spec: ServiceSpec): ServiceSpec {
  return roundTrip('ServiceSpec', serviceSpec, spec);
}

test('specs: absent, empty and zero stay three different things', (t) => {
  const bare = overWire(web);
  t.false('labels' in bare);
  t.false('args' in bare.task.container);
  t.deepEqual(bare.mode, { kind: 'replicated', replicas: 0 });

  const given = overWire({
    ...web,
    labels: {},
    task: { container: { image: '', args: [], env: [''], hostname: '', tty: false }, forceUpdate: 0 },
    update: { parallelism: 0 },
    endpoint: {},
  });
  t.deepEqual(given.labels, {});
  t.deepEqual(given.task, {
    container: { image: '', args: [], env: [''], hostname: '', tty: false },
    forceUpdate: 0,
  });
  t.deepEqual(given.update, { parallelism: 0 });
  t.deepEqual(given.endpoint, {});
});

test('specs: lists and maps keep their order', (t) => {
  const spec = overWire({ ...web, labels: { zone: 'b', area: 'a', __proto: 'c' } });
  t.deepEqual(Object.keys(spec.labels ?? {}), ['zone', 'area', '__proto']);
  const env = ['B=1', 'A=2', 'B=1'];
  t.deepEqual(overWire({ ...web, task: { container: { image: 'a', env } } }).task.container.env, env);
});

test('specs: a label may be named like a property of objects', (t) => {
  const labels = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string>;
  t.deepEqual(Object.entries(overWire({ ...web, labels }).labels ?? {}), Object.entries(labels));
});

test('decoded values: are frozen all through', (t) => {
  const spec = overWire({
    ...web,
    labels: { a: 'b' },
    task: { container: { image: 'a', env: ['x'], mounts: [] } },
  });
  t.true(Object.isFrozen(spec));
  t.true(Object.isFrozen(spec.labels));
  t.true(Object.isFrozen(spec.mode));
  t.true(Object.isFrozen(spec.task.container));
  t.true(Object.isFrozen(spec.task.container.env));
  t.true(Object.isFrozen(spec.task.container.mounts));
});

test('words: an unknown one from the wire is refused, and named', (t) => {
  const bytes = encode('ServiceSpec', { ...serviceSpec.toWire(web), update: { order: 'sideways' } });
  t.throws(() => serviceSpec.fromWire(decode('ServiceSpec', bytes)), {
    code: 'INVALID_ARGUMENT',
    message: 'unknown update order "sideways": expected stop-first, start-first',
  });
  t.throws(() => nodeStatus.fromWire(decode('NodeStatus', encode('NodeStatus', { state: 'tired' }))), {
    message: 'unknown node state "tired": expected unknown, down, ready, disconnected',
  });
});

test('words: an unknown one does not get as far as the wire', (t) => {
  const spec = { ...web, update: { order: 'sideways' } } as unknown as ServiceSpec;
  t.throws(() => serviceSpec.toWire(spec), { code: 'INVALID_ARGUMENT', message: /unknown update order/ });
});

test('states: an unknown number is refused', (t) => {
  const bytes = encode('TaskStatus', { state: 513, atMs: 1, message: '' });
  t.throws(() => taskStatus.fromWire(decode('TaskStatus', bytes)), {
    code: 'INVALID_ARGUMENT',
    message: /^unknown task state 513: expected 0, 64, /,
  });
});

test('numbers: what the wire would bend is refused before', (t) => {
  const status = (atMs: number, exitCode?: number) => ({
    state: TaskState.Running,
    atMs,
    message: '',
    ...(exitCode === undefined ? {} : { container: { id: 'c', exitCode } }),
  });
  t.notThrows(() => taskStatus.toWire(status(0, -1)));
  for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53])
    t.throws(() => taskStatus.toWire(status(wrong)), { code: 'INVALID_ARGUMENT' });
  t.throws(() => taskStatus.toWire(status(0, 2 ** 31)), { code: 'INVALID_ARGUMENT' });
});

test('messages: a part that must be there is missed by name', (t) => {
  const noTask = decode('ServiceSpec', encode('ServiceSpec', { name: 'web', mode: { global: {} } }));
  t.throws(() => serviceSpec.fromWire(noTask), { message: 'service spec: task is missing' });
  const noMode = decode('ServiceSpec', encode('ServiceSpec', { ...serviceSpec.toWire(web), mode: {} }));
  t.throws(() => serviceSpec.fromWire(noMode), { message: 'service mode: it is none of the known ones' });
  const node = decode('Node', encode('Node', { id: 'n', role: 'worker' }));
  t.throws(() => unstoredNode.fromWire(node), { message: 'node: spec is missing' });
  const unstored = encode('Service', { id: 's', spec: serviceSpec.toWire(web) });
  t.throws(() => service.fromWire(decode('Service', unstored)), {
    message: 'service: its version is missing',
  });
});
