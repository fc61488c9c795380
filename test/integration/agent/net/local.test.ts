import test, { type ExecutionContext } from 'ava';
import type { Sandbox, SandboxRequest } from '#agent/net/node-network.ts';
import { lanAddress, NETWORK } from '#test/support/net/cluster.ts';
import type { Remote } from '#test/support/net/remote.ts';
import { containerId, EXT, Topology } from '#test/support/net/topology.ts';

/*
 * Networks of one machine: bridges, published ports, names; and what a daemon finds when it starts. The tests of this
 * file share one node, and two of them a second daemon in the same namespace.
 */

const DEFAULT = { id: 'd'.repeat(64), name: 'bridge', driver: 'bridge', internal: false } as const;
const OTHER = { id: 'e'.repeat(64), name: 'other', driver: 'bridge', internal: false } as const;
const INTERNAL = { id: 'f'.repeat(64), name: 'inside', driver: 'bridge', internal: true } as const;
const SHORT = { timeoutMs: 500 };

let topology: Topology;
let ext: Remote;
let host: Remote;

test.before(async () => {
  topology = new Topology('local', 1);
  await topology.node(1).open();
  ext = topology.probe(topology.ext);
  host = topology.probe(topology.node(1).netns);
  await topology.node(1).net('createLocal', { ...DEFAULT, subnet: '172.17.0.0/16' });
  await topology.node(1).net('createLocal', { ...OTHER, subnet: '172.18.0.0/16', gateway: '172.18.0.1' });
  await topology.node(1).net('createLocal', { ...INTERNAL, subnet: '172.19.0.0/16' });
});

test.after.always(async () => {
  await topology?.[Symbol.asyncDispose]();
});

interface Container {
  readonly sandbox: Sandbox;
  readonly web: Remote;
}

/** A container that serves its name at port 80, on one network of the machine. */
async function start(
  name: string,
  networkId: string,
  more: Partial<SandboxRequest> = {},
): Promise<Container> {
  const sandbox = await topology.node(1).net('openSandbox', request(name, networkId, more));
  const web = topology.probe(sandbox.netnsPath);
  await web.call('serve', name, 80);
  return { sandbox, web };
}

function request(name: string, networkId: string, more: Partial<SandboxRequest> = {}): SandboxRequest {
  return {
    containerId: containerId(),
    names: [name],
    attachments: [{ networkId, aliases: [`${name}-alias`] }],
    ports: [],
    mesh: false,
    ...more,
  };
}

function port(hostPort: number, more: object = {}) {
  return { protocol: 'tcp' as const, containerPort: 80, hostPort, hostIp: '', ...more };
}

async function stop(...containers: readonly Container[]): Promise<void> {
  for (const { sandbox, web } of containers) {
    await web.end('SIGKILL');
    await topology.node(1).net('closeSandbox', sandbox.containerId);
  }
}

function get(from: Remote, hostName: string, at: number, opts = {}): Promise<string> {
  return from.call('ask', hostName, at, opts);
}

function linkNames(): string[] {
  const lines = topology.run(topology.node(1).netns, 'ip -o link').trim().split('\n');
  return lines.map((line) => line.split(': ')[1] as string);
}

async function refusal(
  t: ExecutionContext,
  call: () => Promise<unknown>,
): Promise<{ code?: string; message: string }> {
  return (await t.throwsAsync(call)) as Error & { code?: string };
}

test.serial(
  'default bridge: addresses from its subnet, MACs made from them, the host’s own resolv.conf',
  async (t) => {
    const a = await start('a', DEFAULT.id);
    const b = await start('b', DEFAULT.id);
    t.deepEqual(a.sandbox.attachments, [
      { networkId: DEFAULT.id, address: '172.17.0.2/16', gateway: '172.17.0.1', mac: '02:42:ac:11:00:02' },
    ]);
    t.is(a.sandbox.nameserver, undefined);
    t.is(await get(a.web, '172.17.0.3', 80), 'b 172.17.0.2');
    t.is(await get(host, '172.17.0.3', 80), 'b 172.17.0.1');
    await stop(a);
    const c = await start('c', DEFAULT.id);
    t.is(c.sandbox.attachments[0]?.address, '172.17.0.2/16');
    await stop(b, c);
  },
);

