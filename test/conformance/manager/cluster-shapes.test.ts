import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { swarmInfo } from '#manager/api/info.ts';
import { clusterNetworks } from '#manager/api/networks.ts';
import type { NetworkId, ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { placeTask, taskStatusIs } from '#test/support/cluster.ts';
import { ApiLab, node, SELF, web } from '../../unit/manager/api/lab.ts';

/*
 * Answers about a cluster beside those that Docker Engine 27.5.1 gave (test/data/moby/cluster-shapes.json: for every path
 * in them how often it had which type). Every path of ours must be known there with that type; and what Docker always
 * sends we send, too.
 */

type Shape = Readonly<Record<string, Readonly<Record<string, number>>>>;

const recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../data/moby/cluster-shapes.json'), 'utf8'),
) as Record<string, Shape>;

/** What only newer versions have, or what nobody happened to use when the answers were recorded. */
const NOT_RECORDED =
  /Engine\.Labels|EnableIPv4|GenericResources|Warnings|VirtualIPs|UpdateStatus|Window|ServiceStatus|\.Spec\.Mode$/;

const FULL = {
  Labels: { a: 'b' },
  TaskTemplate: {
    ContainerSpec: {
      Image: 'nginx:1',
      Labels: { c: 'd' },
      Command: ['/c'],
      Args: ['a'],
      Hostname: 'h',
      Env: ['A=b'],
      Dir: '/d',
      User: 'u',
      Groups: ['g'],
      Privileges: { NoNewPrivileges: true },
      Init: true,
      StopSignal: 'INT',
      TTY: true,
      ReadOnly: true,
      Mounts: [{ Type: 'volume', Source: 's', Target: '/t', VolumeOptions: { Labels: { v: '1' } } }],
      StopGracePeriod: 1,
      Healthcheck: { Test: ['CMD', 'x'], Interval: 1_000_000, Retries: 1 },
      Hosts: ['1.2.3.4 h'],
      DNSConfig: { Nameservers: ['9.9.9.9'], Search: ['s'], Options: ['o'] },
      Sysctls: { s: '1' },
      CapabilityAdd: ['NET_RAW'],
      CapabilityDrop: ['ALL'],
      Ulimits: [{ Name: 'nofile', Hard: 9, Soft: 9 }],
    },
    Resources: {
      Limits: { NanoCPUs: 1e9, MemoryBytes: 2 ** 26, Pids: 9 },
      Reservations: { MemoryBytes: 2 ** 24 },
    },
    RestartPolicy: { Delay: 1 },
    Placement: {
      Constraints: ['node.role==manager'],
      Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.z' } }],
      MaxReplicas: 1,
    },
    LogDriver: { Name: 'json-file' },
  },
  UpdateConfig: { Delay: 1, Monitor: 1 },
  RollbackConfig: {},
  EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 8080 }] },
};

function flatten(value: unknown, path = '', into = new Map<string, Set<string>>()): Map<string, Set<string>> {
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  into.set(path, (into.get(path) ?? new Set()).add(type));
  if (Array.isArray(value)) for (const item of value) flatten(item, `${path}[]`, into);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) flatten(item, `${path}.${key}`, into);
  return into;
}

/** Where a path of one answer was recorded: specs are the same wherever they are, and keys of maps are `.*`. */
function known(operation: string, path: string): Readonly<Record<string, number>> | undefined {
  const shape = recorded[operation] ?? {};
  const spec = path.replace('.PreviousSpec', '.Spec');
  const free = spec.replace(/(\.(?:Options|Labels|Sysctls))\..+$/, '$1.*');
  const inService = free.replace(/^(\[\]\.Spec)/, '$1.TaskTemplate');
  const ofTask = operation === 'GET /tasks' ? recorded['GET /services']?.[inService] : undefined;
  return [shape[path], shape[spec], shape[free], ofTask].find((place) => place !== undefined);
}

function compare(t: ExecutionContext, operation: string, answer: unknown): void {
  const shape = recorded[operation];
  t.truthy(shape, operation);
  const ours = flatten(answer);
  for (const [path, types] of ours) {
    if (path === '' || NOT_RECORDED.test(path)) continue;
    const theirs = known(operation, path);
    t.truthy(theirs, `${operation}: Docker has no ${path}`);
    for (const type of types) t.true(type in (theirs ?? {}), `${operation}: ${path} is never ${type}`);
  }
  for (const path of alwaysThere(shape ?? {}))
    if (ours.has(parentOf(path)))
      t.true(ours.has(path), `${operation}: ${path} is missing, which Docker always sends`);
}

