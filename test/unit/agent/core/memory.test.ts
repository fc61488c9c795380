import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { Container } from '#agent/core/container.ts';
import { ContainerSet } from '#agent/core/container-set.ts';
import type { EngineDefaults } from '#agent/core/defaults.ts';
import { EventBus } from '#agent/core/events.ts';
import { ContainerIo } from '#agent/core/io.ts';
import { LocalNetworks } from '#agent/core/networks.ts';
import { type ContainerRun, type ContainerSpec, NEW_RUN } from '#agent/core/record.ts';
import { EngineState } from '#agent/core/state.ts';
import { LocalVolumes } from '#agent/core/volumes.ts';
import { systemClock } from '#proto/base/clock.ts';
import { LIMITS } from '#proto/base/limits.ts';
import { seededRandom } from '#proto/base/random.ts';

let folder: string;

test.beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-test-memory-'));
});

test.afterEach.always(() => rmSync(folder, { recursive: true }));

const noop = (): void => undefined;
const ids = (letter: string) => letter.repeat(64);

function containerOf(id: string, name: string): Container {
  const spec = { id, name, config: { Image: 'x', Labels: {} }, hostConfig: {} } as unknown as ContainerSpec;
  return new Container(
    { spec, run: NEW_RUN },
    {
      io: new ContainerIo({ stdinOnce: false }),
      memory: { write: noop, committed: async () => undefined, commit: noop },
    },
  );
}

test.serial('state: everything is there again after it was closed', (t) => {
  {
    using state = new EngineState({ folder });
    const { spec } = containerOf(ids('a'), 'one');
    state.putContainer(spec, NEW_RUN);
    state.putRun(spec.id, { ...NEW_RUN, exitCode: 7 });
    state.putContainer({ ...spec, id: ids('b') }, NEW_RUN);
    state.deleteContainer(ids('b'));
    state.tasks.put('t1', { opaque: [1] });
    state.tasks.put('t2', 2);
    state.tasks.delete('t2');
  }
  using state = new EngineState({ folder });
  t.deepEqual(
    state.containers().map(({ spec, run }) => [spec.name, run.exitCode]),
    [['one', 7]],
  );
  t.deepEqual(state.tasks.all(), [{ opaque: [1] }]);
  t.deepEqual(state.tasks.get('t1'), { opaque: [1] });
  t.is(state.tasks.get('t2'), undefined);
});

test.serial('containers: found by id, name and beginning; names are taken once', (t) => {
  const set = new ContainerSet();
  const [one, two] = [
    containerOf(`ab${ids('1').slice(2)}`, 'one'),
    containerOf(`ac${ids('1').slice(2)}`, 'two'),
  ];
  set.reserve('one', one.id);
  t.throws(() => set.reserve('one', two.id), { message: /name "\/one" is already in use by container/ });
  set.add(one);
  set.add(two);
  t.is(set.find('one'), one);
  t.is(set.find('/two'), two);
  t.is(set.find('ab'), one);
  t.throws(() => set.find('a'), { message: /Multiple IDs found/ });
  t.throws(() => set.find('zz'), { message: 'No such container: zz' });
  set.remove(one);
  t.throws(() => set.find('one'));
});

test.serial('waiting: for the end, for the removal, not at all', async (t) => {
  const container = containerOf(ids('a'), 'one');
  container.updateRun({ status: 'running' });
  const next = container.wait('next-exit');
  const removed = container.wait('removed');
  container.updateRun({ status: 'exited', exitCode: 3 });
  container.notifyExit();
  t.is((await next).exitCode, 3);
  t.is((await container.wait('not-running')).exitCode, 3);
  container.notifyRemoved();
  t.is((await removed).exitCode, 3);
  const given = new AbortController();
  const reached = container.until(() => container.run.restartCount === 2, given.signal);
  container.updateRun({ restartCount: 2 });
  await reached;
  const never = container.until(() => false, given.signal);
  given.abort(new Error('no more'));
  await t.throwsAsync(never, { message: 'no more' });
});

test.serial(
  'events: the last are kept, each with a time of its own; listeners hear what comes',
  async (t) => {
    const events = new EventBus({ clock: { wallMs: () => 5 } });
    for (let count = 0; count < LIMITS.eventsKept + 10; count += 1)
      events.emit('container', 'start', String(count), {});
    const kept = events.since(0n);
    t.is(kept.length, LIMITS.eventsKept);
    t.is(new Set(kept.map(({ timeNs }) => timeNs)).size, kept.length);
    const stop = new AbortController();
    const heard: string[] = [];
    const stream = events.stream(undefined, stop.signal);
    queueMicrotask(() => events.emit('container', 'first', '', {}));
    for await (const { action } of stream) {
      heard.push(action);
      if (heard.length === 2) stop.abort();
      else events.emit('container', 'second', '', {});
    }
    t.is(events.listeners, 0);
    t.deepEqual(heard, ['first', 'second']);
  },
);

