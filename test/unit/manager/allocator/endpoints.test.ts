import test from 'ava';
import { checkPublishedPorts } from '#manager/allocator/ports.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import type { PortConfig, ServiceSpec } from '#proto/types/specs.ts';
import { networkRow } from '../leader/rows.ts';
import { World } from '../leader/world.ts';

const port = (publishedPort?: number, more: Partial<PortConfig> = {}): PortConfig => ({
  protocol: 'tcp',
  targetPort: 80,
  publishMode: 'ingress',
  ...(publishedPort === undefined ? {} : { publishedPort }),
  ...more,
});

const publishing = (...ports: PortConfig[]): Partial<ServiceSpec> => ({ endpoint: { ports } });

const attached = (...names: string[]): Partial<ServiceSpec> => ({
  task: { container: { image: 'web:1' }, networks: names.map((name) => ({ target: `net-${name}` })) },
});

function world(...networks: string[]): World {
  const made = new World();
  made.node('a');
  made.commit(networks.map((name) => ({ kind: 'putNetwork' as const, network: networkRow(name) })));
  return made;
}

function published(made: World, id: ServiceId): (number | undefined)[] {
  return made.get(id).endpoint?.ports.map(({ publishedPort }) => publishedPort) ?? [];
}

test('endpoints: a service has a virtual address on each of its overlay networks, and on ingress with ports', (t) => {
  const made = world('back', 'front');
  const web = made.service('web', { ...attached('back', 'host', 'front'), ...publishing(port(8080)) });
  made.settle();
  t.deepEqual(made.get(web).endpoint, {
    mode: 'vip',
    ports: [port(8080)],
    vips: [
      { networkId: 'net-ingress', addr: '10.0.0.2/24' },
      { networkId: 'net-back', addr: '10.0.1.2/24' },
      { networkId: 'net-front', addr: '10.0.2.2/24' },
    ] as never,
  });
  t.deepEqual(made.running(web)[0]?.networks, [
    { networkId: 'net-back', addresses: ['10.0.1.3/24'] },
    { networkId: 'net-host', addresses: [] },
    { networkId: 'net-front', addresses: ['10.0.2.3/24'] },
  ] as never);
});

test('endpoints: a dnsrr service has no virtual address, one without networks and ports neither', (t) => {
  const made = world('back');
  const dnsrr = made.service('dnsrr', { ...attached('back'), endpoint: { mode: 'dnsrr' } });
  const plain = made.service('plain');
  made.settle();
  t.deepEqual(made.get(dnsrr).endpoint, { mode: 'dnsrr', ports: [], vips: [] });
  t.deepEqual(made.get(plain).endpoint, { mode: 'vip', ports: [], vips: [] });
  t.is(made.running(dnsrr)[0]?.networks[0]?.addresses[0], '10.0.1.2/24');
});

test('endpoints: host ports need no virtual address and are left to the nodes', (t) => {
  const made = world();
  const web = made.service(
    'web',
    publishing(port(undefined, { publishMode: 'host' }), port(80, { publishMode: 'host' })),
  );
  made.settle();
  t.deepEqual(made.get(web).endpoint?.vips, []);
  t.deepEqual(published(made, web), [undefined, 80]);
});

test('endpoints: virtual addresses stay over updates, and go with their network', (t) => {
  const made = world('back', 'front');
  const web = made.service('web', attached('back'));
  made.settle();
  const [vip] = made.get(web).endpoint?.vips ?? [];
  made.service('web', attached('front', 'back'));
  made.advance(60_000);
  t.deepEqual(made.get(web).endpoint?.vips[1], vip);
  made.service('web', attached('front'));
  made.advance(60_000);
  t.deepEqual(
    made.get(web).endpoint?.vips.map(({ networkId }) => networkId as string),
    ['net-front'],
  );
});

test('endpoints: ports that nobody named come from 30000 on, and stay over updates', (t) => {
  const made = world();
  const web = made.service('web', publishing(port(), port(undefined, { targetPort: 443 })));
  made.settle();
  const other = made.service('other', publishing(port(30_002), port()));
  made.settle();
  t.deepEqual(published(made, web), [30_000, 30_001]);
  t.deepEqual(published(made, other), [30_002, 30_003]);
  made.service('web', publishing(port(undefined, { targetPort: 443 }), port(9000, { targetPort: 90 })));
  made.settle();
  t.deepEqual(published(made, web), [30_001, 9000]);
  made.service('web', publishing(port(), port(undefined, { targetPort: 443 })));
  made.settle();
  t.deepEqual(published(made, web), [30_000, 30_001]);
});

test('endpoints: tcp and udp have ports of their own', (t) => {
  const made = world();
  const web = made.service('web', publishing(port(), port(undefined, { protocol: 'udp' })));
  made.settle();
  t.deepEqual(published(made, web), [30_000, 30_000]);
});

test('endpoints: a chosen port never is one that the service asks for itself', (t) => {
  const made = world();
  const web = made.service('web', publishing(port(), port(30_000, { targetPort: 81 })));
  made.settle();
  t.deepEqual(published(made, web), [30_001, 30_000]);
});

test('endpoints: two services that ask for one port at the same time: one gets it, the other says why it waits', (t) => {
  const made = world();
  const one = made.service('one', publishing(port(80)));
  const two = made.service('two', publishing(port(80)));
  made.settle();
  t.is(made.running(one).length, 1);
  t.is(
    made.tasks(two)[0]?.status.error,
    "port '80' is already in use by service 'one' (service-one) as an ingress port",
  );
  made.removeService(one);
  made.settle();
  t.is(made.running(two).length, 1);
});

test('endpoints: a removed service gives its ports away at once', (t) => {
  const made = world();
  made.destiny = (_task, _spec, step) => (step === 'stop' ? 'hangs' : 'works');
  const one = made.service('one', publishing(port(80)));
  made.settle();
  made.removeService(one);
  made.settle();
  t.notThrows(() => checkPublishedPorts(made.view, [port(80)]));
  const two = made.service('two', publishing(port(80)));
  made.settle();
  t.is(made.running(two).length, 1);
  t.deepEqual(published(made, one), []);
});

test('ports: one that another service has is refused in the words of Swarm', (t) => {
  const made = world();
  made.service('one', publishing(port(80), port(8080, { publishMode: 'host' })));
  made.settle();
  const check =
    (...ports: PortConfig[]) =>
    (): void =>
      checkPublishedPorts(made.view, ports);
  t.throws(check(port(80)), {
    code: 'INVALID_ARGUMENT',
    message: "port '80' is already in use by service 'one' (service-one) as an ingress port",
  });
  t.throws(check(port(80, { publishMode: 'host' })), { message: /as an ingress port$/ });
  t.throws(check(port(8080)), { message: /as a host-published port$/ });
  t.notThrows(check(port(8080, { publishMode: 'host' })));
  t.notThrows(check(port(80, { protocol: 'udp' })));
  t.notThrows(check(port()));
  t.notThrows(() => checkPublishedPorts(made.view, [port(80)], 'service-one' as ServiceId));
});

test('ports: one that was chosen for another service is refused as well', (t) => {
  const made = world();
  made.service('one', publishing(port()));
  made.settle();
  t.throws(() => checkPublishedPorts(made.view, [port(30_000)]), { message: /'30000' is already in use/ });
});
