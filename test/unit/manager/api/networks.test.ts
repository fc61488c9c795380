import test from 'ava';
import { clusterNetworks } from '#manager/api/networks.ts';
import type { Change } from '#manager/store/changes.ts';
import { codeOf, type FailureCode, messageOf } from '#proto/base/errors.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { placeTask } from '#test/support/cluster.ts';
import { ApiLab, node, web } from './lab.ts';

function provider(lab: ApiLab) {
  return clusterNetworks(lab.modules);
}

async function made(lab: ApiLab, body: object): Promise<NetworkId> {
  return (await provider(lab).create({ Driver: 'overlay', ...body })).Id as NetworkId;
}

test('a network is made, shown with what it was given, and removed', async (t) => {
  await using lab = await ApiLab.open();
  const networks = provider(lab);
  const id = await made(lab, {
    Name: 'front',
    Attachable: true,
    Labels: { a: 'b' },
    IPAM: { Driver: 'default', Config: [{ Subnet: '10.88.0.0/24' }] },
  });
  t.regex(id, /^[a-z0-9]{25}$/);
  await lab.write({
    kind: 'allocateNetwork',
    networkId: id,
    vni: 4097,
    ipam: [{ subnet: '10.88.0.0/24', gateway: '10.88.0.1' }],
  });
  const { Created, ...shown } = (await networks.find('front')) ?? { Created: '' };
  t.regex(Created, /^\d{4}-\d\d-\d\dT.*Z$/);
  t.deepEqual(shown, {
    Name: 'front',
    Id: id,
    Scope: 'swarm',
    Driver: 'overlay',
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [{ Subnet: '10.88.0.0/24', Gateway: '10.88.0.1' }] },
    Internal: false,
    Attachable: true,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: null,
    Options: { 'com.docker.network.driver.overlay.vxlanid_list': '4097' },
    Labels: { a: 'b' },
  });
  await networks.remove(id);
  t.is(await networks.find('front'), undefined);
});

test("the list has the cluster's networks, and not those that stand for what each node has itself", async (t) => {
  await using lab = await ApiLab.open();
  await made(lab, { Name: 'front' });
  t.deepEqual((await provider(lab).list()).map(({ Name }) => Name).sort(), ['front', 'ingress']);
  t.is((await provider(lab).find('host'))?.Driver, 'host', 'these are found by name, for services');
});

const refused: readonly (readonly [body: object, code: FailureCode, message: string])[] = [
  [{ Name: '' }, 'INVALID_ARGUMENT', 'meta: name must be provided'],
  [{ Name: 'a b' }, 'INVALID_ARGUMENT', 'name must be valid as a DNS name component'],
  [{ Name: 'host' }, 'FORBIDDEN', 'host is a pre-defined network and cannot be created'],
  [{ Name: 'taken' }, 'CONFLICT', 'network with name taken already exists'],
  [
    { Name: 'x', Labels: { 'com.docker.swarm.predefined': 'true' } },
    'FORBIDDEN',
    'label com.docker.swarm.internal is for predefined internal networks and cannot be applied by users',
  ],
  [
    { Name: 'x', Ingress: true, Attachable: true },
    'INVALID_ARGUMENT',
    'ingress network cannot be attachable',
  ],
  [{ Name: 'x', IPAM: { Driver: 'mine' } }, 'INVALID_ARGUMENT', 'invalid IPAM specified'],
  [
    { Name: 'x', IPAM: { Config: [{ Subnet: 'sea' }] } },
    'INVALID_ARGUMENT',
    'ipam configuration: invalid subnet sea',
  ],
  [
    { Name: 'x', EnableIPv6: true },
    'NOT_IMPLEMENTED',
    'network x: IPv6 in overlay networks is not supported yet',
  ],
  [
    { Name: 'x', Options: { encrypted: '' } },
    'NOT_IMPLEMENTED',
    'network x: encrypted overlay networks are not supported yet',
  ],
  [
    { Name: 'x', Driver: 'macvlan' },
    'NOT_IMPLEMENTED',
    'network x: networks of the swarm with the driver macvlan are not supported yet',
  ],
  [
    { Name: 'x', ConfigOnly: true },
    'NOT_IMPLEMENTED',
    'ConfigOnly: networks that are only a configuration are not supported yet',
  ],
];

test('networks that can not be are refused', async (t) => {
  await using lab = await ApiLab.open();
  await made(lab, { Name: 'taken' });
  for (const [body, code, message] of refused) {
    const error = await t.throwsAsync(made(lab, body));
    t.is(messageOf(error), message);
    t.is(codeOf(error), code, message);
  }
});

test('there is one ingress network, and one network for each subnet, also when two are asked for at once', async (t) => {
  await using lab = await ApiLab.open();
  const ingress = lab.view.networks.byName('ingress')?.id;
  await t.throwsAsync(made(lab, { Name: 'in2', Ingress: true }), {
    message: `ingress network (${ingress}) is already present`,
  });
  await provider(lab).remove('ingress');
  const results = await Promise.allSettled(['a', 'b'].map((Name) => made(lab, { Name, Ingress: true })));
  t.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
});

