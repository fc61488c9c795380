import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { LinuxNodeNetwork } from '#agent/net/linux-node-network.ts';
import type { SandboxRequest } from '#agent/net/node-network.ts';
import { instanceNames } from '#agent/net/plan/names.ts';
import { Records } from '#agent/net/records.ts';
import { Wanted } from '#agent/net/wanted.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import { Cluster, NETWORK } from '#test/support/net/cluster.ts';
import { FakeMachine } from '#test/support/net/fake-machine.ts';
import { BRIDGE, idOf } from '#test/support/net/plan-input.ts';

/* How failures, concurrency and restarts are handled; what the kernel makes of it is tested on the machine. */

let dataPathAddr: string | undefined = '10.90.0.1';

interface Bench extends Disposable {
  readonly machine: FakeMachine;
  readonly network: LinuxNodeNetwork;
  /** Another daemon on what the first left. */
  restarted(): LinuxNodeNetwork;
}

function bench(): Bench {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-test-node-network-'));
  const machine = new FakeMachine();
  const open = (): LinuxNodeNetwork =>
    new LinuxNodeNetwork(
      {
        names: instanceNames(''),
        netnsDir: join(directory, 'netns'),
        dynamicPorts: [40_000, 50_000],
        bridgeNetfilter: 'off',
      },
      {
        clock: { ...systemClock, sleep: () => Promise.resolve() },
        log: nullLog,
        random: seededRandom(1),
        machine,
        wanted: new Wanted(new Records(join(directory, 'net'))),
        dataPathAddr: () => dataPathAddr,
      },
    );
  return {
    machine,
    network: open(),
    restarted: open,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

function clusterWith(services: readonly string[]): Cluster {
  const cluster = new Cluster([1, 2]);
  for (const [i, id] of services.entries())
    cluster.service(id, `10.0.1.${200 + i}`, [{ publishedPort: 8080 + i }]);
  return cluster;
}

function requestOf(letter: string, more: Partial<SandboxRequest> = {}): SandboxRequest {
  return {
    containerId: idOf(letter),
    names: [letter],
    attachments: [{ networkId: NETWORK.id, address: '10.0.1.5', aliases: [] }],
    ports: [],
    mesh: true,
    ...more,
  };
}

test('a failure is tried again from what the kernel says, and the caller is told nothing of it', async (t) => {
  using b = bench();
  let failures = 0;
  b.machine.fault = (command) => (command.includes('shoal-mesh') && failures++ < 1 ? 'busy' : undefined);
  await b.network.applyCluster(clusterWith(['web']).stateFor(1));
  t.is(b.machine.said.filter((command) => command.includes('link add shoal-mesh')).length, 2);
});

test('a failure that stays is told, and the next call tries the difference again', async (t) => {
  using b = bench();
  b.machine.fault = (command) => (command.includes('load') ? 'no such thing' : undefined);
  await t.throwsAsync(b.network.applyCluster(clusterWith(['web']).stateFor(1)), {
    message: /not changed: nft: no such thing/,
    code: 'UNAVAILABLE',
  } as object);
  b.machine.fault = () => undefined;
  b.machine.said.length = 0;
  await b.network.applyCluster(clusterWith(['web']).stateFor(1));
  t.true(b.machine.said.some((command) => command.startsWith('node load')));
});

test('a device of the same name made anew is not mistaken for the old one by a kept program', async (t) => {
  using b = bench();
  for (const state of [clusterWith([]).stateFor(1), undefined, clusterWith([]).stateFor(1)]) {
    b.machine.said.length = 0;
    await b.network.applyCluster(state);
  }
  const told = b.machine.said.findIndex((command) => command.startsWith('node bridge: fdb replace'));
  const ended = b.machine.said.indexOf('node release');
  t.true(0 <= ended && ended < told, b.machine.said.join('\n'));
});

test('calls that come while one is at work share the next pass, with the newest state', async (t) => {
  using b = bench();
  await b.network.applyCluster(clusterWith([]).stateFor(1));
  b.machine.said.length = 0;
  const held = Promise.withResolvers<void>();
  b.machine.hold = held.promise;
  const states = [['one'], ['one', 'two'], ['one', 'two', 'three']].map((names) =>
    clusterWith(names).stateFor(1),
  );
  const calls = states.map((state) => b.network.applyCluster(state));
  held.resolve();
  await Promise.all(calls);
  const transactions = b.machine.said.filter((command) => command.startsWith('node nft'));
  t.true(transactions.length <= 2, transactions.join('\n'));
  t.true(transactions.at(-1)?.includes('p_three_tcp_8082'));
});

test('a sandbox that can’t be made is undone, and its port and address are free again', async (t) => {
  using b = bench();
  await b.network.createLocal(BRIDGE);
  const ports = [{ protocol: 'tcp' as const, containerPort: 80, hostPort: 8080, hostIp: '' }];
  const attachments = [{ networkId: BRIDGE.id, aliases: [] }];
  const request = requestOf('a', { attachments, ports, mesh: false });
  b.machine.fault = (command) => (command.includes('link add eth0') ? 'no memory' : undefined);
  await t.throwsAsync(b.network.openSandbox(request), { message: /no memory/ });
  t.deepEqual([...b.machine.namespaces], []);
  b.machine.fault = () => undefined;
  const sandbox = await b.network.openSandbox(request);
  t.is(sandbox.attachments[0]?.address, '172.18.0.2/16');
});

test('containers that leave a bridge together give up their links as one group, one alone by name', async (t) => {
  using b = bench();
  await b.network.createLocal(BRIDGE);
  const attachments = [{ networkId: BRIDGE.id, aliases: [] }];
  const letters = ['a', 'b', 'c'];
  for (const letter of letters) await b.network.openSandbox(requestOf(letter, { attachments, mesh: false }));
  const partings = (): string[] => b.machine.said.filter((said) => / ip: link del | group 79$/.test(said));
  await b.network.closeSandbox(idOf('a'));
  t.regex(partings().join('\n'), /^node ip: link del dev \S+$/);
  b.machine.said.length = 0;
  await Promise.all(['b', 'c'].map((letter) => b.network.closeSandbox(idOf(letter))));
  t.regex(partings().join('\n'), /^(node ip: link set dev \S+ group 79\n){2}node ip: link del group 79$/);
});

test('one container’s failure is not the cluster’s', async (t) => {
  using b = bench();
  const cluster = clusterWith(['web']);
  await b.network.applyCluster(cluster.stateFor(1));
  b.machine.fault = (command) => (command.includes(idOf('a')) ? 'broken' : undefined);
  const opening = t.throwsAsync(b.network.openSandbox(requestOf('a')));
  cluster.service('api', '10.0.1.210', []);
  await b.network.applyCluster(cluster.stateFor(1));
  await opening;
});

test.serial('a daemon that starts anew has the old one’s state before any manager speaks', async (t) => {
  using b = bench();
  await b.network.applyCluster(clusterWith(['web']).stateFor(1));
  const sandbox = await b.network.openSandbox(requestOf('a'));
  dataPathAddr = undefined;
  const second = b.restarted();
  await second.recover([sandbox]);
  dataPathAddr = '10.90.0.1';
  const asker = second.directory.asker(sandbox.meshAddr as string);
  t.deepEqual(asker && second.directory.addressesOf(asker, 'web'), ['10.0.1.200']);
});

test('a daemon that starts anew removes sandboxes nobody tells it of', async (t) => {
  using b = bench();
  await b.network.applyCluster(clusterWith(['web']).stateFor(1));
  await b.network.openSandbox(requestOf('a'));
  t.is(b.machine.namespaces.size, 2);
  await b.restarted().recover([]);
  t.deepEqual([...b.machine.namespaces], []);
});

test('flows to a task that leaves are forgotten before the state counts as reached', async (t) => {
  using b = bench();
  const cluster = clusterWith(['web']);
  const task = {
    id: 't' as never,
    name: 'web.1',
    node: 2,
    address: '10.0.1.21',
    sandbox: { meshAddr: '100.64.32.16' },
  };
  cluster.endpoint('web', task);
  await b.network.applyCluster(cluster.stateFor(1));
  cluster.endpoint('web', task, false);
  await b.network.applyCluster(cluster.stateFor(1));
  t.deepEqual(b.machine.forgotten, ['node udp 100.64.32.16']);
});
