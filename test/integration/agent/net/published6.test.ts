import test from 'ava';
import type { PortBinding, Sandbox } from '#agent/net/node-network.ts';
import { lanAddress } from '#test/support/net/cluster.ts';
import type { Remote } from '#test/support/net/remote.ts';
import { containerId, Topology } from '#test/support/net/topology.ts';

/* Ports that containers publish at IPv6 addresses, on one node with two bridges. */

const FOUR = { id: '4'.repeat(64), name: 'four', driver: 'bridge', internal: false } as const;
const SIX = { ...FOUR, id: '6'.repeat(64), name: 'six', subnet: '172.26.0.0/16', gateway: '172.26.0.1' };
const OTHER = { ...FOUR, id: '7'.repeat(64), name: 'other', subnet: '172.27.0.0/16', gateway: '172.27.0.1' };
const NODE = 'fd00:90::1';
const OUTSIDE = 'fd00:90::2';

let topology: Topology;
let ext: Remote;
let host: Remote;

test.before(async () => {
  topology = new Topology('six', 1);
  const node = topology.node(1);
  await node.open();
  ext = topology.probe(topology.ext);
  host = topology.probe(node.netns);
  topology.run(node.netns, `ip addr add ${NODE}/64 dev eth0 nodad`);
  topology.run(topology.ext, `ip addr add ${OUTSIDE}/64 dev eth0 nodad`);
  await node.net('createLocal', { ...FOUR, subnet: '172.24.0.0/16', gateway: '172.24.0.1' });
  await node.net('createLocal', { ...SIX, ipv6: { subnet: 'fd00:6::/64', gateway: 'fd00:6::1' } });
  await node.net('createLocal', { ...OTHER, ipv6: { subnet: 'fd00:7::/64', gateway: 'fd00:7::1' } });
});

test.after.always(async () => {
  await topology?.[Symbol.asyncDispose]();
});

function port(hostPort: number, more: Partial<PortBinding> = {}): PortBinding {
  return { protocol: 'tcp', containerPort: 80, hostPort, hostIp: '', ...more };
}

async function start(
  name: string,
  networkId: string,
  ports: readonly PortBinding[] = [],
): Promise<{ sandbox: Sandbox; web: Remote }> {
  const sandbox = await topology.node(1).net('openSandbox', {
    ...{ containerId: containerId(), names: [name], mesh: false, ports },
    attachments: [{ networkId, aliases: [] }],
  });
  const web = topology.probe(sandbox.netnsPath);
  await web.call('serve', name, 80);
  return { sandbox, web };
}

async function stop(...containers: readonly { sandbox: Sandbox; web: Remote }[]): Promise<void> {
  for (const { sandbox, web } of containers) {
    await web.end('SIGKILL');
    await topology.node(1).net('closeSandbox', sandbox.containerId);
  }
}

function get(from: Remote, address: string, at: number): Promise<string> {
  return from.call('ask', address, at, {});
}

test.serial(
  'both families: from outside, the node’s addresses, ::1, other containers and itself',
  async (t) => {
    const web = await start('web', SIX.id, [port(8080)]);
    const near = await start('near', SIX.id);
    const far = await start('far', OTHER.id);
    t.deepEqual(
      web.sandbox.ports.map(({ hostIp, hostPort }) => [hostIp, hostPort]),
      [
        ['', 8080],
        ['::', 8080],
      ],
    );
    t.is(await get(ext, NODE, 8080), `web ${OUTSIDE}`, 'who asks is known');
    t.is(await get(host, NODE, 8080), `web ${NODE}`);
    t.is(await get(host, '::1', 8080), 'web fd00:6::1');
    t.is(await get(host, '127.0.0.1', 8080), 'web 172.26.0.1');
    t.is(await get(near.web, NODE, 8080), 'web fd00:6::1');
    t.is(await get(far.web, NODE, 8080), 'web fd00:6::1');
    t.is(await get(web.web, NODE, 8080), 'web fd00:6::1');
    await stop(web, near, far);
    t.is(await get(ext, NODE, 8080), 'ECONNREFUSED');
    t.is(await get(host, '::1', 8080), 'ECONNREFUSED');
  },
);