test('predefined networks stay; one that a service uses stays, and says by whom', async (t) => {
  await using lab = await ApiLab.open();
  const networks = provider(lab);
  await t.throwsAsync(networks.remove('host'), {
    message: 'host is a pre-defined network and cannot be removed',
  });
  const id = await made(lab, { Name: 'front' });
  const service = await lab.create(
    web({ TaskTemplate: { ContainerSpec: { Image: 'i' }, Networks: [{ Target: id }] } }),
  );
  const error = await t.throwsAsync(networks.remove('front'));
  t.is(messageOf(error), `network ${id} is in use by service ${service}`);
  t.is(codeOf(error), 'FAILED_PRECONDITION');
  const published = { Ports: [{ TargetPort: 80, PublishedPort: 80 }] };
  const mesh = await lab.create(web({ Name: 'mesh', EndpointSpec: published }));
  await t.throwsAsync(networks.remove('ingress'), {
    message: `ingress network cannot be removed because service ${mesh} depends on it`,
  });
});

test('a network whose last tasks are only leaving goes with them: nobody sees it, and its name is free', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('n1'));
  const id = await made(lab, { Name: 'front' });
  const service = await lab.create(
    web({ TaskTemplate: { ContainerSpec: { Image: 'i' }, Networks: [{ Target: id }] } }),
  );
  const task: TaskId = await placeTask(lab.opened, { service, slot: 1, node: 'n1', networks: [id] });
  await lab.call('DELETE', '/services/web');
  await provider(lab).remove('front');
  t.is(await provider(lab).find(id), undefined);
  t.true(lab.view.networks.get(id)?.pendingDelete);
  t.deepEqual(
    (await provider(lab).list()).map(({ Name }) => Name),
    ['ingress'],
  );
  await made(lab, { Name: 'front' });
  t.truthy(lab.view.tasks.get(task));
});

test('a service is not made on a network that is being removed', async (t) => {
  await using lab = await ApiLab.open();
  const id = await made(lab, { Name: 'front' });
  const spec = web({ TaskTemplate: { ContainerSpec: { Image: 'i' }, Networks: [{ Target: id }] } });
  const [removed, created] = await Promise.all([
    provider(lab).remove(id),
    lab.call('POST', '/services/create', spec),
  ]);
  t.is(removed, undefined);
  t.deepEqual(created, { status: 404, body: { message: `network ${id} not found` } });
});

test('a network that gets its addresses meanwhile fails no service', async (t) => {
  await using lab = await ApiLab.open();
  const id = await made(lab, { Name: 'front' });
  const allocate: Change = {
    kind: 'allocateNetwork',
    networkId: id,
    vni: 5000,
    ipam: [{ subnet: '10.9.0.0/24' }],
  };
  lab.opened.log.hold();
  const creating = lab.call(
    'POST',
    '/services/create',
    web({
      TaskTemplate: { ContainerSpec: { Image: `a@sha256:${'0'.repeat(64)}` }, Networks: [{ Target: id }] },
    }),
  );
  const allocating = lab.write(allocate);
  await lab.opened.log.release();
  await allocating;
  t.is((await creating).status, 201);
});

test('pruning takes what nothing uses, and leaves the ingress network', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('n1'));
  const used = await made(lab, { Name: 'used' });
  await made(lab, { Name: 'idle' });
  await made(lab, { Name: 'kept', Labels: { keep: '' } });
  await lab.create(web({ TaskTemplate: { ContainerSpec: { Image: 'i' }, Networks: [{ Target: used }] } }));
  const query = new URLSearchParams({ filters: JSON.stringify({ 'label!': ['keep'] }) });
  t.deepEqual(await provider(lab).prune(query), ['idle']);
  t.deepEqual((await provider(lab).list()).map(({ Name }) => Name).sort(), ['ingress', 'kept', 'used']);
  await t.throwsAsync(provider(lab).prune(new URLSearchParams({ filters: '{"sea":["x"]}' })), {
    message: "invalid filter 'sea'",
  });
  const soon = new URLSearchParams({ filters: JSON.stringify({ until: ['24h'] }) });
  t.deepEqual(await provider(lab).prune(soon), [], 'too young');
});

test('nodes that are no managers refuse', async (t) => {
  await using lab = await ApiLab.open();
  lab.noManager = 'worker';
  await t.throwsAsync(async () => provider(lab).list(), { message: /Worker nodes can't be used/ });
  await t.throwsAsync(made(lab, { Name: 'x' }), { message: /Worker nodes can't be used/ });
});

test('tasks name the networks they are on, with addresses or without', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('n1'));
  const id = await made(lab, { Name: 'front', Attachable: true });
  const service = (await lab.create(web())) as ServiceId;
  const task = await placeTask(lab.opened, { service, slot: 1, node: 'n1', networks: [id] });
  const { body } = await lab.get(`/tasks/${task}`);
  const [attachment] = (body as { NetworksAttachments: Record<string, unknown>[] }).NetworksAttachments;
  t.like(attachment, {
    Network: {
      ID: id,
      Spec: {
        Name: 'front',
        Labels: {},
        DriverConfiguration: { Name: 'overlay' },
        Attachable: true,
        Scope: 'swarm',
      },
      DriverState: { Name: 'overlay', Options: {} },
    },
  });
  t.regex(String(attachment?.['Addresses']), /^10\.0\.1\.\d+\/24$/);
  const host = lab.view.networks.byName('host')?.id as NetworkId;
  await lab.write({
    kind: 'createTask',
    serviceId: service,
    slot: 2,
    desired: TaskState.Running,
    nodeId: 'n1' as NodeId,
  });
  const second = lab.view.tasks.byService(service).find(({ slot }) => slot === 2)?.id as TaskId;
  await lab.write({ kind: 'allocateTask', taskId: second, networks: [{ networkId: host, addresses: [] }] });
  const shown = (await lab.get(`/tasks/${second}`)).body as {
    NetworksAttachments: Record<string, unknown>[];
  };
  t.false('Addresses' in (shown.NetworksAttachments[0] ?? {}));
});
