import test from 'ava';
import { Cluster, lanAddress } from '#test/support/net/cluster.ts';
import type { Remote } from '#test/support/net/remote.ts';
import { startTask, type Task, Topology, tellAll } from '#test/support/net/topology.ts';
import { waitFor } from '#test/support/wait-for.ts';

/*
 * What a cluster's network promises, on three nodes: the same list as the facts were measured with. The tests of this
 * file share one topology and run in their order.
 */

const VIP = '10.0.1.200';
const SILENCE = 'silence';
const REFUSED = 'ECONNREFUSED';

let topology: Topology;
let cluster: Cluster;
let ext: Remote;
let tasks: Record<'h1c1' | 'h2c1' | 'h3c1' | 'h1c2', Task>;
let client: Task;

const hosts = new Map<number, Remote>();

test.before(async () => {
  topology = new Topology('cluster', 3);
  cluster = new Cluster([1, 2, 3]);
  await Promise.all(topology.nodes.map((node) => node.open()));
  ext = topology.probe(topology.ext);
  for (const node of topology.nodes) hosts.set(node.number, topology.probe(node.netns));
  await tellAll(topology, cluster);
  tasks = {
    h1c1: await startTask(topology, 'h1c1', 1, '10.0.1.11'),
    h2c1: await startTask(topology, 'h2c1', 2, '10.0.1.21'),
    h3c1: await startTask(topology, 'h3c1', 3, '10.0.1.31'),
    h1c2: await startTask(topology, 'h1c2', 1, '10.0.1.12'),
  };
  client = await startTask(topology, 'h1c3', 1, '10.0.1.13');
  cluster.service('clients', '10.0.1.199', []);
  cluster.endpoint('clients', client);
  cluster.endpoint('clients', tasks.h1c2);
  await balanceTo('web', [tasks.h1c1, tasks.h2c1, tasks.h3c1]);
});

test.after.always(async () => {
  await topology?.[Symbol.asyncDispose]();
});

/** The service `name` has exactly these tasks, and all nodes know. */
async function balanceTo(
  name: string,
  members: readonly Task[],
  mode: 'vip' | 'dnsrr' = 'vip',
): Promise<void> {
  cluster.service(name, VIP, [{ publishedPort: 8080 }, { publishedPort: 8080, protocol: 'udp' }], mode);
  for (const task of Object.values(tasks)) {
    const known = cluster.endpoints.has(task.id) && task !== tasks.h1c2;
    if (known) cluster.endpoint(name, task, false);
  }
  for (const task of members) cluster.endpoint(name, task);
  await tellAll(topology, cluster);
}

/** Answers to `count` questions, sorted, each with how often it came. */
async function counted(count: number, ask: () => Promise<string>): Promise<string> {
  const seen = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const answer = await ask();
    seen.set(answer, (seen.get(answer) ?? 0) + 1);
  }
  return [...seen]
    .sort()
    .map(([answer, times]) => `${times} ${answer}`)
    .join(', ');
}

function get(from: Remote, host: string, port: number, opts = {}): Promise<string> {
  return from.call('ask', host, port, opts);
}

function host(node: number): Remote {
  return hosts.get(node) as Remote;
}

function sorted(...answers: readonly string[]): string {
  return [...answers].sort().join(', ');
}

test.serial(
  'a virtual address spreads evenly over tasks here and elsewhere, and keeps the client',
  async (t) => {
    const answers = await counted(9, () => get(client.web, VIP, 80));
    t.is(answers, '3 h1c1 10.0.1.13, 3 h2c1 10.0.1.13, 3 h3c1 10.0.1.13');
  },
);

test.serial('a task reaches its own service, itself included', async (t) => {
  const answers = await counted(6, () => get(tasks.h1c1.web, VIP, 80));
  t.is(answers, '2 h1c1 10.0.1.1, 2 h2c1 10.0.1.11, 2 h3c1 10.0.1.11');
});

test.serial('a virtual address works by UDP', async (t) => {
  const answers = await counted(6, () => client.web.call('askUdp', VIP, 80));
  t.is(answers, '2 h1c1 10.0.1.13, 2 h2c1 10.0.1.13, 2 h3c1 10.0.1.13');
});