test.serial(
  'published ports: from outside, localhost, the host’s addresses, other containers and itself',
  async (t) => {
    const web = await start('web', DEFAULT.id, { ports: [port(8080), port(8080, { protocol: 'udp' })] });
    const near = await start('near', DEFAULT.id);
    const far = await start('far', OTHER.id);
    t.is(await get(ext, lanAddress(1), 8080), 'web 10.90.0.100');
    t.is(await ext.call('askUdp', lanAddress(1), 8080), 'web 10.90.0.100');
    t.is(await get(host, '127.0.0.1', 8080), 'web 172.17.0.1');
    t.is(await get(host, lanAddress(1), 8080), 'web 10.90.0.1');
    t.is(await get(near.web, lanAddress(1), 8080), 'web 172.17.0.1');
    t.is(await get(far.web, lanAddress(1), 8080), 'web 172.17.0.1');
    t.is(await get(web.web, lanAddress(1), 8080), 'web 172.17.0.1');
    await stop(web, near, far);
    t.is(await get(ext, lanAddress(1), 8080), 'ECONNREFUSED');
  },
);

test.serial('a port published at one address is not there at others', async (t) => {
  const web = await start('web', DEFAULT.id, {
    ports: [port(8085, { hostIp: '127.0.0.1' }), port(8086, { hostIp: lanAddress(1) })],
  });
  t.is(await get(host, '127.0.0.1', 8085), 'web 172.17.0.1');
  t.is(await get(ext, lanAddress(1), 8085), 'ECONNREFUSED');
  t.is(await get(ext, lanAddress(1), 8086), 'web 10.90.0.100');
  t.is(await get(host, '127.0.0.1', 8086), 'ECONNREFUSED');
  await stop(web);
});

test.serial(
  'a port that is taken is refused in Docker’s words, and nothing is left of the container',
  async (t) => {
    const web = await start('web', DEFAULT.id, { ports: [port(8080)] });
    const before = linkNames();
    const second = request('second', DEFAULT.id, { ports: [port(8080)] });
    const taken = await refusal(t, () => topology.node(1).net('openSandbox', second));
    t.is(taken.code, 'CONFLICT');
    t.is(
      taken.message,
      `driver failed programming external connectivity on endpoint second (${second.containerId}): ` +
        'Bind for 0.0.0.0:8080 failed: port is already allocated',
    );
    await host.call('serve', 'foreign', 8090);
    const foreign = request('third', DEFAULT.id, { ports: [port(8090)] });
    const inUse = await refusal(t, () => topology.node(1).net('openSandbox', foreign));
    t.is(inUse.code, 'CONFLICT');
    t.regex(inUse.message, /failed to bind host port for 0\.0\.0\.0:8090:80\/tcp: address already in use$/);
    await host.call('reset', 'at once');
    const nowhere = request('fourth', DEFAULT.id, { ports: [port(8091, { hostIp: '192.0.2.1' })] });
    const elsewhere = await refusal(t, () => topology.node(1).net('openSandbox', nowhere));
    t.regex(elsewhere.message, /cannot assign requested address$/);
    t.deepEqual(linkNames(), before);
    await stop(web);
  },
);

test.serial('a free port is chosen where none is named, and the one chosen is told', async (t) => {
  const web = await start('web', DEFAULT.id, { ports: [port(0), port(0, { protocol: 'udp' })] });
  const chosen = web.sandbox.ports.map((one) => one.hostPort);
  t.true(chosen.every((one) => one > 1024));
  t.is(await get(ext, lanAddress(1), chosen[0] as number), 'web 10.90.0.100');
  await stop(web);
});