function networksOf(state: EngineState, log: string[] = [], defaults: EngineDefaults = {}): LocalNetworks {
  return new LocalNetworks({
    table: state.networks,
    network: {
      createLocal: async ({ name }) => void log.push(`+${name}`),
      removeLocal: async () => void log.push('-'),
    },
    events: new EventBus({ clock: systemClock }),
    clock: systemClock,
    // Another for each, or they would give out the same identifiers.
    random: seededRandom(state.networks.all().length),
    machineSubnets: () => ['172.17.0.1/16'],
    defaults,
  });
}

const request = {
  name: 'net',
  driver: 'bridge',
  internal: false,
  attachable: false,
  options: {},
  labels: {},
};

test.serial('networks: three are always there, the bridge where the machine is not', (t) => {
  using state = new EngineState({ folder });
  const networks = networksOf(state);
  t.deepEqual(
    networks.list().map(({ name, driver }) => [name, driver]),
    [
      ['bridge', 'bridge'],
      ['host', 'host'],
      ['none', 'null'],
    ],
  );
  t.is(networks.find('bridge').subnet, '172.18.0.0/16');
  t.is(networksOf(state).find('bridge').id, networks.find('bridge').id);
});

test.serial('networks: made, kept, found, removed; what can not be is refused', async (t) => {
  using state = new EngineState({ folder });
  const log: string[] = [];
  const networks = networksOf(state, log);
  const net = await networks.create({ ...request, subnet: '10.66.0.0/24' });
  t.is(net.gateway, '10.66.0.1');
  await networks.ensure(net);
  t.deepEqual(log, ['+net']);
  t.is(networks.find(net.id.slice(0, 12)), net);
  await t.throwsAsync(networks.create(request), { message: 'network with name net already exists' });
  await t.throwsAsync(networks.create({ ...request, name: 'n2', subnet: '10.66.0.128/25' }), {
    message: /Pool overlaps/,
  });
  await t.throwsAsync(
    networks.create({ ...request, name: 'n2', subnet: '10.67.0.0/24', gateway: '10.1.1.1' }),
    { message: /no matching subnet/ },
  );
  await t.throwsAsync(networks.create({ ...request, name: 'n2', driver: 'x' }), {
    message: 'plugin "x" not found',
  });
  await t.throwsAsync(networks.create({ ...request, name: 'host' }), {
    message: 'operation is not permitted on predefined host network',
  });
  const part = { ...request, name: 'n2', subnet: '10.67.0.0/24' };
  await t.throwsAsync(networks.create({ ...part, ipRange: '10.68.0.0/25' }), {
    message: 'no matching subnet for range 10.68.0.0/25',
  });
  await t.throwsAsync(networks.create({ ...part, auxiliary: { x: '10.68.0.1' } }), {
    message: 'no matching subnet for aux-address 10.68.0.1',
  });
  await t.throwsAsync(
    networks.remove('bridge', () => false),
    { message: /pre-defined network/ },
  );
  await t.throwsAsync(
    networks.remove('net', () => true),
    { message: /has active endpoints/ },
  );
  t.is(networksOf(state).find('net').id, net.id);
  await networks.remove('net', () => false);
  t.throws(() => networks.find('net'), { message: 'network net not found' });
  t.deepEqual(log, ['+net', '-']);
});

test.serial(
  'networks: IPv6 as given, or a prefix of its own; devices of the machine only by name',
  async (t) => {
    using state = new EngineState({ folder });
    const networks = networksOf(state);
    const given = await networks.create({ ...request, name: 'g6', ipv6: { subnet: 'fd00:0:1::9/64' } });
    t.deepEqual(given.ipv6, { subnet: 'fd00:0:1::/64', gateway: 'fd00:0:1::1' });
    const chosen = await networks.create({ ...request, name: 'c6', ipv6: {} });
    t.regex(chosen.ipv6?.subnet ?? '', /^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/);
    await t.throwsAsync(networks.create({ ...request, name: 'o6', ipv6: { subnet: 'fd00:0:1::/96' } }), {
      message: /Pool overlaps/,
    });
    const wrong = { subnet: 'fd00:2::/64', gateway: 'fd00:3::1' };
    await t.throwsAsync(networks.create({ ...request, name: 'o6', ipv6: wrong }), {
      message: 'no matching subnet for gateway fd00:3::1',
    });
    const macvlan = { ...request, name: 'm', driver: 'macvlan' };
    await t.throwsAsync(networks.create(macvlan), { message: /name it with -o parent=DEVICE/ });
    await t.throwsAsync(networks.create({ ...macvlan, options: { parent: 'e0', macvlan_mode: 'odd' } }), {
      message: 'unknown macvlan mode: odd',
    });
    t.is((await networks.create({ ...macvlan, options: { parent: 'e0' } })).driver, 'macvlan');
  },
);

