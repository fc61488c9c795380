import test from 'ava';
import { containerId, Topology } from '#test/support/net/topology.ts';

/* VLANs as parents of macvlan networks: not every machine that runs the other tests has a kernel that knows VLANs. */

const MACVLAN = { driver: 'macvlan', internal: false } as const;

let topology: Topology;

test.before(async () => {
  topology = new Topology('vlan', 1);
  await topology.node(1).open();
});

test.after.always(async () => {
  await topology?.[Symbol.asyncDispose]();
});

function hasDevice(name: string): boolean {
  return topology.run(topology.node(1).netns, 'ip -o link').includes(` ${name}@`);
}

test('a VLAN that is not there is made, carries the container’s frames, and goes with its network', async (t) => {
  const node = topology.node(1);
  topology.run(topology.ext, 'ip link add link eth0 name eth0.10 type vlan id 10');
  topology.run(topology.ext, 'ip addr add 10.99.0.1/24 dev eth0.10');
  topology.run(topology.ext, 'ip link set dev eth0.10 up');
  const id = '1'.repeat(64);
  const macvlan = { parent: 'eth0.10', mode: 'bridge' };
  await node.net('createLocal', {
    ...{ ...MACVLAN, id, name: 'ten', macvlan, subnet: '10.99.0.0/24', gateway: '10.99.0.1' },
  });
  t.true(hasDevice('eth0.10'));
  const sandbox = await node.net('openSandbox', {
    ...{ containerId: containerId(), names: ['tagged'], mesh: false, ports: [] },
    attachments: [{ networkId: id, address: '10.99.0.77', aliases: [] }],
  });
  const web = topology.probe(sandbox.netnsPath);
  await web.call('serve', 'tagged', 80);
  const ext = topology.probe(topology.ext);
  t.is(await ext.call('ask', '10.99.0.77', 80, {}), 'tagged 10.99.0.1');
  await web.end('SIGKILL');
  await node.net('closeSandbox', sandbox.containerId);
  await node.net('removeLocal', id);
  t.false(hasDevice('eth0.10'));
});

test('a VLAN that somebody else has made stays', async (t) => {
  const node = topology.node(1);
  topology.run(node.netns, 'ip link add link eth0 name eth0.20 type vlan id 20');
  const id = '2'.repeat(64);
  const macvlan = { parent: 'eth0.20', mode: 'bridge' };
  await node.net('createLocal', {
    ...{ ...MACVLAN, id, name: 'twenty', macvlan, subnet: '10.98.0.0/24', gateway: '10.98.0.1' },
  });
  await node.net('removeLocal', id);
  t.true(hasDevice('eth0.20'));
});