test.serial('a published port answers on every node by TCP and UDP, and keeps the client', async (t) => {
  const expected = '2 h1c1 10.90.0.100, 2 h2c1 10.90.0.100, 2 h3c1 10.90.0.100';
  for (const h of [1, 2, 3]) {
    t.is(await counted(6, () => get(ext, lanAddress(h), 8080)), expected, `TCP to node ${h}`);
    t.is(await counted(6, () => ext.call('askUdp', lanAddress(h), 8080)), expected, `UDP to node ${h}`);
  }
});

test.serial('a node reaches published ports at localhost, at its own address and at others', async (t) => {
  t.is(
    await counted(3, () => get(host(1), '127.0.0.1', 8080)),
    '1 h1c1 100.64.16.1, 1 h2c1 100.64.16.1, 1 h3c1 100.64.16.1',
  );
  t.is(
    await counted(3, () => get(host(1), lanAddress(1), 8080)),
    '1 h1c1 10.90.0.1, 1 h2c1 100.64.16.1, 1 h3c1 100.64.16.1',
  );
  t.is(
    await counted(3, () => get(host(2), lanAddress(1), 8080)),
    '1 h1c1 10.90.0.2, 1 h2c1 100.64.16.1, 1 h3c1 100.64.16.1',
  );
});

test.serial(
  'a container reaches the ports that its own node and others publish, its own included',
  async (t) => {
    t.is(
      await counted(3, () => get(tasks.h1c1.web, lanAddress(1), 8080)),
      '1 h1c1 100.64.16.1, 1 h2c1 100.64.16.1, 1 h3c1 100.64.16.1',
    );
    t.is(
      await counted(3, () => get(tasks.h1c1.web, lanAddress(2), 8080)),
      sorted('1 h1c1 100.64.32.1', '1 h2c1 10.90.0.1', '1 h3c1 100.64.32.1'),
    );
    t.is(
      await counted(3, () => tasks.h1c1.web.call('askUdp', lanAddress(1), 8080)),
      '1 h1c1 100.64.16.1, 1 h2c1 100.64.16.1, 1 h3c1 100.64.16.1',
    );
  },
);

test.serial('tasks are reached directly, here and on another node', async (t) => {
  t.is(await get(client.web, '10.0.1.11', 80), 'h1c1 10.0.1.13');
  t.is(await get(client.web, '10.0.1.21', 80), 'h2c1 10.0.1.13');
});

test.serial(
  'one client port reaches one task through every node, and no connection meets another',
  async (t) => {
    await balanceTo('web', [tasks.h2c1]);
    for (const h of [1, 2, 3])
      t.is(await get(ext, lanAddress(h), 8080, { localPort: 40_001 }), 'h2c1 10.90.0.100', `node ${h}`);
    const statistics = topology.run(tasks.h2c1.sandbox.netnsPath, 'cat /proc/net/netstat');
    const [names = [], values = []] = statistics
      .split('\n')
      .filter((line) => line.startsWith('TcpExt:'))
      .map((line) => line.split(' '));
    t.is(values[names.indexOf('PAWSTimewait')], '0');
  },
);

test.serial('a virtual address answers ping', (t) => {
  t.regex(topology.run(client.sandbox.netnsPath, `busybox ping -c 1 -W 30 ${VIP}`), / 0% packet loss/);
});

test.serial('a service without a task is refused at once', async (t) => {
  await balanceTo('web', []);
  t.is(await get(client.web, VIP, 80), REFUSED);
  t.is(await get(ext, lanAddress(1), 8080), REFUSED);
  t.is(await client.web.call('askUdp', VIP, 80), REFUSED);
  await balanceTo('web', [tasks.h1c1, tasks.h2c1, tasks.h3c1]);
});

test.serial('round robin by DNS: the name is the tasks, and the virtual address is nobody', async (t) => {
  await balanceTo('web', [tasks.h1c1, tasks.h2c1], 'dnsrr');
  t.is(await client.web.call('askDns', 'web', 'A', 'udp'), '10.0.1.11,10.0.1.21');
  t.is(await get(client.web, VIP, 80), 'ENETUNREACH');
  await balanceTo('web', [tasks.h1c1, tasks.h2c1, tasks.h3c1]);
});