test.serial(
  'bridges are isolated from each other, internal ones from everything; egress has the node’s address',
  async (t) => {
    await ext.call('serve', 'outside', 9_000);
    const a = await start('a', DEFAULT.id);
    const b = await start('b', OTHER.id);
    const c = await start('c', INTERNAL.id);
    const d = await start('d', INTERNAL.id);
    t.is(await get(a.web, '172.18.0.2', 80, SHORT), 'silence');
    t.is(await get(a.web, '10.90.0.100', 9_000), 'outside 10.90.0.1');
    t.is(await get(c.web, '172.19.0.3', 80), 'd 172.19.0.2');
    t.is(await get(c.web, '10.90.0.100', 9_000), 'ENETUNREACH');
    topology.run(c.sandbox.netnsPath, 'ip route add default via 172.19.0.1');
    t.is(await get(c.web, '10.90.0.100', 9_000, SHORT), 'silence', 'a route of its own is no way out');
    topology.run(topology.ext, `ip route replace 172.17.0.0/16 via ${lanAddress(1)}`);
    t.is(await get(ext, '172.17.0.2', 80, SHORT), 'silence');
    await stop(a, b, c, d);
    await ext.call('reset', 'at once');
  },
);

test.serial(
  'names: containers of a network that users made know each other, those of others not',
  async (t) => {
    const a = await start('a', OTHER.id);
    const b = await start('b', OTHER.id);
    const c = await start('c', DEFAULT.id);
    const ask = (from: Container, name: string, type = 'A', transport = 'udp'): Promise<string> =>
      from.web.call('askDns', name, type, transport);
    t.is(a.sandbox.nameserver, '127.0.0.11');
    t.is(await ask(a, 'b'), '172.18.0.3');
    t.is(await ask(a, 'B-alias', 'A', 'tcp'), '172.18.0.3');
    t.is(await ask(a, 'b.other'), '172.18.0.3');
    t.is(await ask(a, '3.0.18.172.in-addr.arpa', 'PTR'), 'b.other');
    t.is(await ask(a, 'c'), 'NXDOMAIN');
    t.is(await ask(c, 'a'), 'NXDOMAIN');
    await stop(a, b, c);
  },
);

test.serial('live: a container joins a network and leaves it', async (t) => {
  const a = await start('a', DEFAULT.id);
  const b = await start('b', OTHER.id);
  const info = await topology
    .node(1)
    .net('attach', a.sandbox.containerId, { networkId: OTHER.id, aliases: ['x'] });
  t.is(info.address, '172.18.0.3/16');
  t.is(await get(a.web, '172.18.0.2', 80), 'b 172.18.0.3');
  t.is(await b.web.call('askDns', 'x', 'A', 'udp'), '172.18.0.3');
  await topology.node(1).net('detach', a.sandbox.containerId, DEFAULT.id);
  t.regex(topology.run(a.sandbox.netnsPath, 'ip route'), /default via 172\.18\.0\.1/);
  t.is(await get(a.web, '172.18.0.2', 80), 'b 172.18.0.3');
  await stop(a, b);
});

test.serial(
  'IPv6: containers reach each other, their gateway and the outside, but not another network',
  async (t) => {
    const node = topology.node(1);
    const bridges = [6, 7].map((digit) => ({
      ...{ id: String(digit).repeat(64), name: `six${digit}`, driver: 'bridge' as const, internal: false },
      ...{ subnet: `172.2${digit}.0.0/16`, gateway: `172.2${digit}.0.1` },
      ipv6: { subnet: `fd00:${digit}::/64`, gateway: `fd00:${digit}::1` },
    }));
    for (const bridge of bridges) await node.net('createLocal', bridge);
    const [first, second, other] = await Promise.all(
      ['6', '6', '7'].map((digit, i) => start(`six-${i}`, digit.repeat(64))),
    );
    if (!first || !second || !other) return t.fail();
    const pings = (from: Container, to: string, seconds = 30): boolean => {
      try {
        topology.run(from.sandbox.netnsPath, `busybox ping6 -c 1 -W ${seconds} ${to}`);
        return true;
      } catch {
        return false;
      }
    };
    const addressOf = ({ sandbox }: Container): string =>
      sandbox.attachments[0]?.ipv6?.address.split('/')[0] ?? '';
    t.true(pings(first, addressOf(second)));
    t.true(pings(first, 'fd00:6::1'));
    t.false(pings(first, addressOf(other), 1));
    topology.run(node.netns, 'ip addr add fd00:90::1/64 dev eth0 nodad');
    topology.run(topology.ext, 'ip addr add fd00:90::2/64 dev eth0 nodad');
    t.true(pings(first, 'fd00:90::2'));
    await stop(first, second, other);
    for (const { id } of bridges) await node.net('removeLocal', id);
    t.false(topology.run(node.netns, 'nft list tables').includes('ip6'));
  },
);

