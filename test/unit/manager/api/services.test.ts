import test from 'ava';
import type { ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { overlay, placeTask, taskStatusIs } from '#test/support/cluster.ts';
import { ApiLab, DIGEST, node, web } from './lab.ts';

type Json = Record<string, unknown>;
interface Shown {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: Json & {
    readonly TaskTemplate: { readonly ContainerSpec: Json; readonly Placement?: Json };
  };
  readonly PreviousSpec?: Json;
  readonly UpdateStatus?: Json;
}

async function shown(lab: ApiLab, ref: string): Promise<Shown> {
  const { status, body } = await lab.get(`/services/${ref}`);
  if (status !== 200) throw new Error(`inspect ${ref}: ${status}`);
  return body as Shown;
}

async function names(lab: ApiLab, filters: object): Promise<unknown> {
  const { status, body } = await lab.get(`/services?filters=${encodeURIComponent(JSON.stringify(filters))}`);
  return status === 200 ? (body as Shown[]).map(({ Spec }) => Spec['Name']).sort() : body;
}

test('a service is made, listed, changed, rolled back and removed', async (t) => {
  await using lab = await ApiLab.open();
  t.deepEqual(await lab.get('/services'), { status: 200, body: [] }, 'a list, not null');
  const made = await lab.call('POST', '/services/create', web({ Labels: { a: 'b' } }));
  t.is(made.status, 201);
  const { ID: id, Warnings } = made.body as { ID: string; Warnings: unknown };
  t.regex(id, /^[a-z0-9]{25}$/);
  t.is(Warnings, null);
  t.deepEqual(
    ((await lab.get('/services')).body as Shown[]).map(({ ID }) => ID),
    [id],
  );

  const first = await shown(lab, 'web');
  const spec = { ...first.Spec, Labels: { c: 'd' } };
  const updated = await lab.call('POST', `/services/web/update?version=${first.Version.Index}`, spec);
  t.deepEqual(updated, { status: 200, body: { Warnings: null } });
  const second = await shown(lab, id.slice(0, 10));
  t.deepEqual(second.Spec['Labels'], { c: 'd' });
  t.deepEqual(second.PreviousSpec, first.Spec);
  t.true(second.Version.Index > first.Version.Index);

  const target = `/services/${id}/update?version=${second.Version.Index}&rollback=previous`;
  t.is((await lab.call('POST', target, second.Spec)).status, 200);
  const third = await shown(lab, id);
  t.deepEqual(third.Spec, first.Spec);
  t.like(third.UpdateStatus, { State: 'rollback_started', Message: 'manually requested rollback' });

  t.deepEqual(await lab.call('DELETE', '/services/web'), { status: 200, body: undefined });
  t.deepEqual(await lab.get('/services/web'), { status: 404, body: { message: 'service web not found' } });
});

test('an update from a version that is not the present one is out of sequence, in the words that tools look for', async (t) => {
  await using lab = await ApiLab.open();
  await lab.create(web());
  const { Version, Spec } = await shown(lab, 'web');
  const again = (version: number): ReturnType<ApiLab['call']> =>
    lab.call('POST', `/services/web/update?version=${version}`, { ...Spec, Labels: { v: String(version) } });
  t.is((await again(Version.Index)).status, 200);
  const late = { status: 500, body: { message: 'rpc error: code = Unknown desc = update out of sequence' } };
  t.deepEqual(await again(Version.Index), late);
  t.deepEqual(await again(1), late);
  t.deepEqual(await lab.call('POST', '/services/web/update?version=1&rollback=previous', Spec), late);
  t.deepEqual(await lab.call('POST', '/services/web/update', Spec), {
    status: 400,
    body: { message: `invalid service version '': strconv.ParseUint: parsing "": invalid syntax` },
  });
});

test('a status written by the cluster does not put an update out of sequence', async (t) => {
  await using lab = await ApiLab.open();
  const serviceId = (await lab.create(web())) as ServiceId;
  const { Version, Spec } = await shown(lab, 'web');
  const update = { state: 'updating', startedAtMs: 1, message: 'm', targetVersion: 1 } as const;
  await lab.write({ kind: 'setUpdateStatus', serviceId, update });
  const answer = await lab.call('POST', `/services/web/update?version=${Version.Index}`, Spec);
  t.is(answer.status, 200);
});

test('names are unique, stay, and are free again as soon as a service is asked to go', async (t) => {
  await using lab = await ApiLab.open();
  await lab.create(web());
  t.deepEqual(await lab.call('POST', '/services/create', web()), {
    status: 409,
    body: { message: 'name conflicts with an existing object: service web already exists' },
  });
  const { Version, Spec } = await shown(lab, 'web');
  const target = `/services/web/update?version=${Version.Index}`;
  t.deepEqual(await lab.call('POST', target, { ...Spec, Name: 'other' }), {
    status: 501,
    body: { message: 'renaming services is not supported' },
  });
  t.deepEqual(await lab.call('POST', target, { ...Spec, Mode: { Global: {} } }), {
    status: 501,
    body: { message: 'service mode change is not allowed' },
  });
  await lab.write(node('n1'));
  const serviceId = lab.view.services.byName('web')?.id as string;
  await placeTask(lab.opened, { service: serviceId, slot: 1, node: 'n1' });
  await lab.call('DELETE', '/services/web');
  t.truthy(lab.view.services.get(serviceId as ServiceId), 'it still has a task');
  t.deepEqual(await lab.get('/services'), { status: 200, body: [] });
  t.is((await lab.get(`/services/${serviceId}`)).status, 404);
  await lab.create(web());
});

test('images are pinned to their digests, with the platforms they are for', async (t) => {
  await using lab = await ApiLab.open();
  const auth = Buffer.from(JSON.stringify({ username: 'me', password: 'pw' })).toString('base64url');
  await lab.call('POST', '/services/create', web(), { 'x-registry-auth': auth });
  const { Spec } = await shown(lab, 'web');
  t.is(Spec.TaskTemplate.ContainerSpec['Image'], `nginx:1@${DIGEST}`);
  t.deepEqual(Spec.TaskTemplate.Placement, { Platforms: [{ Architecture: 'amd64', OS: 'linux' }] });
  t.deepEqual(lab.images.asked, [{ reference: 'nginx:1', auth: { username: 'me', password: 'pw' } }]);
});

test('credentials go to the nodes with the spec, an update keeps them, and nobody is shown them', async (t) => {
  await using lab = await ApiLab.open();
  const kept = (): unknown => lab.view.services.byName('web')?.spec.task.container.registryAuth;
  const update = async (option: string, username?: string): Promise<void> => {
    const { Version, Spec } = await shown(lab, 'web');
    const auth = username && Buffer.from(JSON.stringify({ username, password: 'pw' })).toString('base64url');
    const path = `/services/web/update?version=${Version.Index}&${option}`;
    const { status } = await lab.call('POST', path, Spec, auth ? { 'x-registry-auth': auth } : {});
    t.is(status, 200);
  };
  await lab.create(web());
  t.is(kept(), undefined);
  await update('', 'me');
  await update('registryAuthFrom=spec');
  t.deepEqual(kept(), { username: 'me', password: 'pw' });
  await update('', 'you');
  await update('registryAuthFrom=previous-spec');
  t.deepEqual(kept(), { username: 'me', password: 'pw' });
  for (const path of ['/services', '/services/web'])
    t.false(JSON.stringify((await lab.get(path)).body).includes('pw'), path);
});

test("an image that can't be resolved stays as it is, with Docker's warning, and is not looked for again", async (t) => {
  await using lab = await ApiLab.open();
  const made = await lab.call(
    'POST',
    '/services/create',
    web({ TaskTemplate: { ContainerSpec: { Image: 'gone:1' } } }),
  );
  const warning =
    'image gone:1 could not be accessed on a registry to record\nits digest. Each node will access gone:1 independently,\n' +
    'possibly leading to different nodes running different\nversions of the image.\n';
  t.like(made, { status: 201, body: { Warnings: [warning] } });
  const { Version, Spec } = await shown(lab, 'web');
  t.is(Spec.TaskTemplate.ContainerSpec['Image'], 'gone:1');
  const answer = await lab.call('POST', `/services/web/update?version=${Version.Index}`, {
    ...Spec,
    Labels: { a: 'b' },
  });
  t.deepEqual(answer.body, { Warnings: null });
  t.is(lab.images.asked.length, 1);
});

test('images with a digest, and all where pinning is off, are left alone', async (t) => {
  await using lab = await ApiLab.open();
  await lab.create(web({ TaskTemplate: { ContainerSpec: { Image: `nginx:1@${DIGEST}` } } }));
  await using off = await ApiLab.open({}, false);
  await off.create(web());
  t.deepEqual([lab.images.asked, off.images.asked], [[], []]);
  t.is((await shown(off, 'web')).Spec.TaskTemplate.ContainerSpec['Image'], 'nginx:1');
});

test('networks are stored by id, whatever they were called by', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(overlay('frontnetworkid'));
  await lab.create(
    web({ TaskTemplate: { ContainerSpec: { Image: 'nginx:1' }, Networks: [{ Target: 'frontn' }] } }),
  );
  t.deepEqual(lab.view.services.byName('web')?.spec.task.networks, [{ target: 'frontnetworkid' }]);
  const missing = web({
    Name: 'x',
    TaskTemplate: { ContainerSpec: { Image: 'i' }, Networks: [{ Target: 'none-such' }] },
  });
  t.deepEqual(await lab.call('POST', '/services/create', missing), {
    status: 404,
    body: { message: 'network none-such not found' },
  });
  const ingress = web({
    Name: 'x',
    TaskTemplate: { ContainerSpec: { Image: 'i' }, Networks: [{ Target: 'ingress' }] },
  });
  t.deepEqual(await lab.call('POST', '/services/create', ingress), {
    status: 400,
    body: { message: 'Service cannot be explicitly attached to the ingress network "ingress"' },
  });
});