test.serial('networks: options of bridges that can not be are refused', async (t) => {
  using state = new EngineState({ folder });
  const networks = networksOf(state);
  const asking = (name: string, value: string) =>
    networks.create({ ...request, name: 'odd', options: { [`com.docker.network.${name}`]: value } });
  await t.throwsAsync(asking('bridge.enable_icc', 'perhaps'), { message: /invalid value for .*enable_icc/ });
  await t.throwsAsync(asking('bridge.host_binding_ipv4', 'x'), { message: /invalid value for .*: x/ });
  await t.throwsAsync(asking('container_iface_prefix', 'net'), { code: 'NOT_IMPLEMENTED' } as object);
  await t.notThrowsAsync(asking('bridge.enable_icc', 'false'));
});

test.serial(
  'networks: a bridge that could not be made is tried again, and a network without one forgotten',
  async (t) => {
    using state = new EngineState({ folder });
    let fails = true;
    const networks = new LocalNetworks({
      table: state.networks,
      network: {
        createLocal: async () => (fails ? Promise.reject(new Error('no')) : undefined),
        removeLocal: async () => undefined,
      },
      events: new EventBus({ clock: systemClock }),
      clock: systemClock,
      random: seededRandom(1),
      machineSubnets: () => [],
    });
    await t.throwsAsync(networks.create(request), { message: 'no' });
    t.throws(() => networks.find('net'));
    fails = false;
    await networks.create(request);
    t.is(networks.find('net').name, 'net');
  },
);

test.serial(
  'networks: the bridge is what the daemon is told when it starts, and Docker’s again when it is not',
  async (t) => {
    using state = new EngineState({ folder });
    const { id } = networksOf(state).find('bridge');
    const addressPools = [{ base: '10.1.0.0/16', size: 24 }];
    const told = networksOf(state, [], {
      bridge: { name: 'br7', cidr: '10.7.0.9/24' },
      mtu: 1400,
      addressPools,
    });
    const bridge = told.find('bridge');
    t.like(bridge, { id, subnet: '10.7.0.0/24', gateway: '10.7.0.9' });
    t.deepEqual(bridge.options, {
      'com.docker.network.bridge.name': 'br7',
      'com.docker.network.driver.mtu': '1400',
    });
    t.is((await told.create(request)).subnet, '10.1.0.0/24');
    t.throws(() => networksOf(state, [], { bridge: { cidr: '10.1.0.1/16' } }), {
      message: 'bridge address 10.1.0.1/16 overlaps with network net',
    });
    t.deepEqual(networksOf(state).find('bridge').options, {});
  },
);

test.serial('volumes: made once, kept while they are used, gone with their data', async (t) => {
  using state = new EngineState({ folder });
  const users: string[] = [];
  const volumes = new LocalVolumes(
    { folder: join(folder, 'volumes') },
    {
      table: state.volumes,
      events: new EventBus({ clock: systemClock }),
      clock: systemClock,
      random: seededRandom(1),
      usedBy: () => users,
    },
  );
  const made = volumes.create({ name: 'v1', labels: { a: '1' } });
  t.is(volumes.create({ name: 'v1' }), made);
  t.true(existsSync(volumes.path('v1')));
  const anonymous = volumes.create({});
  t.regex(anonymous.name, /^[0-9a-f]{64}$/);
  t.true(volumes.isAnonymous(anonymous));
  users.push('c1');
  t.throws(() => volumes.remove('v1'), { message: 'remove v1: volume is in use - [c1]' });
  users.length = 0;
  t.deepEqual((await volumes.prune((record) => volumes.isAnonymous(record))).names, [anonymous.name]);
  volumes.remove('v1');
  t.false(existsSync(volumes.path('v1')));
  t.throws(() => volumes.remove('v1'), { message: 'get v1: no such volume' });
  t.notThrows(() => volumes.remove('v1', true));
  t.throws(() => volumes.create({ name: 'v', driver: 'nosuch' }), { message: /plugin "nosuch" not found/ });
  t.throws(() => volumes.create({ name: 'v', options: { odd: '1' } }), {
    message: 'create v: invalid option: "odd"',
  });
  t.throws(() => volumes.create({ name: 'a b' }), { message: /includes invalid characters/ });
});

test.serial(
  'state: what was written is found by the next daemon, and committed for all who wait for it',
  async (t) => {
    using state = new EngineState({ folder });
    const { spec } = containerOf(ids('a'), 'one');
    state.putContainer(spec, NEW_RUN);
    const waiting = [state.committed()];
    state.putRun(spec.id, { ...NEW_RUN, exitCode: 7 });
    waiting.push(state.committed(), state.committed());
    const seen = new DatabaseSync(join(folder, 'engine.db'), { readOnly: true });
    const [row] = seen.prepare('SELECT run FROM containers').all();
    seen.close();
    t.is((JSON.parse(String(row?.['run'])) as ContainerRun).exitCode, 7);
    await t.notThrowsAsync(Promise.all(waiting));
  },
);