test.serial('a port published at one address is not there at others, nor for the other family', async (t) => {
  const web = await start('web', SIX.id, [port(8085, { hostIp: '::1' }), port(8086, { hostIp: NODE })]);
  t.is(await get(host, '::1', 8085), 'web fd00:6::1');
  t.is(await get(ext, NODE, 8085), 'ECONNREFUSED');
  t.is(await get(host, '127.0.0.1', 8085), 'ECONNREFUSED');
  t.is(await get(ext, NODE, 8086), `web ${OUTSIDE}`);
  t.is(await get(host, '::1', 8086), 'ECONNREFUSED');
  await stop(web);
});

test.serial('a port that is taken in one family is refused for both, and free in the other', async (t) => {
  await host.call('serve', 'foreign', 8090);
  await t.throwsAsync(start('web', SIX.id, [port(8090, { hostIp: '::1' })]), {
    message: /failed to bind host port for \[::1\]:8090:80\/tcp: address already in use$/,
  });
  await host.call('reset', 'at once');
  const six = await start('six', SIX.id, [port(8091, { hostIp: '::' })]);
  const four = await start('four', FOUR.id, [port(8091)]);
  await t.throwsAsync(start('both', SIX.id, [port(8091)]), { message: /port is already allocated$/ });
  t.is(await get(host, '::1', 8091), 'six fd00:6::1');
  t.is(await get(host, '127.0.0.1', 8091), 'four 172.24.0.1');
  await stop(six, four);
});

test.serial('UDP: who goes on from the same port reaches the next container that publishes it', async (t) => {
  const udp = [port(8092, { protocol: 'udp' })];
  const ask = (): Promise<string> => ext.call('askUdp', NODE, 8092, undefined, 5_000);
  const first = await start('first', SIX.id, udp);
  t.is(await ask(), `first ${OUTSIDE}`);
  await stop(first);
  const inItsPlace = await start('in-its-place', SIX.id);
  t.deepEqual(inItsPlace.sandbox.attachments[0]?.ipv6, first.sandbox.attachments[0]?.ipv6);
  const second = await start('second', SIX.id, udp);
  t.is(await ask(), `second ${OUTSIDE}`);
  await stop(inItsPlace, second);
});

test.serial('macvlan: a container is one more machine of the network outside, for IPv6 too', async (t) => {
  const node = topology.node(1);
  const id = '9'.repeat(64);
  await node.net('createLocal', {
    ...{ ...FOUR, id, name: 'devices', driver: 'macvlan', macvlan: { parent: 'eth0', mode: 'bridge' } },
    ...{ subnet: `${lanAddress(1)}/24`, gateway: lanAddress(1) },
    ipv6: { subnet: 'fd00:90::/64', gateway: OUTSIDE },
  });
  const sandbox = await node.net('openSandbox', {
    ...{ containerId: containerId(), names: ['device'], mesh: false, ports: [port(8080)] },
    attachments: [{ networkId: id, address: lanAddress(77), address6: 'fd00:90::77', aliases: [] }],
  });
  const web = topology.probe(sandbox.netnsPath);
  await web.call('serve', 'device', 80);
  t.is(await get(ext, 'fd00:90::77', 80), `device ${OUTSIDE}`);
  t.regex(topology.run(sandbox.netnsPath, 'ip -6 route'), /default via fd00:90::2 dev eth0/);
  await stop({ sandbox, web });
  await node.net('removeLocal', id);
});

test.serial(
  'what is published stays through a restart of the daemon, and goes with its container',
  async (t) => {
    const node = topology.node(1);
    const web = await start('web', SIX.id, [port(8080)]);
    await node.restart('kill', [web.sandbox]);
    t.is(await get(ext, NODE, 8080), `web ${OUTSIDE}`);
    t.is(await get(host, '::1', 8080), 'web fd00:6::1');
    await stop(web);
    t.notRegex(topology.run(node.netns, 'nft list table ip6 shoal'), /8080|dnat to/);
    for (const { id } of [SIX, OTHER]) await node.net('removeLocal', id);
    t.notRegex(topology.run(node.netns, 'nft list tables'), /ip6/);
    t.notRegex(topology.run(node.netns, 'ip -6 route show table local'), /::1 dev br/);
  },
);