test.serial('macvlan: a container is one more machine of the network outside', async (t) => {
  const id = '9'.repeat(64);
  const network = {
    ...{ id, name: 'devices', driver: 'macvlan' as const, internal: false },
    ...{ subnet: `${lanAddress(1)}/24`, gateway: lanAddress(1), macvlan: { parent: 'eth0', mode: 'bridge' } },
  };
  await topology.node(1).net('createLocal', network);
  const attachments = [{ networkId: id, address: lanAddress(77), aliases: [] }];
  const container = await start('device', id, { attachments });
  t.is(await get(ext, lanAddress(77), 80), `device ${EXT}`);
  await stop(container);
  await topology.node(1).net('removeLocal', id);
});

test.serial('an address of one’s own choice: refused when taken or outside the subnet', async (t) => {
  const attachments = [{ networkId: OTHER.id, address: '172.18.0.77', aliases: [] }];
  const a = await start('a', OTHER.id, { attachments });
  t.is(a.sandbox.attachments[0]?.address, '172.18.0.77/16');
  const again = await refusal(t, () =>
    topology.node(1).net('openSandbox', request('b', OTHER.id, { attachments })),
  );
  t.is(again.message, 'Address already in use');
  await stop(a);
});

test.serial('containers that leave at once leave no link, and nobody else’s goes with theirs', async (t) => {
  const stays = await start('stays', DEFAULT.id);
  const before = linkNames();
  const leaving = await Promise.all(['a', 'b', 'c', 'd'].map((name) => start(name, DEFAULT.id)));
  t.is(linkNames().length, before.length + leaving.length);
  await Promise.all(leaving.map((container) => stop(container)));
  t.deepEqual(linkNames(), before);
  t.is(await get(host, '172.17.0.2', 80), 'stays 172.17.0.1');
  await stop(stays);
});

test.serial('what can’t be done is undone: a bad MAC leaves no namespace and no link', async (t) => {
  const { netns, execRoot } = topology.node(1);
  const before = [linkNames(), topology.run(netns, `ls ${execRoot}/netns`)];
  const bad = request('bad', OTHER.id, {
    attachments: [{ networkId: OTHER.id, mac: 'ff:ff:ff:ff:ff:ff', aliases: [] }],
  });
  await t.throwsAsync(topology.node(1).net('openSandbox', bad));
  t.deepEqual([linkNames(), topology.run(netns, `ls ${execRoot}/netns`)], before);
});

test.serial(
  'encrypted overlay networks, unknown networks and networks in use are refused with the reason',
  async (t) => {
    const node = topology.node(1);
    const encrypted = { ...NETWORK, options: { encrypted: '' } };
    await node.net('applyCluster', {
      version: 1,
      self: { nodeId: 'node1' as never, meshPool: '100.64.0.0/10', meshIndex: 1, dataPathPort: 4789 },
      peers: new Map(),
      networks: new Map([[encrypted.id, encrypted]]),
      services: new Map(),
      endpoints: new Map(),
    });
    const attachments = [{ networkId: NETWORK.id, address: '10.0.1.5', aliases: [] }];
    const refused = await refusal(t, () => node.net('openSandbox', request('a', '', { attachments })));
    t.is(refused.code, 'NOT_IMPLEMENTED');
    t.regex(refused.message, /backend: encrypted/);
    t.is((await refusal(t, () => node.net('openSandbox', request('a', 'nonesuch')))).code, 'NOT_FOUND');
    const a = await start('a', OTHER.id);
    t.regex(
      (await refusal(t, () => node.net('removeLocal', OTHER.id))).message,
      /has active endpoints \(a\)/,
    );
    await stop(a);
    await node.net('applyCluster', undefined);
    t.notRegex(topology.run(node.netns, 'ip -o link'), /shoal-mesh/);
  },
);