test('a published port belongs to one service, also when two ask at once', async (t) => {
  await using lab = await ApiLab.open();
  const publishing = (name: string): object =>
    web({ Name: name, EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 8080 }] } });
  const answers = await Promise.all(
    ['a', 'b'].map((name) => lab.call('POST', '/services/create', publishing(name))),
  );
  t.deepEqual(answers.map(({ status }) => status).sort(), [201, 400]);
  const [taken] = answers.filter(({ status }) => status === 400);
  const holder = lab.view.services.byName('a') ?? lab.view.services.byName('b');
  t.deepEqual(taken?.body, {
    message: `port '8080' is already in use by service '${holder?.spec.name}' (${holder?.id}) as an ingress port`,
  });
});

test('without an ingress network nothing is published through it', async (t) => {
  await using lab = await ApiLab.open();
  await lab.control.networks.remove('ingress');
  const ports = (PublishMode: string): object =>
    web({ Name: PublishMode, EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 80, PublishMode }] } });
  t.deepEqual(await lab.call('POST', '/services/create', ports('ingress')), {
    status: 400,
    body: { message: 'service needs ingress network, but no ingress network is present' },
  });
  await lab.create(ports('host'));
});

test('services are found by id, name, and the beginning of an id if that is of one alone', async (t) => {
  await using lab = await ApiLab.open();
  const spec = { name: 'one', task: { container: { image: 'i' } }, mode: { kind: 'global' } } as const;
  await lab.write(
    { kind: 'putService', service: { id: 'abc1' as ServiceId, spec } },
    { kind: 'putService', service: { id: 'abc2' as ServiceId, spec: { ...spec, name: 'abc1-like' } } },
    { kind: 'putService', service: { id: 'zzz' as ServiceId, spec: { ...spec, name: 'abc' } } },
  );
  t.is((await shown(lab, 'abc1')).ID, 'abc1');
  t.is((await shown(lab, 'one')).ID, 'abc1');
  t.is((await shown(lab, 'abc')).ID, 'zzz', 'a name comes before the beginning of an id');
  t.deepEqual(await lab.get('/services/ab'), {
    status: 400,
    body: { message: 'service ab is ambiguous (2 matches found)' },
  });
  t.is((await lab.get('/services/')).status, 404);
});