test.serial(
  'names: services, their tasks, containers, addresses; by UDP and TCP; nothing else goes out',
  async (t) => {
    const ask = (name: string, type = 'A', transport = 'udp'): Promise<string> =>
      client.web.call('askDns', name, type, transport);
    t.is(await ask('WEB'), VIP);
    t.is(await ask('web.backend', 'A', 'tcp'), VIP);
    t.is(await ask('tasks.web'), '10.0.1.11,10.0.1.21,10.0.1.31');
    t.is(await ask('h2c1'), '10.0.1.21');
    t.is(await ask('web', 'AAAA'), '');
    t.is(await ask('21.1.0.10.in-addr.arpa', 'PTR'), 'h2c1.backend');
    t.is(await ask('nobody'), 'NXDOMAIN');
  },
);

test.serial(
  'isolation: no way from one gateway interface to another, nor from outside straight in',
  async (t) => {
    const short = { timeoutMs: 500 };
    t.is(await get(tasks.h1c1.web, tasks.h1c2.sandbox.meshAddr as string, 80, short), SILENCE);
    t.is(await get(tasks.h1c1.web, tasks.h2c1.sandbox.meshAddr as string, 80, short), SILENCE);
    topology.run(topology.ext, `ip route add 100.64.0.0/10 via ${lanAddress(2)}`);
    topology.run(topology.ext, `ip route add 10.0.1.0/24 via ${lanAddress(2)}`);
    t.is(await get(ext, tasks.h2c1.sandbox.meshAddr as string, 80, short), SILENCE);
    t.not(await get(ext, '10.0.1.21', 80, short), 'h2c1 10.90.0.100');
    t.is(await get(tasks.h1c1.web, '10.0.1.99', 80), 'ENETUNREACH');
  },
);

test.serial('isolation: a forged source is dropped', (t) => {
  const { netnsPath } = tasks.h1c1.sandbox;
  const ping = (source: string, seconds: number): string =>
    topology.run(netnsPath, `busybox ping -c 1 -W ${seconds} -I ${source} 10.0.1.12`);
  topology.run(netnsPath, 'ip addr add 10.0.1.77/32 dev eth0');
  t.regex(ping('10.0.1.11', 30), / 0% packet loss/);
  t.throws(() => ping('10.0.1.77', 1));
  topology.run(netnsPath, 'ip addr del 10.0.1.77/32 dev eth0');
});

test.serial('egress leaves with the address of the node', async (t) => {
  await ext.call('serve', 'outside', 9_000);
  t.is(await get(tasks.h1c1.web, '10.90.0.100', 9_000), 'outside 10.90.0.1');
});

test.serial('two networks with one subnet on one node do not see each other', async (t) => {
  const id = 'net2' as never;
  cluster.networks.set(id, { ...[...cluster.networks.values()][0], id, name: 'other', vni: 4098 } as never);
  await tellAll(topology, cluster);
  const twin = await startTask(topology, 'twin', 1, '10.0.1.11', {
    attachments: [{ networkId: id, address: '10.0.1.11', aliases: [] }],
  });
  t.is(await get(twin.web, '10.0.1.11', 80), 'twin 10.0.1.11');
  t.is(await get(client.web, '10.0.1.11', 80), 'h1c1 10.0.1.13');
  t.is(await get(twin.web, '10.0.1.12', 80), 'ENETUNREACH');
  t.is(await twin.web.call('askDns', 'web', 'A', 'udp'), 'NXDOMAIN');
  await topology.node(1).net('closeSandbox', twin.sandbox.containerId);
  t.false(topology.run(topology.node(1).netns, `ls ${topology.node(1).execRoot}/netns`).includes('net-net2'));
  const link = `g${twin.sandbox.containerId.slice(0, 12)}`;
  await twin.web.end('SIGKILL');
  // The kernel ends namespaces, and what is in them, a moment after the last that holds them.
  await waitFor('its link is gone', () => !topology.run(topology.node(1).netns, 'ip -o link').includes(link));
});