test.serial('a daemon that starts keeps what it is told of, and removes what a crash left', async (t) => {
  const node = topology.node(1);
  const kept = await start('kept', OTHER.id, { ports: [port(8080)] });
  const lost = await start('lost', OTHER.id, { ports: [port(8082)] });
  await lost.web.end('SIGKILL');
  topology.run(node.netns, `ip link add v0123456789-0 type veth peer name v0123456789-1`);
  topology.run(node.netns, 'ip link set v0123456789-0 master br-eeeeeeeeeeee');
  await host.call('startLoad', '127.0.0.1', 8080, 2);
  await node.restart('kill', [kept.sandbox]);
  const report = await host.call<{ answered: number; failed: string[] }>('stopLoad');
  t.deepEqual(report.failed, []);
  t.deepEqual(await node.driver.call('warnings'), []);
  t.notRegex(topology.run(node.netns, 'ip -o link'), /v0123456789/);
  t.false(topology.run(node.netns, `ls ${node.execRoot}/netns`).includes(lost.sandbox.containerId));
  t.is(await get(ext, lanAddress(1), 8082), 'ECONNREFUSED');
  t.is(await get(ext, lanAddress(1), 8080), 'kept 10.90.0.100');
  t.is(await kept.web.call('askDns', 'kept', 'A', 'udp'), '172.18.0.2');
  await stop(kept);
});

test.serial('a link that somebody took away is made again with everything in the container', async (t) => {
  const node = topology.node(1);
  const a = await start('a', OTHER.id);
  topology.run(node.netns, `ip link del v${a.sandbox.containerId.slice(0, 10)}-0`);
  t.notRegex(await get(host, '172.18.0.2', 80, SHORT), /^a /);
  await node.restart('dispose', [a.sandbox]);
  t.is(await get(host, '172.18.0.2', 80), 'a 172.18.0.1');
  t.is(await a.web.call('askDns', 'a', 'A', 'udp'), '172.18.0.2');
  await stop(a);
});

test.serial('two daemons in one namespace: each has its own networks, ports and names', async (t) => {
  const node = topology.node(1);
  const second = topology.secondNode(node, 'second');
  await second.driver.call('open', { ...second.opts, teardown: true }, lanAddress(1));
  await second.driver.call('recover', []);
  await second.net('createLocal', { ...OTHER, id: 'a'.repeat(64), name: 'mine', subnet: '172.30.0.0/16' });
  const wanted = request('theirs', 'a'.repeat(64), { ports: [port(8088)] });
  const sandbox = await second.net('openSandbox', wanted);
  const theirs = topology.probe(sandbox.netnsPath);
  await theirs.call('serve', 'theirs', 80);
  const ours = await start('ours', OTHER.id, { ports: [port(8087)] });
  t.is(await theirs.call('askDns', 'theirs', 'A', 'udp'), '172.30.0.2');
  t.is(await theirs.call('askDns', 'theirs-alias', 'A', 'tcp'), '172.30.0.2');
  t.is(`${await ours.web.call('askDns', 'ours', 'A', 'udp')}/16`, ours.sandbox.attachments[0]?.address ?? '');
  t.is(await get(ext, lanAddress(1), 8087), 'ours 10.90.0.100');
  t.is(await get(ext, lanAddress(1), 8088), 'theirs 10.90.0.100');
  t.is(await get(theirs, '172.18.0.2', 80, SHORT), 'silence');
  t.is(await get(theirs, lanAddress(1), 8087), 'ours 172.18.0.1');
  await second.driver.call('dispose');
  t.is(await get(ext, lanAddress(1), 8087), 'ours 10.90.0.100');
  t.notRegex(topology.run(node.netns, 'nft list ruleset'), /shoal-second/);
  await stop(ours);
});