test('lists are filtered by id, name, label and mode; unknown filters are refused', async (t) => {
  await using lab = await ApiLab.open();
  const id = await lab.create(web({ Name: 'web', Labels: { tier: 'front', on: '' } }));
  await lab.create(web({ Name: 'web-2', Labels: { tier: 'back' }, Mode: { Global: {} } }));
  await lab.create(web({ Name: 'db' }));
  t.deepEqual(await names(lab, { name: ['web'] }), ['web', 'web-2']);
  t.deepEqual(await names(lab, { name: ['web-', 'd'] }), ['db', 'web-2']);
  t.deepEqual(await names(lab, { id: [id.slice(0, 8)] }), ['web']);
  t.deepEqual(await names(lab, { label: ['tier'] }), ['web', 'web-2']);
  t.deepEqual(await names(lab, { label: { 'tier=front': true, on: true } }), ['web']);
  t.deepEqual(await names(lab, { mode: ['global'] }), ['web-2']);
  t.deepEqual(await names(lab, { runtime: ['plugin'] }), []);
  t.deepEqual(await names(lab, { name: ['web'], label: ['tier=back'] }), ['web-2']);
  t.deepEqual(await names(lab, { sea: ['x'] }), { message: "invalid filter 'sea'" });
});

test('with status, a service says how many tasks run on nodes that are up, and how many there should be', async (t) => {
  await using lab = await ApiLab.open();
  const id = await lab.create(web({ Mode: { Replicated: { Replicas: 3 } } }));
  await lab.write(node('up'), node('gone', { status: { state: 'down' } }));
  for (const [at, place] of ['up', 'gone', 'up'].entries()) {
    const task = await placeTask(lab.opened, { service: id, slot: at + 1, node: place });
    if (at < 2) await lab.write(taskStatusIs(task, TaskState.Running));
  }
  const [service] = (await lab.get('/services?status=true')).body as Json[];
  t.deepEqual(service?.['ServiceStatus'], { RunningTasks: 1, DesiredTasks: 3, CompletedTasks: 0 });
  t.false('ServiceStatus' in ((await lab.get('/services')).body as Json[])[0]!);
});