test.serial(
  'a container on internal networks only has no way out, but its ports and names work',
  async (t) => {
    const id = 'net3' as never;
    const network = {
      ...[...cluster.networks.values()][0],
      id,
      name: 'vault',
      vni: 4099,
      subnet: '10.0.3.0/24',
    };
    cluster.networks.set(id, { ...network, gateway: '10.0.3.1', internal: true } as never);
    await tellAll(topology, cluster);
    const attachments = [{ networkId: id, address: '10.0.3.5', aliases: ['safe'] }];
    const vault = await startTask(topology, 'vault', 1, '10.0.3.5', { attachments });
    cluster.service('vault', '', [{ publishedPort: 8081 }]);
    cluster.endpoint('vault', vault);
    await tellAll(topology, cluster);
    t.is(await get(vault.web, '10.90.0.100', 9_000, { timeoutMs: 500 }), SILENCE);
    t.is(await get(ext, lanAddress(1), 8081), 'vault 10.90.0.100');
    t.is(await get(ext, lanAddress(3), 8081), 'vault 10.90.0.100');
    t.is(await vault.web.call('askDns', 'safe', 'A', 'udp'), '10.0.3.5');
    t.is(await vault.web.call('askDns', 'example.com', 'A', 'udp'), 'NXDOMAIN');
    cluster.services.delete('vault' as never);
    cluster.endpoints.delete(vault.id);
    await tellAll(topology, cluster);
    await topology.node(1).net('closeSandbox', vault.sandbox.containerId);
  },
);

test.serial(
  'a container on a bridge joins an overlay network, and leaves it; its own port stays',
  async (t) => {
    const node = topology.node(2);
    const bridge = { id: 'b'.repeat(64), name: 'local', driver: 'bridge', internal: false } as const;
    await node.net('createLocal', { ...bridge, subnet: '172.20.0.0/16' });
    const mixed = await startTask(topology, 'mixed', 2, '10.0.1.29', {
      attachments: [{ networkId: bridge.id, aliases: [] }],
      ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 8089, hostIp: '' }],
      mesh: false,
    });
    t.is(mixed.sandbox.meshAddr, undefined);
    t.is(await get(ext, lanAddress(2), 8089), 'mixed 10.90.0.100');
    const { containerId } = mixed.sandbox;
    const networkId = [...cluster.networks.keys()][0] as string;
    await node.net('attach', containerId, { networkId, address: '10.0.1.29', aliases: [] });
    cluster.endpoint('clients', mixed);
    await tellAll(topology, cluster);
    t.is(await get(client.web, '10.0.1.29', 80), 'mixed 10.0.1.13');
    t.is(await get(mixed.web, VIP, 80).then((answer) => answer.split(' ')[1]), '10.0.1.29');
    t.is(await mixed.web.call('askDns', 'web', 'A', 'udp'), VIP);
    t.is(await mixed.web.call('askDns', 'mixed.local', 'A', 'udp'), '172.20.0.2');
    t.is(await get(ext, lanAddress(2), 8089), 'mixed 10.90.0.100');
    cluster.endpoints.delete(mixed.id);
    await tellAll(topology, cluster);
    await node.net('detach', containerId, networkId);
    t.is(await get(ext, lanAddress(2), 8089), 'mixed 10.90.0.100');
    t.is(await mixed.web.call('askDns', 'mixed', 'A', 'udp'), '172.20.0.2');
    t.is(topology.run(mixed.sandbox.netnsPath, 'ip -o link').trim().split('\n').length, 2, 'lo and eth0');
    await node.net('closeSandbox', containerId);
    await node.net('removeLocal', bridge.id);
    t.deepEqual(await node.driver.call('warnings'), []);
  },
);

test.serial('a service that publishes port 53 does not take the resolver from containers', async (t) => {
  cluster.service('dns', '10.0.1.201', [{ publishedPort: 53 }, { publishedPort: 53, protocol: 'udp' }]);
  await tellAll(topology, cluster);
  t.is(await client.web.call('askDns', 'web', 'A', 'udp'), VIP);
  t.is(await client.web.call('askDns', 'web', 'A', 'tcp'), VIP);
  cluster.services.delete('dns' as never);
  await tellAll(topology, cluster);
});