function parentOf(path: string): string {
  return path.replace(/(\[\]|\.[^.[]+)$/, '');
}

/** What was seen less often may have been there by chance. */
const SEEN_MIN = 20;

/** Paths that every object they belong to had, of one type that is not null. */
function alwaysThere(shape: Shape): string[] {
  return Object.keys(shape).filter((path) => {
    const parent = parentOf(path);
    if (path === '' || path.endsWith('[]') || path.endsWith('.*') || !(parent in shape)) return false;
    const objects = shape[parent]?.['object'] ?? 0;
    return objects >= SEEN_MIN && shape[path]?.['null'] === undefined && sum(shape[path]) === objects;
  });
}

function sum(counts: Readonly<Record<string, number>> = {}): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** A cluster with one of everything, as it is after a while. */
async function settled(): Promise<ApiLab> {
  const lab = await ApiLab.open();
  await lab.write(node('n1', { labels: { zone: 'a' }, hostname: 'one' }));
  const ingress = lab.view.networks.byName('ingress')!;
  await lab.write({
    kind: 'allocateNetwork',
    networkId: ingress.id,
    vni: 4097,
    ipam: ingress.spec.ipam?.configs ?? [],
  });
  const { Id } = await clusterNetworks(lab.modules).create({
    Name: 'front',
    Attachable: true,
    Labels: { n: '1' },
    IPAM: { Driver: 'default', Config: [{ Subnet: '10.88.0.0/24', Gateway: '10.88.0.1' }] },
  });
  const networkId = Id as NetworkId;
  await lab.write({
    kind: 'allocateNetwork',
    networkId,
    vni: 4098,
    ipam: [{ subnet: '10.88.0.0/24', gateway: '10.88.0.1' }],
  });
  const task = { ...FULL.TaskTemplate, Networks: [{ Target: Id, Aliases: ['f'] }] };
  const id = (await lab.create(web({ ...FULL, TaskTemplate: task }))) as ServiceId;
  await lab.write({
    kind: 'allocateService',
    serviceId: id,
    endpoint: {
      mode: 'vip',
      ports: [{ protocol: 'tcp', targetPort: 80, publishedPort: 8080, publishMode: 'ingress' }],
      vips: [{ networkId, addr: '10.88.0.2/24' }],
    },
  });
  const placed = await placeTask(lab.opened, {
    service: id,
    slot: 1,
    node: 'n1',
    networks: [networkId, ingress.id],
  });
  await lab.write(taskStatusIs(placed, TaskState.Running, { container: { id: 'c', pid: 1, exitCode: 0 } }));
  const { Version, Spec } = (await lab.get(`/services/${id}`)).body as {
    Version: { Index: number };
    Spec: object;
  };
  await lab.call('POST', `/services/${id}/update?version=${Version.Index}`, { ...Spec, Labels: { e: 'f' } });
  return lab;
}

for (const [operation, target] of [
  ['GET /services', '/services?status=1'],
  ['GET /tasks', '/tasks'],
  ['GET /swarm', '/swarm'],
  ['GET /secrets', '/secrets'],
  ['GET /configs', '/configs'],
] as const) {
  test(`${operation} answers as Docker does`, async (t) => {
    await using lab = await settled();
    compare(t, operation, (await lab.get(target)).body);
  });
}

test('GET /nodes answers as Docker does, for managers', async (t) => {
  await using lab = await settled();
  const nodes = (await lab.get('/nodes')).body as { ID: string }[];
  compare(
    t,
    'GET /nodes',
    nodes.filter(({ ID }) => ID === SELF),
  );
  compare(t, 'GET /nodes/{id}', (await lab.get('/nodes/self')).body);
});

test('GET /networks shows those of the cluster as Docker does', async (t) => {
  await using lab = await settled();
  compare(t, 'GET /networks', await clusterNetworks(lab.modules).list());
});

test('GET /info tells of the swarm what Docker tells', async (t) => {
  await using lab = await settled();
  compare(t, 'GET /info', { Swarm: await swarmInfo(lab.modules).info });
});