test('with insertDefaults, a service says what it leaves to defaults', async (t) => {
  await using lab = await ApiLab.open();
  await lab.create(web());
  const { Spec } = (await lab.get('/services/web?insertDefaults=true')).body as Shown;
  t.like(Spec, {
    UpdateConfig: {
      Parallelism: 1,
      FailureAction: 'pause',
      Monitor: 5_000_000_000,
      MaxFailureRatio: 0,
      Order: 'stop-first',
    },
    TaskTemplate: {
      RestartPolicy: { Condition: 'any', Delay: 5_000_000_000, MaxAttempts: 0 },
      Resources: { Limits: {}, Reservations: {} },
    },
  });
  t.like(Spec.TaskTemplate.ContainerSpec, { StopGracePeriod: 10_000_000_000, DNSConfig: {} });
  t.false('UpdateConfig' in (await shown(lab, 'web')).Spec);
});

test('a rollback needs a previous spec; unknown options are refused', async (t) => {
  await using lab = await ApiLab.open();
  const id = await lab.create(web());
  const { Version, Spec } = await shown(lab, 'web');
  const call = (option: string): ReturnType<ApiLab['call']> =>
    lab.call('POST', `/services/web/update?version=${Version.Index}&${option}`, Spec);
  t.deepEqual(await call('rollback=previous'), {
    status: 400,
    body: { message: `service ${id} does not have a previous spec` },
  });
  t.deepEqual(await call('rollback=all'), {
    status: 400,
    body: { message: 'unrecognized rollback option all' },
  });
  t.deepEqual(await call('registryAuthFrom=thin-air'), {
    status: 400,
    body: { message: 'unsupported registryAuthFrom value' },
  });
});

test('a manager that has no quorum says so, in the words of the Engine', async (t) => {
  await using lab = await ApiLab.open();
  lab.opened.log.loseLeadership();
  t.deepEqual(await lab.get('/services'), {
    status: 503,
    body: {
      message:
        "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.",
    },
  });
});

test('nodes that are no managers say what they are, and what to do', async (t) => {
  await using lab = await ApiLab.open();
  const said = async (): Promise<unknown> => [
    await lab.get('/services'),
    await lab.call('DELETE', '/nodes/x'),
  ];
  for (const [state, words] of [
    ['inactive', /^This node is not a swarm manager. Use "docker swarm init" or "docker swarm join"/],
    [
      'worker',
      /^This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state/,
    ],
    ['starting', /Manager is being prepared or has trouble connecting to the cluster/],
    ['locked', /^Swarm is encrypted and needs to be unlocked before it can be used/],
    ['expired', /^Swarm certificates have expired/],
  ] as const) {
    lab.noManager = state;
    for (const { status, body } of (await said()) as { status: number; body: { message: string } }[]) {
      t.is(status, 503);
      t.regex(body.message, words);
    }
  }
});