test.serial('a task that leaves the balancing and drains loses no request', async (t) => {
  await balanceTo('web', [tasks.h1c1, tasks.h2c1, tasks.h3c1]);
  await Promise.all([
    client.web.call('startLoad', VIP, 80, 3),
    ext.call('startLoad', lanAddress(1), 8080, 3),
  ]);
  for (const leaving of [tasks.h2c1, tasks.h1c1]) {
    const node = topology.node(leaving.node);
    const rest = [tasks.h1c1, tasks.h2c1, tasks.h3c1].filter((task) => task !== leaving);
    await balanceTo('web', rest);
    const ports = [{ protocol: 'tcp' as const, targetPort: 80, publishMode: 'ingress' as const }];
    t.true(await node.net('listens', leaving.web.pid, ports));
    while ((await node.net('inboundConnections', leaving.sandbox.containerId, leaving.web.pid, ports)) > 0);
    await node.net('forgetFlows', leaving.sandbox.containerId, 'udp');
    await leaving.web.call('reset', 'at once');
    t.false(await node.net('listens', leaving.web.pid, ports));
    await node.net('forgetFlows', leaving.sandbox.containerId, 'tcp');
    await leaving.web.call('serve', leaving.name, 80);
    await balanceTo('web', [tasks.h1c1, tasks.h2c1, tasks.h3c1]);
  }
  for (const remote of [client.web, ext]) {
    const report = await remote.call<{ answered: number; failed: string[] }>('stopLoad', 50);
    t.deepEqual(report.failed, []);
    t.true(report.answered >= 50);
  }
});

for (const how of ['dispose', 'kill'] as const) {
  test.serial(
    `a daemon that restarts (${how}) under load loses no request and keeps its names`,
    async (t) => {
      await Promise.all([
        client.web.call('startLoad', VIP, 80, 2),
        ext.call('startLoad', lanAddress(1), 8080, 2),
      ]);
      const sandboxes = [tasks.h1c1, tasks.h1c2, client].map((task) => task.sandbox);
      await topology.node(1).restart(how, sandboxes);
      t.is(await client.web.call('askDns', 'web', 'A', 'udp'), VIP, 'before any manager has spoken');
      await tellAll(topology, cluster);
      for (const remote of [client.web, ext]) {
        const report = await remote.call<{ answered: number; failed: string[] }>('stopLoad', 20);
        t.deepEqual(report.failed, []);
        t.true(report.answered >= 20);
      }
      t.deepEqual(await topology.node(1).driver.call('warnings'), []);
    },
  );
}

test.serial('a UDP client that keeps its port goes on to another task when its own leaves', async (t) => {
  await balanceTo('web', [tasks.h2c1]);
  const ask = (): Promise<string> => client.web.call('askUdp', VIP, 80, undefined, 41_000);
  t.is(await ask(), 'h2c1 10.0.1.13');
  await balanceTo('web', [tasks.h3c1]);
  t.is(await ask(), 'h3c1 10.0.1.13');
});

test.serial('a node that is removed is forgotten everywhere', async (t) => {
  await balanceTo('web', [tasks.h1c1]);
  cluster.nodes.delete(3);
  cluster.endpoints.delete(tasks.h3c1.id);
  await tellAll(topology, cluster);
  const { netns, execRoot } = topology.node(1);
  const state = [
    topology.run(netns, 'ip route show table all'),
    topology.run(netns, 'ip neigh show dev shoal-mesh'),
    topology.run(netns, 'ip rule'),
    topology.run(netns, 'bridge fdb'),
    topology.run(netns, 'nft list table ip shoal'),
    topology.run(`${execRoot}/netns/net-net1`, 'ip route'),
    topology.run(`${execRoot}/netns/net-net1`, 'ip neigh'),
    topology.run(`${execRoot}/netns/net-net1`, 'bridge fdb'),
  ].join('\n');
  for (const trace of [
    '100.64.48',
    '0x5a000003',
    '10.90.0.3',
    '02:5a:0a:5a:00:03',
    '169.254.0.3',
    '10.0.1.31',
  ])
    t.false(state.includes(trace), trace);
  t.true(state.includes('0x5a000002'), 'others stay');
});

test.serial('teardown leaves nothing behind', async (t) => {
  const node = topology.node(1);
  await node.driver.call('dispose');
  await node.driver.call('teardown', node.opts);
  t.is(topology.run(node.netns, 'nft list ruleset'), '');
  t.is(topology.run(node.netns, 'ip -o link').trim().split('\n').length, 2, 'lo and eth0');
  t.is(topology.run(node.netns, 'ip rule').trim().split('\n').length, 3);
  t.notRegex(topology.run(node.netns, 'ip route show table all'), /100\.64\./);
  t.notRegex(topology.run(topology.ext, 'mount'), new RegExp(`${node.execRoot}/netns`));
});
